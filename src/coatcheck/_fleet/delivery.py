"""Deliver approved changes, each once.

Invariants:

- a delivery has a key, FLEET/KEY, and is stored before it begins; one that was begun and not finished, because the
  process was killed, is begun again, and the target recognizes what is there already;
- a change that conflicts with those that were delivered before it is sent back to its service (`send_back.py`), at most
  twice, and then waits for a person as "conflict"; any other error leaves the item "failed"; neither stops the fleet;
- where as many pull requests are open as allowed, the item stays approved.

`delivery_targets.py` and `pull_requests.py` have the targets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from .. import errors
from .._model.fleets import FleetDelivery, FleetItem, ItemState
from .._patches.parse import Patch
from . import event_values
from .branch_names import branch_name
from .branch_push import TRAILER, one_line
from .context import FleetContext
from .engine import Job
from .merge_queue import DeliveredChange, MergeQueue
from .merge_trial import MergeConflictError
from .send_back import send_back

# A forge that asks to wait longer than this ends the attempt (seconds).
MAX_PAUSE = 900.0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A change to deliver: `patch` applies on the commit `base`.

    `branch` is the name of the branch, `message` that of its commit; `why` says why the change was chosen.
    `repositories` are those that the fleet has delivered to, and the item's.
    """

    fleet: str
    key: str
    item: FleetItem
    patch: Patch
    base: str | None
    branch: str
    message: str
    task: str
    title: str = ""
    why: str = ""
    repositories: tuple[str, ...] = ()


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change was delivered to."""

    branch: str | None = None
    commit: str | None = None
    url: str | None = None


class TooManyOpenError(errors.CoatcheckError):
    """As many pull requests of the fleet are open as `deliver.max_open` allows."""


class Deliver(Protocol):
    """A kind of delivery; blocks, and runs in a thread."""

    def __call__(self, delivery: Delivery) -> Delivered:
        """Deliver a change; one that is there already is left as it is. Raises `PatchConflictError` where it does not fit."""
        ...


class Deliverer:
    """The handler of "deliver" jobs; *queue* checks that changes of branches and pull requests merge."""

    def __init__(self, context: FleetContext, targets: Mapping[str, Deliver], queue: MergeQueue | None = None) -> None:
        self._context, self._targets, self._queue = context, targets, queue

    async def __call__(self, job: Job) -> bool:
        """Deliver the item of a job; whether its state has changed."""
        context = self._context
        item = context.store.item(int(job.id))
        if item.state is ItemState.APPROVED:
            if context.deliveries_held or not context.store.change_item(
                item.id, ItemState.APPROVED, ItemState.DELIVERING, why=item.why, is_durable=False
            ):
                return False
        elif item.state is not ItemState.DELIVERING:
            return False
        begun = context.work.begin_delivery(
            context.fleet.id, item.id, key=f"{context.fleet.name}/{item.key}", kind=self._kind
        )
        try:
            delivered = await self._delivered(item)
        except errors.CoatcheckError as error:
            return self._record(item, begun, error)
        return self._finish(
            item, begun, ItemState.DELIVERED, branch=delivered.branch, commit=delivered.commit, url=delivered.url
        )

    def _record(self, item: FleetItem, begun: FleetDelivery, error: errors.CoatcheckError) -> bool:
        """Record why an item was not delivered; whether its state has changed."""
        if isinstance(error, TooManyOpenError):
            return self._hold(item, str(error))
        if isinstance(error, MergeConflictError) and send_back(self._context, item, begun, error):
            return True
        is_conflict = isinstance(error, errors.PatchConflictError)
        state = ItemState.CONFLICT if is_conflict else ItemState.FAILED
        return self._finish(item, begun, state, error=str(error) if is_conflict else _line(error))

    @property
    def _kind(self) -> str:
        return self._context.spec.sections.deliver.to

    async def _delivered(self, item: FleetItem) -> Delivered:
        """Deliver an item; once more after the pause that the forge asks for."""
        try:
            return await asyncio.to_thread(self._deliver, item)
        except errors.RateLimitError as error:
            pause = error.retry_after or 60.0
            if pause > MAX_PAUSE:
                raise
            self._context.notice(f"deliver {item.key}: {error}; trying again in {pause:.0f} s")
            await self._context.clock.asleep(pause)
            return await asyncio.to_thread(self._deliver, item)

    def _deliver(self, item: FleetItem) -> Delivered:
        delivery = delivery_of(self._context, item)
        if self._queue is not None and self._kind != "patch":
            earlier = delivered_before(self._context, item)
            fitted = self._queue.fit(item.repository or "", item.base, delivery.patch, delivery.base, earlier)
            delivery = msgspec.structs.replace(delivery, patch=fitted.patch, base=fitted.base)
        return self._targets[self._kind](delivery)

    def _hold(self, item: FleetItem, why: str) -> bool:
        """Leave an item approved until pull requests were merged or closed; nothing is delivered meanwhile."""
        context = self._context
        context.deliveries_held = why
        return context.store.change_item(item.id, ItemState.DELIVERING, ItemState.APPROVED, why=why, is_durable=False)

    def _finish(self, item: FleetItem, begun: FleetDelivery, state: ItemState, **result: str | None) -> bool:
        context = self._context
        places = {name: value for name, value in result.items() if name != "error"}
        fields = places if state is ItemState.DELIVERED else {}
        events = event_values.changed(
            context.fleet.name, item, state, context.clock.time(), by=None, why=result.get("error"), **fields
        )
        return context.work.finish_delivery(begun, state, events=events, **result)


def delivery_of(context: FleetContext, item: FleetItem) -> Delivery:
    """Return the delivery of an item's chosen candidate. Raises `ConfigurationError` for a branch that cannot be one."""
    candidate = context.store.candidate(item.chosen or 0)
    key = f"{context.fleet.name}/{item.key}"
    title = one_line(item.title or f"{context.fleet.name}: {item.key}")
    return Delivery(
        fleet=context.fleet.name,
        key=key,
        item=item,
        patch=Patch.parse(context.submissions.patch(candidate.patch or "")),
        base=candidate.base_commit or item.base_commit,
        branch=branch_name(context.spec.sections.deliver.branch, fleet=context.fleet.name, key=item.key),
        message=f"{title}\n\nCoatcheck-Task: {candidate.ref}\n{TRAILER}: {one_line(key)}\n",
        task=str(candidate.ref),
        title=title,
        why=item.why or "",
        repositories=_repositories(context, item),
    )


def _repositories(context: FleetContext, item: FleetItem) -> tuple[str, ...]:
    done = [each.item for each in context.work.deliveries(context.fleet.id) if each.state == "done"]
    names = [context.store.item(number).repository for number in done] if context.spec.sections.deliver.max_open else []
    return tuple(dict.fromkeys(name for name in (*names, item.repository) if name))


def delivered_before(context: FleetContext, item: FleetItem) -> Sequence[DeliveredChange]:
    """Return what was delivered to the same branch of the same repository, in the order of delivery."""
    changes = []
    for each in context.work.deliveries(context.fleet.id):
        if each.state != "done" or each.kind == "patch" or each.item == item.id:
            continue
        other = context.store.item(each.item)
        if (other.repository, other.base) == (item.repository, item.base) and other.chosen is not None:
            changes.append(_delivered_change(context, each.key, other))
    return changes


def _delivered_change(context: FleetContext, key: str, item: FleetItem) -> DeliveredChange:
    candidate = context.store.candidate(item.chosen or 0)
    digest = candidate.patch or ""
    return DeliveredChange(
        key, candidate.base_commit or item.base_commit, lambda: Patch.parse(context.submissions.patch(digest))
    )


def _line(error: errors.CoatcheckError) -> str:
    """Return an error with its remedy as one line."""
    return one_line(" ".join(filter(None, (f"{error};", error.remedy))).rstrip(";"))
