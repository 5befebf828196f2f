"""Deliver the approved items of a fleet, or show what that would do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from .fleets import fleet_settings

if TYPE_CHECKING:
    from .._fleet.merge_plan import MergePlan
    from .._fleet.session import FleetSession
    from .._model.fleets import FleetStatus
    from .._protocol.effects import Clock
    from .workspace import Workspace


def plan_deliveries(workspace: Workspace, name: str, *, clock: Clock | None = None) -> MergePlan:
    """Return the merge order of a fleet and what conflicts; delivers and stores nothing."""
    with _session(workspace, name, clock) as session:
        return asyncio.run(session.plan_deliveries(name))


def deliver_fleet(
    workspace: Workspace, name: str, *, on_notice: Callable[[str], None], clock: Clock | None = None
) -> FleetStatus:
    """Deliver the approved items of a fleet in their merge order; return its status."""
    with _session(workspace, name, clock) as session:
        return asyncio.run(session.deliver(name, on_notice=on_notice))


@contextmanager
def _session(workspace: Workspace, name: str, clock: Clock | None) -> Iterator[FleetSession]:
    """Open the store. Paths of the fleet file are relative to the current folder."""
    from .._fleet.session import FleetSession

    with closing(FleetSession(fleet_settings(workspace, Path(workspace.folder, "fleet.toml"), clock=clock))) as session:
        if session.is_new:
            raise errors.ConfigurationError(
                f"there is no fleet {name!r}", remedy="run one with: coatcheck fleet run FILE"
            )
        yield session
