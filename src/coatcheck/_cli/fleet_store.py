"""Open the fleets of this user for a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    from .._fleet.control import FleetControl
    from .._model.fleets import FleetItem, FleetStatus
    from .context import CommandContext

# How many items that failed a status names.
FAILURES_SHOWN = 5


@contextmanager
def opened(run: CommandContext, name: str) -> Iterator[FleetControl]:
    """Open the fleets of this user. Raises `ConfigurationError` where there is no store, and so no fleet *name*."""
    from .._app.fleets import fleet_control

    with fleet_control(run.workspace, clock=run.process_env.clock) as control:
        if control is None:
            raise errors.ConfigurationError(
                f"there is no fleet {name!r}", remedy="run one with: coatcheck fleet run FILE"
            )
        yield control


def failures_of(run: CommandContext, status: FleetStatus) -> Sequence[FleetItem]:
    """Return some items of a fleet that failed."""
    from .._model.fleets import FAILED_ITEMS

    if not any(status.items.get(state) for state in FAILED_ITEMS):
        return ()
    with opened(run, status.fleet.name) as control:
        return control.failures(status.fleet.name, limit=FAILURES_SHOWN)
