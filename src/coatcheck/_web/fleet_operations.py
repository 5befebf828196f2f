"""What a page changes about a fleet: the use cases of ``coatcheck fleet``, with a notice of what each has done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._app.fleet_deliveries import deliver_fleet
from .._app.fleets import person
from .._model.fleets import ItemState
from .formatting import plural
from .operations import record
from .sessions import Notice

if TYPE_CHECKING:
    from .._model.fleets import FleetItem, FleetStatus
    from .site import Site

# So many keys of items are in a notice.
LISTED = 20
NOTHING_RUNS = "Where no process works on the fleet: coatcheck fleet run FILE"


class FleetRequest(NamedTuple):
    """What a form asks for: a fleet, the keys of items (none for all), and a reason."""

    fleet: str
    keys: tuple[str, ...] = ()
    why: str | None = None
    is_uncertain: bool = False


def approve(site: Site, request: FleetRequest) -> Notice:
    """Approve waiting items, and begin the wave that waits where no item is named."""
    wave = _waiting_wave(site, request)
    items = site.fleets.approve(request.fleet, request.keys, by=person(site.workspace), why=request.why)
    return _changed_notice(items, "Approved", wave)


def reject(site: Site, request: FleetRequest) -> Notice:
    """Reject waiting items, and stop before the wave that waits where no item is named."""
    wave = _waiting_wave(site, request)
    items = site.fleets.reject(request.fleet, request.keys, by=person(site.workspace), why=request.why)
    return _changed_notice(items, "Rejected", wave)


def retry(site: Site, request: FleetRequest) -> Notice:
    """Send items that failed back to work."""
    items = site.fleets.retry(request.fleet, request.keys, uncertain=request.is_uncertain, by=person(site.workspace))
    return _changed_notice(items, "Sent back to work:")


def pause(site: Site, request: FleetRequest) -> Notice:
    """Start nothing more until the fleet is resumed."""
    is_changed = site.fleets.pause(request.fleet, by=person(site.workspace), why=request.why)
    return Notice(f"{request.fleet} is paused." if is_changed else f"{request.fleet} was not running.")


def resume(site: Site, request: FleetRequest) -> Notice:
    """Let the fleet run again."""
    if not site.fleets.resume(request.fleet, by=person(site.workspace)):
        return Notice(f"{request.fleet} was not paused.")
    return Notice(f"{request.fleet} may run again. {NOTHING_RUNS}")


def cancel(site: Site, request: FleetRequest) -> Notice:
    """Cancel what was not delivered; tasks that run are listed, and not cancelled."""
    running = site.fleets.cancel(request.fleet, by=person(site.workspace), why=request.why)
    lines = tuple(str(each.ref) for each in running[:LISTED] if each.ref)
    rest = f" {plural(len(running), 'task')} still run at their services; cancel them there." if running else ""
    return Notice(f"{request.fleet} is cancelled.{rest}", lines)


def deliver(site: Site, request: FleetRequest) -> Notice:
    """Start to deliver the approved items in their merge order."""
    name, workspace, clock = request.fleet, site.workspace, site.clock
    site.fleets.get(name)

    def run(on_notice: Callable[[str], None]) -> FleetStatus:
        record(site, "deliver", f"fleet:{name}", "web", "begun")
        result = "it ended with an error"
        try:
            status = deliver_fleet(workspace, name, on_notice=on_notice, clock=clock)
            result = f"ended: {plural(status.items.get(ItemState.DELIVERED, 0), 'item')} delivered so far"
        finally:
            record(site, "deliver", f"fleet:{name}", "web", result)
        return status

    is_started = site.delivery_jobs.start(name, run)
    if not is_started:
        return Notice("A delivery of this fleet is running already.", is_error=True)
    return Notice("The delivery has begun; its result is shown here.")


ACTIONS: Mapping[str, Callable[[Site, FleetRequest], Notice]] = {
    "approve": approve,
    "reject": reject,
    "retry": retry,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "deliver": deliver,
}


def require_keys(keys: Sequence[str]) -> None:
    """Raise `ConfigurationError` where no item was chosen: an action without a key is about every item."""
    if not keys:
        raise errors.ConfigurationError("no item is chosen", remedy="tick items in the table first")


def _waiting_wave(site: Site, request: FleetRequest) -> int | None:
    """Return the number, from 1, of the wave that the request decides; None where it decides none."""
    if request.keys:
        return None
    status = site.fleets.status(request.fleet)
    return status.fleet.wave + 2 if status.waits_for_wave else None


def _changed_notice(items: Sequence[FleetItem], word: str, wave: int | None = None) -> Notice:
    parts = [*([plural(len(items), "item")] if items else []), *([f"wave {wave}"] if wave else [])]
    if not parts:
        return Notice("Nothing was changed: no item is in a state for it.")
    lines = [each.key for each in items[:LISTED]]
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return Notice(f"{word} {' and '.join(parts)}. {NOTHING_RUNS}", (*lines, *more))
