"""What the page and programs change about fleets: the use cases of ``coatcheck fleet``; they return what has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._app.fleet_deliveries import deliver_fleet
from .._app.fleets import person
from .._model.fleets import FleetItem, ItemState
from .._model.gates import digest_of
from .formatting import plural
from .operations import record

if TYPE_CHECKING:
    from .._app.audit import Channel
    from .._model.fleets import FleetCandidate, FleetStatus
    from .site import Site


class FleetRequest(NamedTuple):
    """What a form or a program requests: a fleet, the keys of items (none for all), and a reason."""

    fleet: str
    keys: tuple[str, ...] = ()
    why: str | None = None
    is_uncertain: bool = False
    via: Channel = "web"


class ItemChanges(NamedTuple):
    """The items that were changed, and the number, from 1, of the wave that was decided."""

    items: Sequence[FleetItem]
    wave: int | None = None


def approve(site: Site, request: FleetRequest) -> ItemChanges:
    """Approve waiting items, and begin the wave that waits where no item is named."""
    wave = _waiting_wave(site, request)
    return ItemChanges(
        site.fleets.approve(request.fleet, request.keys, by=person(site.workspace), why=request.why), wave
    )


def reject(site: Site, request: FleetRequest) -> ItemChanges:
    """Reject waiting items, and stop before the wave that waits where no item is named."""
    wave = _waiting_wave(site, request)
    return ItemChanges(
        site.fleets.reject(request.fleet, request.keys, by=person(site.workspace), why=request.why), wave
    )


def retry(site: Site, request: FleetRequest) -> ItemChanges:
    """Send items that failed back to work."""
    by = person(site.workspace)
    return ItemChanges(site.fleets.retry(request.fleet, request.keys, uncertain=request.is_uncertain, by=by))


def pause(site: Site, request: FleetRequest) -> bool:
    """Start nothing more until the fleet is resumed; whether it was running."""
    return site.fleets.pause(request.fleet, by=person(site.workspace), why=request.why)


def resume(site: Site, request: FleetRequest) -> bool:
    """Continue a fleet; whether it was paused, stopped or done."""
    return site.fleets.resume(request.fleet, by=person(site.workspace))


def cancel(site: Site, request: FleetRequest) -> Sequence[FleetCandidate]:
    """Cancel what was not delivered; return the candidates whose tasks still run at their services."""
    return site.fleets.cancel(request.fleet, by=person(site.workspace), why=request.why)


def deliver(site: Site, request: FleetRequest) -> None:
    """Start to deliver the approved items in their merge order. Raises `ConflictError` while a delivery runs."""
    name, workspace, clock = request.fleet, site.workspace, site.clock
    site.fleets.get(name)

    def run(on_notice: Callable[[str], None]) -> FleetStatus:
        record(site, "deliver", f"fleet:{name}", request.via, "begun")
        result = "it ended with an error"
        try:
            status = deliver_fleet(workspace, name, on_notice=on_notice, clock=clock)
            result = f"ended: {plural(status.items.get(ItemState.DELIVERED, 0), 'item')} delivered so far"
        finally:
            record(site, "deliver", f"fleet:{name}", request.via, result)
        return status

    if not site.delivery_jobs.start(name, run):
        raise errors.ConflictError(
            f"a delivery of the fleet {name} is running already", status=409, remedy="wait for its end"
        )


def require_keys(keys: Sequence[str]) -> None:
    """Raise `ConfigurationError` where no item was chosen: an action without a key is about every item."""
    if not keys:
        raise errors.ConfigurationError("no item is chosen", remedy="tick items in the table first")


def require_same(item: FleetItem, digest: str) -> None:
    """Raise `ConflictError` unless an item is as it was shown, with this digest."""
    if digest != digest_of_item(item):
        raise errors.ConflictError(
            f"the item {item.key} has changed since it was shown: it is {item.state}",
            status=409,
            remedy="load it again, and decide about what it shows",
        )


def digest_of_item(item: FleetItem) -> str:
    """Return the digest of what is decided: the state of the item, since when, and the chosen candidate."""
    return digest_of(item.state.value.encode(), str(item.changed_at), str(item.chosen))


def _waiting_wave(site: Site, request: FleetRequest) -> int | None:
    """Return the number, from 1, of the wave that the request decides; None where it decides none."""
    if request.keys:
        return None
    status = site.fleets.status(request.fleet)
    return status.fleet.wave + 2 if status.waits_for_wave else None
