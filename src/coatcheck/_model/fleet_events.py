"""Events of fleets and of their items; the subject of all is ``fleet:NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .._values.value import JsonFields
from .event_base import SUBJECT_FIELDS, SubjectEvent

if TYPE_CHECKING:
    from datetime import datetime

_FLEET: JsonFields = {
    **SUBJECT_FIELDS,
    "fleet": "the name of the fleet",
    "by": "who caused it: a login, policy:NAME, or null for the fleet itself",
    "why": "the reason",
}
_ITEM: JsonFields = {
    **_FLEET,
    "item": "the key of the item",
    "candidate": "the candidate, where it concerns one",
    "ref": "the task of the candidate",
}


class FleetEventBase(SubjectEvent, frozen=True, kw_only=True):
    """What every event of a fleet has."""

    fleet: str
    by: str | None = None
    why: str | None = None

    _json: ClassVar[JsonFields] = _FLEET


class ItemEventBase(FleetEventBase, frozen=True, kw_only=True):
    """What every event of an item has; `ref` is the task of the candidate, as text."""

    item: str
    candidate: str | None = None
    ref: str | None = None

    _json: ClassVar[JsonFields] = _ITEM


class FleetStarted(FleetEventBase, frozen=True, kw_only=True):
    """The fleet began, or was continued after its process ended."""

    type: ClassVar[Literal["fleet.started"]] = "fleet.started"


class FleetPaused(FleetEventBase, frozen=True, kw_only=True):
    """The fleet submits nothing until it is resumed."""

    type: ClassVar[Literal["fleet.paused"]] = "fleet.paused"


class FleetResumed(FleetEventBase, frozen=True, kw_only=True):
    """The fleet submits again."""

    type: ClassVar[Literal["fleet.resumed"]] = "fleet.resumed"


class FleetStopped(FleetEventBase, frozen=True, kw_only=True):
    """The fleet was stopped by its budget, by failures or by a person; `why` has the reason."""

    type: ClassVar[Literal["fleet.stopped"]] = "fleet.stopped"


class FleetDone(FleetEventBase, frozen=True, kw_only=True):
    """No item of the fleet is open any more, or it was stopped and nothing is under way; then `why` has the reason."""

    type: ClassVar[Literal["fleet.done"]] = "fleet.done"


class ItemSubmitted(ItemEventBase, frozen=True, kw_only=True):
    """A candidate of the item was submitted."""

    type: ClassVar[Literal["item.submitted"]] = "item.submitted"


class ItemEnded(ItemEventBase, frozen=True, kw_only=True):
    """A candidate of the item has ended."""

    type: ClassVar[Literal["item.ended"]] = "item.ended"

    state: str | None = None

    _json: ClassVar[JsonFields] = {**_ITEM, "state": "a word of TaskState"}


class ItemVerified(ItemEventBase, frozen=True, kw_only=True):
    """The checks of a candidate have ended."""

    type: ClassVar[Literal["item.verified"]] = "item.verified"

    is_passed: bool

    _json: ClassVar[JsonFields] = {**_ITEM, "is_passed": "whether each required check passed"}


class ItemRanked(ItemEventBase, frozen=True, kw_only=True):
    """The candidates of the item were ranked; `candidate` is the best one that may be chosen."""

    type: ClassVar[Literal["item.ranked"]] = "item.ranked"


class ItemWaiting(ItemEventBase, frozen=True, kw_only=True):
    """The item waits for a decision."""

    type: ClassVar[Literal["item.waiting"]] = "item.waiting"

    gate: str | None = None

    _json: ClassVar[JsonFields] = {**_ITEM, "gate": "the id of the gate"}


class ItemApproved(ItemEventBase, frozen=True, kw_only=True):
    """The delivery of the item was approved."""

    type: ClassVar[Literal["item.approved"]] = "item.approved"


class ItemRejected(ItemEventBase, frozen=True, kw_only=True):
    """The delivery of the item was rejected."""

    type: ClassVar[Literal["item.rejected"]] = "item.rejected"


class ItemDelivered(ItemEventBase, frozen=True, kw_only=True):
    """The chosen change was delivered."""

    type: ClassVar[Literal["item.delivered"]] = "item.delivered"

    url: str | None = None
    branch: str | None = None
    commit: str | None = None

    _json: ClassVar[JsonFields] = {**_ITEM, "url": "the pull request", "branch": "the branch", "commit": "the commit"}


class ItemConflict(ItemEventBase, frozen=True, kw_only=True):
    """The chosen change conflicts with changes that were delivered before."""

    type: ClassVar[Literal["item.conflict"]] = "item.conflict"


class ItemFailed(ItemEventBase, frozen=True, kw_only=True):
    """A candidate or the delivery of the item failed; `why` has the reason."""

    type: ClassVar[Literal["item.failed"]] = "item.failed"


class ItemParked(ItemEventBase, frozen=True, kw_only=True):
    """A candidate waits for its account's quota."""

    type: ClassVar[Literal["item.parked"]] = "item.parked"

    until: datetime | None = None

    _json: ClassVar[JsonFields] = {**_ITEM, "until": "when it is tried again"}


FleetEvent: TypeAlias = (
    FleetStarted
    | FleetPaused
    | FleetResumed
    | FleetStopped
    | FleetDone
    | ItemSubmitted
    | ItemEnded
    | ItemVerified
    | ItemRanked
    | ItemWaiting
    | ItemApproved
    | ItemRejected
    | ItemDelivered
    | ItemConflict
    | ItemFailed
    | ItemParked
)
