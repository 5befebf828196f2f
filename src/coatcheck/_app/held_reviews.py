"""A review that a gate holds: one task for several services, which one approval submits to all of them.

Guarantees:
- a review that waits is submitted by nothing but the approval of its gate;
- the prompts are held by the gate, and deleted with what it holds: the review has them from its approval on;
- what an approval submits is sent once, whoever approves and however often (`_store.reviews`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from .. import errors
from .._model.gates import Gate, digest_of
from .._model.tasks import TaskSpec
from .._values.json_decode import decode as value_from
from .held_work import DETAIL_LENGTH
from .stored_reviews import open_reviews

if TYPE_CHECKING:
    from .._protocol.intents import Journal
    from .._review.submissions import SubmissionResult
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .._store.reviews import ReviewStore, ReviewSubmission, StoredReview
    from .clients import OpenClient
    from .gates import Gates

PREFIX = "review:"


class ApprovedReview(NamedTuple):
    """A review whose gate is approved, and the prompt template of its task with its digest."""

    review: StoredReview
    template: tuple[str, str] | None = None


# Submits what was not submitted of a review, and returns what is known about each submission.
SubmitReview: TypeAlias = Callable[[ApprovedReview], "Sequence[SubmissionResult]"]


def is_of_review(gate: Gate) -> bool:
    """Whether a gate holds a review."""
    return gate.kind == "submission" and gate.subject.startswith(PREFIX)


def hold_review(gates: Gates, review: StoredReview, *, template: tuple[str, str] | None = None) -> Gate:
    """Store the gate of a review that waits, and return it; a policy may have decided it. Nothing is submitted."""
    specs = {str(each.number): each.spec.to_dict() for each in review.submissions if each.spec is not None}
    repositories = {each.spec.repository for each in review.submissions if each.spec is not None}
    first = next((each.spec for each in review.submissions if each.spec is not None), None)
    request = {"specs": specs, "template": template}
    gate = Gate(
        subject=f"{PREFIX}{review.name}",
        kind="submission",
        title=f"submit the review {review.name} to {_services(review.submissions)}",
        detail=None if first is None else first.prompt[:DETAIL_LENGTH],
        digest=_digest(review),
        repository=repositories.pop() if len(repositories) == 1 else None,
        submitted_via="cli",
    )
    return gates.open(gate, request=zlib.compress(msgspec.json.encode(request)))


def gate_of_review(gates: Gates, review: StoredReview) -> Gate:
    """Return the gate of a review that waits. Raises `ConfigurationError` where its gate was deleted."""
    found = [gate for gate in gates.list(subject=f"{PREFIX}{review.name}", state=None) if is_of_review(gate)]
    if not found:
        raise errors.ConfigurationError(
            f"the review {review.name} waits for a gate that is not stored any more",
            remedy=f"delete it with: coatcheck review --forget {review.name}",
        )
    return found[-1]


def release_review(gates: Gates, gate: Gate, store: ReviewStore) -> ApprovedReview:
    """Return the review of an approved gate, with its prompts. Raises `ConfigurationError` where it was deleted."""
    name = gate.subject.removeprefix(PREFIX)
    content = gates.store.request(gate.id)
    template = None
    if content is not None:
        document = msgspec.json.decode(zlib.decompress(content))
        template = document["template"] and (document["template"][0], document["template"][1])
        specs = {int(number): value_from(TaskSpec, spec) for number, spec in document["specs"].items()}
        store.release(name, specs)
        gates.store.complete(gate.id)
    review = store.get(name)
    if review is None:
        raise errors.ConfigurationError(
            f"the review {name} of {gate.address} was deleted", remedy="submit it again; nothing was sent"
        )
    return ApprovedReview(review, template)


def submits_with(open_client: OpenClient, config: Config) -> SubmitReview:
    """Return a function that submits reviews with clients of *open_client*."""

    def submit(approved: ApprovedReview) -> Sequence[SubmissionResult]:
        from .._review.services import open_services
        from .._review.submissions import ReviewRun

        submissions = approved.review.submissions
        names = list(dict.fromkeys(each.provider for each in submissions))
        environment = next((each.spec.environment for each in submissions if each.spec is not None), None)

        def opened(name: str, journal: Journal) -> AbstractContextManager[Client]:
            return open_client(name, environment=environment, journal=journal)

        with (
            closing(open_reviews(config)) as store,
            open_services(names, store, opened, template=approved.template) as services,
        ):
            run = ReviewRun(approved.review, store=store, services=services)
            run.submit(lambda _: None)
            return run.results

    return submit


def _services(submissions: Sequence[ReviewSubmission]) -> str:
    counts: dict[str, int] = {}
    for each in submissions:
        if each.spec is not None:
            counts[each.provider] = counts.get(each.provider, 0) + each.attempts
    return ", ".join(f"{name}:{count}" if count > 1 else name for name, count in counts.items())


def _digest(review: StoredReview) -> str:
    """Return the digest of what is submitted, to which service, and of how it is checked."""
    parts: list[object] = [review.name, msgspec.json.encode(review.settings, order="sorted")]
    for each in review.submissions:
        spec = each.spec and msgspec.json.encode(each.spec.to_dict(), order="sorted")
        parts += [each.number, each.provider, spec]
    return digest_of(*parts)
