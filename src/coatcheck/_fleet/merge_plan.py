"""What a delivery would do: the merge order of each repository, and what conflicts. Delivers and stores nothing."""

from __future__ import annotations

from typing import ClassVar

from .. import errors
from .._model.fleets import FleetItem, ItemState
from .._values.value import JsonFields, Value
from .context import FleetContext
from .delivery import delivery_of
from .earlier_deliveries import delivered_before
from .item_order import ordered_items
from .merge_order import Ordered
from .merge_queue import DeliveredChange, MergeQueue
from .merge_trial import MergeConflictError

# Items whose changes are delivered, and those that could be.
STATES = (ItemState.APPROVED, ItemState.DELIVERING, ItemState.WAITING, ItemState.CONFLICT)


class PlannedDelivery(Value, frozen=True, kw_only=True):
    """An item in the order of delivery. `conflict` are the files in conflict with changes before it, as git merges them."""

    key: str
    state: ItemState
    repository: str | None = None
    branch: str | None = None
    overlaps: str | None = None
    is_rebased: bool = False
    problem: str | None = None
    conflict: str | None = None

    _json: ClassVar[JsonFields] = {
        "key": "the key of the item",
        "state": "a word of ItemState; only approved items are delivered",
        "repository": "the repository that it changes",
        "branch": "the branch that is pushed",
        "overlaps": "the key of an item before it that changes the same lines",
        "is_rebased": "whether its branch starts at the present commit of the base branch",
        "problem": "why it cannot be delivered",
        "conflict": "the files in conflict, with git's markers",
    }


class MergePlan(Value, frozen=True, kw_only=True):
    """The order in which the items of a fleet are delivered."""

    fleet: str
    items: tuple[PlannedDelivery, ...] = ()

    _json: ClassVar[JsonFields] = {
        "fleet": "the name of the fleet",
        "items": "planned delivery objects, in their order",
    }


def plan_deliveries(context: FleetContext, queue: MergeQueue) -> MergePlan:
    """Return what a delivery would do now; items that wait for a decision are planned as if they were approved."""
    merged: dict[tuple[str | None, str | None], list[DeliveredChange]] = {}
    planned = []
    for each in ordered_items(context.store, context.work, context.fleet.id, STATES):
        place = (each.item.repository, each.item.base)
        if place not in merged:
            merged[place] = _delivered(context, queue, each.item)
        planned.append(_planned(context, queue, each, merged[place]))
    return MergePlan(fleet=context.fleet.name, items=tuple(planned))


def _delivered(context: FleetContext, queue: MergeQueue, item: FleetItem) -> list[DeliveredChange]:
    """Return what is delivered already; nothing where the repository cannot be read, which is the problem of each item."""
    try:
        return [*delivered_before(context, item, queue.repositories).changes]
    except errors.CoatcheckError:
        return []


def _planned(
    context: FleetContext, queue: MergeQueue, ordered: Ordered[FleetItem], merged: list[DeliveredChange]
) -> PlannedDelivery:
    item = ordered.item
    delivery = delivery_of(context, item)
    has_branch = context.spec.sections.deliver.to != "patch"
    problem = conflict = None
    is_rebased = False
    if item.repository is not None:
        try:
            fitted = queue.fit(item.repository, item.base, delivery.patch, delivery.base, merged)
        except MergeConflictError as error:
            problem, conflict = str(error), error.conflict
        except errors.CoatcheckError as error:
            problem = str(error)
        else:
            is_rebased = has_branch and fitted.base != delivery.base
            merged.append(DeliveredChange(delivery.key, delivery.base, lambda: delivery.patch))
    return PlannedDelivery(
        key=item.key,
        state=item.state,
        repository=item.repository,
        branch=delivery.branch if has_branch else None,
        overlaps=ordered.overlaps.key if ordered.overlaps else None,
        is_rebased=is_rebased,
        problem=problem,
        conflict=conflict,
    )
