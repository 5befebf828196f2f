"""What programs send about fleets."""

from __future__ import annotations

from ..._model.fleets import ItemState
from .bodies import Body, Limit, NumberCursor, Reason, Short


class ItemSelection(Body, frozen=True, kw_only=True):
    """Items of a fleet: those with `keys`, or with `is_all` all that are in a state for the action."""

    keys: tuple[Short, ...] = ()
    is_all: bool = False

    def __post_init__(self) -> None:
        """Refuse a body that names no item, so that a list that is empty by mistake does not select every item."""
        if bool(self.keys) is self.is_all:
            message = "either keys or is_all is required"
            raise ValueError(message)


class ItemsDecision(ItemSelection, frozen=True, kw_only=True):
    """A decision about items; with `is_all` also about the wave that waits."""

    why: Reason | None = None


class ItemsRetry(ItemSelection, frozen=True, kw_only=True):
    """Items to send back to work; with `is_uncertain` those for which a task may exist that nobody knows."""

    is_uncertain: bool = False


class ItemDecision(Body, frozen=True, kw_only=True):
    """A decision about one item; `digest` is that of the item that was read: one that has changed is not decided."""

    digest: Short
    why: Reason | None = None


class ItemRetry(Body, frozen=True, kw_only=True):
    """One item to send back to work, as in `ItemDecision` and `ItemsRetry`."""

    digest: Short
    is_uncertain: bool = False


class FleetReason(Body, frozen=True, kw_only=True):
    """Why a fleet is paused or cancelled."""

    why: Reason | None = None


class FleetQuery(Body, frozen=True, kw_only=True):
    """Which fleets are listed; `cursor` is that of the page before."""

    cursor: NumberCursor | None = None
    limit: Limit = 50


class ItemQuery(Body, frozen=True, kw_only=True):
    """Which items are listed: in a state, with a text in their key or repository."""

    q: str = ""
    state: ItemState | None = None
    cursor: NumberCursor | None = None
    limit: Limit = 100


class MergeOrderQuery(Body, frozen=True, kw_only=True):
    """Whether git tries the merges: it takes longer, and finds the files in conflict."""

    is_tried: bool = False
