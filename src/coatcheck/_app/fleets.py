"""Open fleets with the settings, the store and the checkout of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .checkout import repositories
from .task_history import has_store, location_of

if TYPE_CHECKING:
    from .._fleet.control import FleetControl
    from .._fleet.fleet import Fleet
    from .._fleet.session import FleetSettings
    from .._protocol.effects import Clock
    from .workspace import Workspace


def open_fleet(workspace: Workspace, path: str, *, clock: Clock | None = None) -> Fleet:
    """Return the fleet of a file, which knows the checkout that contains the current folder by its remotes.

    Raises `ConfigurationError` that names the file and the key.
    """
    from .._fleet.file import in_file, read_file
    from .._fleet.fleet import Fleet

    file = Path(workspace.folder, path)
    sections = read_file(file)
    settings = fleet_settings(workspace, file, clock=clock)
    return in_file(file, lambda: Fleet.of(sections, settings))


def fleet_settings(workspace: Workspace, file: Path, *, clock: Clock | None = None) -> FleetSettings:
    """Return the settings of the fleet of a file."""
    from .._fleet.session import FleetSettings

    root = workspace.root
    return FleetSettings(
        config=workspace.config,
        environ=workspace.environ,
        clock=clock,
        folder=file.absolute().parent,
        checkouts={name.lower(): root for name in repositories(root)} if root else {},
    )


@contextmanager
def fleet_control(workspace: Workspace, *, clock: Clock | None = None) -> Iterator[FleetControl | None]:
    """Open the fleets of the person's store to read them and to decide; None where there is no store."""
    from .._fleet.control import FleetControl
    from .._runtime.system_clock import SystemClock
    from .._store.location import open_database

    if not has_store(workspace.config):
        yield None
        return
    with closing(open_database(location_of(workspace.config))) as database:
        yield FleetControl(database, clock=clock or SystemClock())


def person(workspace: Workspace) -> str:
    """Return who decides: the login name of this user."""
    import getpass

    names = (workspace.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME"))
    if name := next(filter(None, names), None):
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry of this user
        return "unknown"
