"""The order in which the approved items of a fleet are delivered: the merge order of each repository.

Better changes come first: those of fewer lines, then in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .._model.fleets import FleetItem, ItemState
from .merge_order import Change, Ordered, merge_order

if TYPE_CHECKING:
    from .._store.fleet_work import FleetWork
    from .._store.fleets import FleetStore


def ordered_items(
    store: FleetStore, work: FleetWork, fleet: int, states: Iterable[ItemState] = (ItemState.APPROVED,)
) -> Sequence[Ordered[FleetItem]]:
    """Return items in these states in the order of delivery; `overlaps` is one before it that changes the same lines."""
    groups: dict[tuple[str | None, str | None], list[Change[FleetItem]]] = {}
    patches = work.changed_lines(fleet, states)
    for item in store.items(fleet, states=states):
        size, lines = patches.get(item.id, (0, ()))
        group = groups.setdefault((item.repository, item.base), [])
        group.append(Change(item, lines, (size, item.id)))
    return [each for group in groups.values() for each in merge_order(group)]
