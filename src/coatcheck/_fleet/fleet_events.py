"""The events of a candidate and of a review, one for each change of state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._model import fleet_events as events
from .._model.fleets import CandidateState, FleetCandidate, FleetItem, ItemState
from .event_values import ITEM_EVENTS, item_event

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._model.tasks import TaskRef
    from .context import FleetContext

# States of a candidate as words of `TaskState`.
_TASK_STATES = {
    CandidateState.ENDED: "succeeded",
    CandidateState.EMPTY: "succeeded",
    CandidateState.FAILED: "failed",
    CandidateState.CANCELLED: "cancelled",
    CandidateState.EXPIRED: "expired",
    CandidateState.UNCERTAIN: "unknown",
}


def submitted(context: FleetContext, candidate: FleetCandidate, ref: TaskRef) -> Sequence[AnyEvent]:
    """Return the event of a submitted candidate."""
    return [_of_candidate(context, candidate, events.ItemSubmitted, ref=str(ref))]


def parked(context: FleetContext, candidate: FleetCandidate, reason: str) -> Sequence[AnyEvent]:
    """Return the event of a candidate whose account was parked."""
    return [_of_candidate(context, candidate, events.ItemParked, why=reason)]


def ended(
    context: FleetContext, candidate: FleetCandidate, state: CandidateState, reason: str | None
) -> Sequence[AnyEvent]:
    """Return the event of a candidate whose task has ended."""
    fields: dict[str, Any] = {"state": _TASK_STATES[state], "why": reason}
    if candidate.ref is not None:
        fields["ref"] = str(candidate.ref)
    return [_of_candidate(context, candidate, events.ItemEnded, **fields)]


def reviewed(
    context: FleetContext,
    item: FleetItem,
    state: ItemState,
    why: str,
    chosen: FleetCandidate | None,
    *,
    is_passed: bool,
) -> Sequence[AnyEvent]:
    """Return the events of a reviewed item: what the checks found, and what was chosen or that nothing was."""
    ref = None if chosen is None else str(chosen.ref)
    now, fleet = context.clock.time(), context.fleet.name
    return [
        item_event(events.ItemVerified, fleet, item.key, now, is_passed=is_passed, ref=ref),
        item_event(ITEM_EVENTS[state], fleet, item.key, now, why=why, ref=ref),
    ]


def _of_candidate(
    context: FleetContext, candidate: FleetCandidate, kind: type[events.ItemEventBase], **fields: Any
) -> AnyEvent:
    key, name = context.key_of(candidate.item), f"{candidate.provider}/{candidate.attempt}"
    return item_event(kind, context.fleet.name, key, context.clock.time(), candidate=name, **fields)
