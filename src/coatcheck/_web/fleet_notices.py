"""The actions on fleets by the names that forms have, each with a notice of what it has done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .. import errors
from . import fleet_operations as operations
from .fleet_operations import FleetRequest, ItemChanges
from .formatting import plural
from .sessions import Notice

if TYPE_CHECKING:
    from .site import Site

# So many keys of items, or refs of tasks, are in a notice.
LISTED = 20
NOTHING_RUNS = "Where no process works on the fleet: coatcheck fleet run FILE"


def _approve(site: Site, request: FleetRequest) -> Notice:
    return _of_items(operations.approve(site, request), "Approved")


def _reject(site: Site, request: FleetRequest) -> Notice:
    return _of_items(operations.reject(site, request), "Rejected")


def _retry(site: Site, request: FleetRequest) -> Notice:
    return _of_items(operations.retry(site, request), "Sent back to work:")


def _of_items(changes: ItemChanges, word: str) -> Notice:
    items, wave = changes
    parts = [*([plural(len(items), "item")] if items else []), *([f"wave {wave}"] if wave else [])]
    if not parts:
        return Notice("Nothing was changed: no item is in a state for it.")
    lines = [each.key for each in items[:LISTED]]
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return Notice(f"{word} {' and '.join(parts)}. {NOTHING_RUNS}", (*lines, *more))


def _pause(site: Site, request: FleetRequest) -> Notice:
    is_changed = operations.pause(site, request)
    return Notice(f"{request.fleet} is paused." if is_changed else f"{request.fleet} was not running.")


def _resume(site: Site, request: FleetRequest) -> Notice:
    if not operations.resume(site, request):
        return Notice(f"{request.fleet} was not paused.")
    return Notice(f"{request.fleet} may run again. {NOTHING_RUNS}")


def _cancel(site: Site, request: FleetRequest) -> Notice:
    running = operations.cancel(site, request)
    lines = tuple(str(each.ref) for each in running[:LISTED] if each.ref)
    rest = f" {plural(len(running), 'task')} still run at their services; cancel them there." if running else ""
    return Notice(f"{request.fleet} is cancelled.{rest}", lines)


def _deliver(site: Site, request: FleetRequest) -> Notice:
    try:
        operations.deliver(site, request)
    except errors.ConflictError:
        return Notice("A delivery of this fleet is running already.", is_error=True)
    return Notice("The delivery has begun; its result is shown here.")


ACTIONS: Mapping[str, Callable[[Site, FleetRequest], Notice]] = {
    "approve": _approve,
    "reject": _reject,
    "retry": _retry,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "deliver": _deliver,
}
