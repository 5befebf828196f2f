"""Work on fleets as one of many workers that share a PostgreSQL database.

Invariants:

- a worker plans and stores nothing: it works on fleets that a person has run, with the files that it was started with;
- it takes jobs only of fleets that were stored from equal files, so that it runs no command that its files do not have;
- the store and the queue are one database, and the repositories are in a folder that no other worker uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._model.fleets import FleetRecord, FleetStatus
from .context import FleetContext
from .due_jobs import DueJobs
from .engine import Handler, Job, Kind
from .loop import worker_folder
from .runner import FleetRunner
from .together import run_together

if TYPE_CHECKING:
    from .session import FleetSession
    from .spec import FleetSpec

KINDS: Sequence[Kind] = ("submit", "sweep", "review", "deliver")
SCHEMES = ("postgres://", "postgresql://")


class FleetWorker:
    """Works on the fleets of *specs* until they are done; *kinds* are the jobs that it takes."""

    def __init__(
        self,
        session: FleetSession,
        specs: Sequence[FleetSpec],
        *,
        kinds: Iterable[Kind] = KINDS,
        on_notice: Callable[[str], None],
    ) -> None:
        self._session, self._specs, self._kinds, self._notice = session, specs, frozenset(kinds), on_notice

    async def work(self) -> Sequence[FleetStatus]:
        """Return the statuses of the fleets when all are done.

        Raises `ConfigurationError` for a fleet that nobody has run, or that was run with another version of its file.
        """
        require_server(self._session.location)
        fleets = [stored_fleet(self._session, spec) for spec in self._specs]
        session = self._session
        with worker_folder(str(session.state_folder)) as folder:
            session.settings = msgspec.structs.replace(session.settings, state_folder=Path(folder))
            async with session.services() as services:
                runners = [
                    session.runner(spec, fleet, services, self._notice)
                    for spec, fleet in zip(self._specs, fleets, strict=True)
                ]
                await run_together([self._work_on(runner) for runner in runners])
        return [session.control.status(spec.name) for spec in self._specs]

    async def _work_on(self, runner: FleetRunner) -> None:
        from .pgqueuer_engine import PgQueuerEngine

        context = runner.context
        handlers: Mapping[Kind, Handler] = {
            kind: handler for kind, handler in runner.handlers.items() if kind in self._kinds
        }
        engine = PgQueuerEngine(
            WorkerDue(context),
            url=self._session.location,
            namespace=context.spec.digest[:16],
            clock=context.clock,
            on_error=runner.report,
            on_notice=context.notice,
            heartbeat=context.options.heartbeat,
        )
        try:
            await engine.work(handlers, runner.slots)
        finally:
            runner.leave()


class WorkerDue:
    """What is due of a fleet, for a worker: nothing once the fleet was stored from another version of its file."""

    def __init__(self, context: FleetContext) -> None:
        self._context = context
        self._due = DueJobs(context, waits=True)

    def __call__(self, *, is_tick: bool) -> tuple[Sequence[Job], bool]:
        """Return jobs, and whether anything is left to do."""
        jobs, is_going = self._due(is_tick=is_tick)
        _require_equal(self._context.spec, self._context.fleet)
        return jobs, is_going


def require_server(location: str) -> None:
    """Raise `ConfigurationError` where the store is no PostgreSQL database."""
    if not location.startswith(SCHEMES):
        raise errors.ConfigurationError(
            "workers share a PostgreSQL database, and the store is a folder",
            remedy="set COATCHECK_DATABASE=postgresql://USER@HOST/DATABASE, or on one machine: coatcheck fleet run FILE",
        )


def stored_fleet(session: FleetSession, spec: FleetSpec) -> FleetRecord:
    """Return the fleet that was run with an equal file. Raises `ConfigurationError` where there is none."""
    fleet = session.control.store.find(spec.name)
    if fleet is None:
        raise errors.ConfigurationError(
            f"the fleet {spec.name} is not in the store",
            remedy="plan it there first: coatcheck fleet init FILE",
        )
    _require_equal(spec, fleet)
    return fleet


def _require_equal(spec: FleetSpec, fleet: FleetRecord) -> None:
    if fleet.digest != spec.digest:
        raise errors.ConfigurationError(
            f"the fleet {spec.name} was stored from another version of its file",
            remedy="give its workers the file that it was run with, and start them again",
        )
