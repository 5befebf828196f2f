"""`Fleet` and `AsyncFleet`: many tasks as one, in Python."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .. import errors
from .._model.fleets import FleetCandidate, FleetItem, FleetStatus, ItemState
from .control import FleetControl, ItemReport
from .file import convert, read_file
from .plan import FleetPlan
from .report import FleetReport
from .report_building import fleet_report
from .sections import FleetSections
from .session import FleetSession, FleetSettings
from .spec import build_spec

if TYPE_CHECKING:
    from .._store.events import StoredEvent
    from .spec import FleetSpec

T = TypeVar("T")


class BaseFleet:
    """The constructor of `Fleet` and `AsyncFleet`."""

    def __init__(
        self,
        *,
        name: str,
        task: Mapping[str, Any],
        items: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        candidates: Sequence[Mapping[str, Any]],
        store: str | None = None,
        environ: Mapping[str, str] | None = None,
        **tables: Mapping[str, Any],
    ) -> None:
        """Describe a fleet with the tables of a fleet file (`docs/reference/fleet-file.md`).

        *items* are mappings of variables, or the table of the file. *store* is a folder, or the URL of a PostgreSQL
        database; without it that of the settings. *environ* replaces ``os.environ``.
        Raises `ConfigurationError` that names the key.
        """
        document = {"name": name, "task": task, "items": items, "candidates": list(candidates), **tables}
        self._setup(convert(document), FleetSettings(store=store, environ=environ))

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], *, store: str | None = None, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Read a fleet file: TOML, or JSON where its name ends in ``.json``. Raises `ConfigurationError`."""
        file = Path(path)
        return cls.of(read_file(file), FleetSettings(store=store, environ=environ, folder=file.absolute().parent))

    @classmethod
    def of(cls, sections: FleetSections, settings: FleetSettings) -> Self:
        """Return the fleet of the tables of a file."""
        fleet = cls.__new__(cls)
        BaseFleet._setup(fleet, sections, settings)
        return fleet

    def _setup(self, sections: FleetSections, settings: FleetSettings) -> None:
        self._session = FleetSession(settings)
        self.spec: FleetSpec = build_spec(sections, folder=settings.folder, template=self._session.render)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {len(self.spec.items)} items>"

    @property
    def name(self) -> str:
        """Return the name of the fleet."""
        return self.spec.name

    @property
    def _control(self) -> FleetControl:
        return self._session.control


class Fleet(BaseFleet):
    """Many prompts over many repositories and services: each task is submitted once, checked, ranked and delivered.

    ``Fleet.read("typing.toml").run()`` plans it and works on it until a person or a quota is needed, or all is done;
    run again, it continues. Methods block. Close it, or use it in a ``with`` block.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._session.close()

    def plan(self, *, rebase: bool = False) -> FleetPlan:
        """Return what a run would send, to whom, and how long it takes. Writes nothing."""
        return _run(_plan(self._session, self.spec, rebase=rebase))

    def run(
        self,
        *,
        confirm: Callable[[FleetPlan], bool] | None = None,
        rebase: bool = False,
        wait: bool = False,
        on_status: Callable[[FleetStatus], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> FleetStatus | None:
        """Work on the fleet until a person or a quota is needed, with *wait* until it is done; return its status.

        *confirm* gets the plan, and nothing is stored or sent where it returns False: the result is None then.
        *rebase* pins the bases of the items to the commits that their branches have now. *on_status* gets the status
        once a second, *on_notice* what went wrong and is tried again.
        """
        running = self._session.run(
            self.spec, confirm=confirm, rebase=rebase, waits=wait, on_status=on_status, on_notice=on_notice
        )
        return _run(running)[1]

    def deliver(self, *, on_notice: Callable[[str], None] | None = None) -> FleetStatus:
        """Deliver what was approved, in the merge order of each repository; return the status.

        *on_notice* gets what went wrong and is tried again.
        """
        return _run(self._session.deliver(self.name, on_notice=on_notice))

    def status(self) -> FleetStatus:
        """Return how many items and candidates are in each state."""
        return self._control.status(self.name)

    def items(self, *, state: str | None = None) -> Sequence[FleetItem]:
        """Return the items, in the order of the file; those in one state with *state*."""
        return self._control.items(self.name, states=[ItemState(state)] if state else ())

    def show(self, key: str) -> ItemReport:
        """Return an item with its candidates, its review and its delivery."""
        return self._control.show(self.name, key)

    def report(self) -> FleetReport:
        """Return what was sent, chosen, rejected and delivered, what is unfinished, and the commands that continue."""
        return fleet_report(self._control, self.name)

    def events(self, *, after: int = 0) -> Iterable[StoredEvent]:
        """Yield the events of the fleet with larger numbers than *after*, the oldest first."""
        while events := self._control.events(self.name, after=after):
            yield from events
            after = events[-1].id

    def approve(self, *keys: str, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Approve waiting items, all without *keys*, and the wave that waits; *by* is who decides."""
        return self._control.approve(self.name, keys, by=by, why=why)

    def reject(self, *keys: str, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Reject waiting items, all without *keys*."""
        return self._control.reject(self.name, keys, by=by, why=why)

    def retry(self, *keys: str, by: str, uncertain: bool = False) -> Sequence[FleetItem]:
        """Send failed items back to work, all without *keys*; with *uncertain* those whose submission is unknown."""
        return self._control.retry(self.name, keys, uncertain=uncertain, by=by)

    def pause(self, *, by: str, why: str | None = None) -> bool:
        """Start nothing more until `resume`; whether the fleet was running."""
        return self._control.pause(self.name, by=by, why=why)

    def resume(self, *, by: str) -> bool:
        """Continue a paused or stopped fleet; whether it was one."""
        return self._control.resume(self.name, by=by)

    def cancel(self, *, by: str, why: str | None = None) -> Sequence[FleetCandidate]:
        """Cancel what was not delivered; return the candidates whose tasks still run at their services."""
        return self._control.cancel(self.name, by=by, why=why)


class AsyncFleet(BaseFleet):
    """`Fleet` for asyncio; the methods are the same, with ``await``."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the store."""
        await asyncio.to_thread(self._session.close)

    async def plan(self, *, rebase: bool = False) -> FleetPlan:
        """Return what a run would send, to whom, and how long it takes. Writes nothing."""
        return await _plan(self._session, self.spec, rebase=rebase)

    async def run(
        self,
        *,
        confirm: Callable[[FleetPlan], bool] | None = None,
        rebase: bool = False,
        wait: bool = False,
        on_status: Callable[[FleetStatus], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> FleetStatus | None:
        """Work on the fleet as `Fleet.run` does."""
        _, status = await self._session.run(
            self.spec, confirm=confirm, rebase=rebase, waits=wait, on_status=on_status, on_notice=on_notice
        )
        return status

    async def deliver(self, *, on_notice: Callable[[str], None] | None = None) -> FleetStatus:
        """Deliver what was approved, as `Fleet.deliver` does."""
        return await self._session.deliver(self.name, on_notice=on_notice)

    async def status(self) -> FleetStatus:
        """Return how many items and candidates are in each state."""
        return await asyncio.to_thread(self._control.status, self.name)

    async def items(self, *, state: str | None = None) -> Sequence[FleetItem]:
        """Return the items, in the order of the file; those in one state with *state*."""
        states = [ItemState(state)] if state else ()
        return await asyncio.to_thread(lambda: self._control.items(self.name, states=states))

    async def show(self, key: str) -> ItemReport:
        """Return an item with its candidates, its review and its delivery."""
        return await asyncio.to_thread(self._control.show, self.name, key)

    async def report(self) -> FleetReport:
        """Return what was sent, chosen, rejected and delivered, what is unfinished, and the commands that continue."""
        return await asyncio.to_thread(fleet_report, self._control, self.name)

    async def events(self, *, after: int = 0) -> Sequence[StoredEvent]:
        """Return up to 500 events of the fleet with larger numbers than *after*, the oldest first."""
        return await asyncio.to_thread(lambda: self._control.events(self.name, after=after))

    async def approve(self, *keys: str, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Approve waiting items, all without *keys*, and the wave that waits; *by* is who decides."""
        return await asyncio.to_thread(lambda: self._control.approve(self.name, keys, by=by, why=why))

    async def reject(self, *keys: str, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Reject waiting items, all without *keys*."""
        return await asyncio.to_thread(lambda: self._control.reject(self.name, keys, by=by, why=why))

    async def retry(self, *keys: str, by: str, uncertain: bool = False) -> Sequence[FleetItem]:
        """Send failed items back to work, all without *keys*; with *uncertain* those whose submission is unknown."""
        return await asyncio.to_thread(lambda: self._control.retry(self.name, keys, uncertain=uncertain, by=by))

    async def pause(self, *, by: str, why: str | None = None) -> bool:
        """Start nothing more until `resume`; whether the fleet was running."""
        return await asyncio.to_thread(lambda: self._control.pause(self.name, by=by, why=why))

    async def resume(self, *, by: str) -> bool:
        """Continue a paused or stopped fleet; whether it was one."""
        return await asyncio.to_thread(lambda: self._control.resume(self.name, by=by))

    async def cancel(self, *, by: str, why: str | None = None) -> Sequence[FleetCandidate]:
        """Cancel what was not delivered; return the candidates whose tasks still run at their services."""
        return await asyncio.to_thread(lambda: self._control.cancel(self.name, by=by, why=why))


async def _plan(session: FleetSession, spec: FleetSpec, *, rebase: bool) -> FleetPlan:
    async with session.services(is_plan=True) as services:
        return (await session.prepare(spec, services, rebase=rebase)).plan


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what *coroutine* returns. Raises `ConfigurationError` inside of an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise errors.ConfigurationError("a Fleet blocks and cannot run in an event loop", remedy="use AsyncFleet")
