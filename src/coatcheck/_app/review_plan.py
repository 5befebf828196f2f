"""Plan a review: which submission each service gets from the options, the settings and the checkout.

Guarantee: a service that cannot take the task has a submission with an error, and costs the others nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .. import errors
from .._protocol.intents import SUMMARY_LENGTH
from .._review.targets import divided
from .._store.reviews import ReviewSubmission
from .submit import SubmitOptions, build_spec
from .unseen_work import read_work_tree, unseen_work
from .workspace import Workspace

if TYPE_CHECKING:
    from .._model.tasks import TaskSpec
    from .._review.submissions import Describe
    from .._review.targets import Target
    from .._runtime.client import Client
    from .._store.reviews import ReviewStore, StoredReview


class PlannedService(NamedTuple):
    """What is submitted to one service: a specification for each submission, or why there is none."""

    target: Target
    specs: tuple[TaskSpec, ...] = ()
    warning: str | None = None
    error: errors.CoatcheckError | None = None


def plan_service(
    workspace: Workspace, client: Client, target: Target, prompt: str, options: SubmitOptions
) -> PlannedService:
    """Return what one service gets: one task with all attempts where it makes several, else a task for each."""
    name = target.provider
    own = Workspace(workspace.folder, config=workspace.config, environ=workspace.environ, provider=name)
    try:
        if client.capabilities.no_change is not None:
            raise errors.UnsupportedError(
                f"{name} returns no change that can compete with others: {client.capabilities.no_change}",
                remedy=f"leave out --on {name}",
            )
        sizes = divided(target.attempts, client.capabilities.max_attempts)
        spec = build_spec(own, client, prompt, msgspec.structs.replace(options, attempts=sizes[0]))
        specs = tuple(msgspec.structs.replace(spec, attempts=size) for size in sizes)
        return PlannedService(target, specs, warning=unseen_work(own, spec))
    except errors.CoatcheckError as error:
        return PlannedService(target, error=error)


def submissions_of(services: Sequence[PlannedService], messages: Mapping[str, str]) -> tuple[ReviewSubmission, ...]:
    """Return the submissions of a review, numbered from 1; *messages* are the errors of services as text."""
    numbers = itertools.count(1)
    return tuple(
        ReviewSubmission(
            number=next(numbers),
            provider=service.target.provider,
            attempts=service.target.attempts if spec is None else spec.attempts,
            spec=spec,
            error=None if service.error is None else messages[service.target.provider],
        )
        for service in services
        for spec in service.specs or (None,)
    )


def begin_review(
    store: ReviewStore,
    services: Sequence[PlannedService],
    names: Iterator[str],
    *,
    prompt: str,
    workspace: Workspace,
    settings: Mapping[str, object],
    describe: Describe,
    is_held: bool = False,
) -> StoredReview:
    """Store a review, so that it can be continued from now on. Raises the first error where no service can take it.

    With *is_held* its gate has to be opened (`held_reviews.hold_review`) before it can be submitted.
    """
    failed = [each.error for each in services if each.error is not None]
    if len(failed) == len(services):
        raise failed[0]
    messages = {each.target.provider: describe(each.error, each.target.provider) for each in services if each.error}
    root = workspace.root
    return store.create(
        names,
        submissions_of(services, messages),
        title=" ".join(prompt.split())[:SUMMARY_LENGTH],
        root=root,
        base=read_work_tree(root).commit if root is not None else None,
        settings=settings,
        is_held=is_held,
    )
