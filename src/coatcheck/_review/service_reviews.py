"""Submit one task to several services and wait for all of them: for programs, and for commands with their own clients.

Invariants:

- the review is in the store before anything is submitted: `resume_review` continues it after a kill;
- the clients are opened and closed here, one for each service.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .. import errors
from .._engine.submit import checked
from .._model.tasks import TaskSpec
from .._patches.revisions import find_commit
from .._protocol.intents import SUMMARY_LENGTH
from .._runtime.client import Client
from .._runtime.config import Config, state_dir, store_location
from .._runtime.system_clock import SystemClock
from .._store.location import open_database
from .._store.reviews import ReviewStore, ReviewSubmission
from .services import open_services
from .submissions import ReviewRun
from .targets import divided, names_of, parse_targets

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._protocol.intents import Journal
    from .._store.reviews import StoredReview
    from .services import OpenClient, Services
    from .submissions import SubmissionResult
    from .targets import Target


class ServiceReview(NamedTuple):
    """A review that was waited for, and what is known about each submission."""

    review: StoredReview
    results: tuple[SubmissionResult, ...]


class ReviewSettings(NamedTuple):
    """Where a program's reviews are kept, and how its clients are opened."""

    environ: Mapping[str, str]
    config: Config
    clock: Clock
    open_client: OpenClient

    @classmethod
    def of(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        config: Config | None = None,
        clock: Clock | None = None,
        open_client: OpenClient | None = None,
    ) -> ReviewSettings:
        """Return the settings, with those of the environment where none are given."""
        environ = os.environ if environ is None else environ
        config = config or Config(environ=environ)

        def client(name: str, journal: Journal) -> Client:
            return Client(name, journal=journal, config=config, environ=environ, clock=clock)

        return cls(environ, config, clock or SystemClock(), open_client or client)

    @contextmanager
    def store(self) -> Iterator[ReviewStore]:
        """Open the reviews of the store: of the setting ``database``, or of the state folder."""
        folder = state_dir(self.environ)
        database = open_database(store_location(self.config))
        store = ReviewStore(database, clock=self.clock, old_folder=folder)
        try:
            yield store
        finally:
            store.close()


def submit_review(
    spec: TaskSpec,
    on: Sequence[str],
    *,
    settings: ReviewSettings,
    name: str | None = None,
    checks: Mapping[str, object] | None = None,
    repository: str | None = None,
    timeout: float | None = None,
    interval: float | None = None,
) -> ServiceReview:
    """Submit *spec* to the services *on*, ``PROVIDER`` or ``PROVIDER:N``, and wait for all of them.

    A service that cannot take it has a result with an error; where none can, the first error is raised.
    Raises `ConfigurationError` for a name that another review has.
    """
    targets = parse_targets(on, settings.config, attempts=spec.attempts)
    names = [target.provider for target in targets]
    with settings.store() as store, open_services(names, store, settings.open_client) as services:
        planned = [each for target in targets for each in _planned(services, target, spec)]
        failed = [each for _, each in planned if each is not None]
        if len(failed) == len(planned):
            raise failed[0]
        review = store.create(
            names_of(name, spec.prompt),
            [msgspec.structs.replace(each, number=number) for number, (each, _) in enumerate(planned, 1)],
            title=" ".join(spec.prompt.split())[:SUMMARY_LENGTH],
            root=None if repository is None else os.path.abspath(repository),
            base=None if repository is None else find_commit(Path(repository), "HEAD", environ=settings.environ),
            settings=checks,
        )
        run = ReviewRun(review, store=store, services=services)
        return _completed(run, review, timeout, interval)


def resume_review(
    name: str, *, settings: ReviewSettings, timeout: float | None = None, interval: float | None = None
) -> ServiceReview:
    """Continue the review *name*: send what was not sent, and wait. Raises `ConfigurationError` for an unknown one."""
    with settings.store() as store:
        review = store.get(name)
        if review is None:
            raise errors.ConfigurationError(
                f"there is no review {name!r}", remedy="list them with: coatcheck review --list"
            )
        names = list(dict.fromkeys(each.provider for each in review.submissions))
        with open_services(names, store, settings.open_client) as services:
            run = ReviewRun(review, store=store, services=services)
            return _completed(run, review, timeout, interval)


def _completed(run: ReviewRun, review: StoredReview, timeout: float | None, interval: float | None) -> ServiceReview:
    """Submit and wait. Raises `WaitTimeoutError`, with the name of the review, where a task still runs."""
    run.submit(_ignore)
    run.wait(_ignore, timeout=timeout, interval=interval)
    raise_at_deadline(review.name, run.results)
    return ServiceReview(review, run.results)


def raise_at_deadline(name: str, results: Sequence[SubmissionResult]) -> None:
    """Raise `WaitTimeoutError` where a task of a review has not ended by the deadline of the wait."""
    late = [each for each in results if isinstance(each.error, errors.WaitTimeoutError)]
    if late:
        running = ", ".join(str(each.submission.ref) for each in late)
        raise errors.WaitTimeoutError(
            f"the deadline has passed, and of the review {name} {running} still runs",
            ref=late[0].submission.ref,
            remedy=f"continue it with: coatcheck review {name}",
        )


def _planned(
    services: Services, target: Target, spec: TaskSpec
) -> Iterator[tuple[ReviewSubmission, errors.CoatcheckError | None]]:
    """Yield each submission of a service, with the error of one that it cannot take."""
    name = target.provider
    error = services.unavailable.get(name)
    sizes: tuple[int, ...] = (target.attempts,)
    if error is None:
        try:
            capabilities = services.clients[name].capabilities
            sizes = divided(target.attempts, capabilities.max_attempts)
            checked(msgspec.structs.replace(spec, attempts=sizes[0]), capabilities, name)
        except errors.CoatcheckError as caught:
            error = caught
    for size in sizes:
        own = None if error else msgspec.structs.replace(spec, attempts=size)
        message = None if error is None else str(error)
        yield ReviewSubmission(number=0, provider=name, attempts=size, spec=own, error=message), error


def _ignore(_: SubmissionResult) -> None:
    """Do nothing."""
