"""Prepare a database for workers, and work on fleets as one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .fleets import fleet_settings, open_fleet

if TYPE_CHECKING:
    from .._fleet.engine import Kind
    from .._fleet.plan import FleetPlan
    from .._fleet.session import FleetSession
    from .._fleet.spec import FleetSpec
    from .._model.fleets import FleetStatus
    from .._protocol.effects import Clock
    from .workspace import Workspace


def install_tables(workspace: Workspace) -> tuple[str, bool]:
    """Create the tables of the store and of PgQueuer; return where they are, and whether those of PgQueuer are new.

    Raises `ConfigurationError` where the store is a folder, `StoreError` where it cannot be used.
    """
    from .._fleet.pgqueuer_engine import install
    from .._fleet.session import FleetSession, FleetSettings
    from .._fleet.worker import require_server

    with closing(FleetSession(FleetSettings(config=workspace.config, environ=workspace.environ))) as session:
        require_server(session.location)
        session.control.store.list()
        return session.database.location, asyncio.run(install(session.location))


def store_fleets(
    workspace: Workspace, paths: Iterable[str], *, confirm: Callable[[FleetPlan], bool], rebase: bool = False
) -> Sequence[FleetPlan]:
    """Plan the fleets of files and store those for which *confirm* returns True; return the plans of these."""
    plans = []
    for path in paths:
        with closing(_session(workspace, path)) as session:
            plan, is_stored = asyncio.run(session.store(_spec(workspace, path), confirm=confirm, rebase=rebase))
            plans += [plan] if is_stored else []
    return plans


def work_on_fleets(
    workspace: Workspace,
    paths: Sequence[str],
    *,
    kinds: Iterable[Kind],
    on_notice: Callable[[str], None],
    clock: Clock | None = None,
) -> Sequence[FleetStatus]:
    """Work on the fleets of files until they are done; return their statuses."""
    from .._fleet.worker import FleetWorker

    specs = [_spec(workspace, path) for path in paths]
    with closing(_session(workspace, paths[0], clock=clock)) as session:
        return asyncio.run(FleetWorker(session, specs, kinds=kinds, on_notice=on_notice).work())


def _spec(workspace: Workspace, path: str) -> FleetSpec:
    with open_fleet(workspace, path) as fleet:
        return fleet.spec


def _session(workspace: Workspace, path: str, *, clock: Clock | None = None) -> FleetSession:
    from .._fleet.session import FleetSession

    return FleetSession(fleet_settings(workspace, Path(workspace.folder, path), clock=clock))
