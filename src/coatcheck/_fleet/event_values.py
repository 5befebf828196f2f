"""Make events of fleets and items (`_model/fleet_events.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .._model import fleet_events as events
from .._model.fleets import FleetItem, ItemState

if TYPE_CHECKING:
    from .._model.events import AnyEvent

ITEM_EVENTS: dict[ItemState, type[events.ItemEventBase]] = {
    ItemState.RANKED: events.ItemRanked,
    ItemState.WAITING: events.ItemWaiting,
    ItemState.APPROVED: events.ItemApproved,
    ItemState.REJECTED: events.ItemRejected,
    ItemState.DELIVERED: events.ItemDelivered,
    ItemState.CONFLICT: events.ItemConflict,
    ItemState.FAILED: events.ItemFailed,
    ItemState.EXHAUSTED: events.ItemFailed,
}


def subject_of(fleet: str) -> str:
    """Return the subject of the events of a fleet."""
    return f"fleet:{fleet}"


def fleet_event(kind: type[events.FleetEventBase], fleet: str, now: float, **fields: Any) -> AnyEvent:
    """Return an event of a whole fleet."""
    at = datetime.fromtimestamp(now, UTC)
    return kind(subject=subject_of(fleet), fleet=fleet, at=at, **fields)  # type: ignore[return-value] # each class is a member


def item_event(kind: type[events.ItemEventBase], fleet: str, item: str, now: float, **fields: Any) -> AnyEvent:
    """Return an event of an item."""
    at = datetime.fromtimestamp(now, UTC)
    return kind(subject=subject_of(fleet), fleet=fleet, item=item, at=at, **fields)  # type: ignore[return-value] # as above


def changed(
    fleet: str, item: FleetItem, state: ItemState, now: float, *, by: str | None, why: str | None, **fields: Any
) -> Sequence[AnyEvent]:
    """Return the event of an item that was decided or delivered; none for a state without one."""
    kind = ITEM_EVENTS.get(state)
    return [] if kind is None else [item_event(kind, fleet, item.key, now, by=by, why=why, **fields)]
