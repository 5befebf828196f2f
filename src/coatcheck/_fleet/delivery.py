"""Deliver approved changes, each once.

Invariants:

- a delivery has a key, FLEET/KEY, and is stored before it begins; one that was begun and not finished, because the
  process was killed, is begun again, and the target recognizes what is there already;
- no two deliveries are made to one branch that were not merged with one another, also by two processes and by two fleets
  of one store: a delivery is reserved after it was merged with all that were reserved before it;
- a change that passed its checks and is rebased is checked again; one that does not pass any more waits for a person;
- a transient error of the forge is retried, `PAUSES` later;
- a change that conflicts with those that were delivered before it is sent back to its service (`send_back.py`), at most
  twice, and then waits for a person as "conflict"; any other error leaves the item "failed"; neither stops the fleet;
- where as many pull requests are open as allowed, the item stays approved.

`delivery_targets.py` and `pull_requests.py` have the targets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._model.fleets import FleetDelivery, FleetItem, ItemState
from . import event_values
from .branch_names import branch_name
from .branch_push import TRAILER, one_line
from .context import FleetContext
from .earlier_deliveries import delivered_before
from .engine import Job
from .merge_queue import MergeQueue
from .merge_trial import MergeConflictError
from .send_back import send_back
from .target import Deliver, Delivered, Delivery, TooManyOpenError

if TYPE_CHECKING:
    from .rebased_check import RebasedCheck

# A forge that asks to wait longer than this ends the attempt (seconds); how often an attempt is repeated after a transient
# error, and the pauses where the forge names none (seconds).
MAX_PAUSE = 900.0
PAUSES = (5.0, 30.0, 60.0)
TRANSIENT = (errors.RateLimitError, errors.ProviderUnavailableError, errors.TransportError)


class Deliverer:
    """The handler of "deliver" jobs; *queue* merges changes of branches and pull requests, *check* repeats their checks."""

    def __init__(
        self,
        context: FleetContext,
        targets: Mapping[str, Deliver],
        queue: MergeQueue | None = None,
        check: RebasedCheck | None = None,
    ) -> None:
        self._context, self._targets, self._queue, self._check = context, targets, queue, check

    async def __call__(self, job: Job) -> bool:
        """Deliver the item of a job; whether its state has changed."""
        context = self._context
        item = context.store.item(int(job.id))
        is_held = item.state is ItemState.APPROVED and context.deliveries_held
        if is_held or item.state not in (ItemState.APPROVED, ItemState.DELIVERING):
            return False
        begun = context.deliveries.begin(
            context.fleet.id, item, key=f"{context.fleet.name}/{item.key}", kind=self._kind
        )
        if begun is None:  # another process has changed the item
            return False
        try:
            delivered = await self._delivered(item)
        except errors.CoatcheckError as error:
            return self._record(item, begun, error)
        return self._finish(item, begun, ItemState.DELIVERED, **msgspec.structs.asdict(delivered))

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
        """Deliver an item; again after a transient error and a pause, which the forge may name."""
        for default in PAUSES:
            try:
                return await self._deliver(item)
            except TRANSIENT as error:
                pause = getattr(error, "retry_after", None) or default
                if pause > MAX_PAUSE:
                    raise
                self._context.notice(f"deliver {item.key}: {error}; trying again in {pause:.0f} s")
                await self._context.clock.asleep(pause)
        return await self._deliver(item)

    async def _deliver(self, item: FleetItem) -> Delivered:
        deliver = self._targets[self._kind]
        if self._queue is None or self._kind == "patch":
            return await asyncio.to_thread(lambda: deliver(delivery_of(self._context, item)))
        delivery = await asyncio.to_thread(delivery_of, self._context, item)
        return await asyncio.to_thread(deliver, await self._merged(self._queue, item, delivery))

    async def _merged(self, queue: MergeQueue, item: FleetItem, delivery: Delivery) -> Delivery:
        """Return a delivery as it merges after all that are made before it, and reserve it.

        Where another was reserved meanwhile, it is merged with that as well.
        """
        context, checked = self._context, (delivery.base, delivery.patch)
        while True:
            earlier = await asyncio.to_thread(delivered_before, context, item, queue.repositories)
            fitted = await asyncio.to_thread(
                queue.fit, item.repository or "", item.base, delivery.patch, delivery.base, earlier.changes
            )
            if self._check is not None and delivery.base is not None and (fitted.base, fitted.patch) != checked:
                await self._check(item, fitted)
                checked = (fitted.base, fitted.patch)
            if context.deliveries.reserve(
                context.fleet.id, item, delivery.key, after=earlier.keys, names=earlier.names
            ):
                return msgspec.structs.replace(delivery, patch=fitted.patch, base=fitted.base)

    def _hold(self, item: FleetItem, why: str) -> bool:
        """Leave an item approved until pull requests were merged or closed; nothing is delivered meanwhile."""
        context = self._context
        context.deliveries_held = why
        context.deliveries.release(f"{context.fleet.name}/{item.key}")
        return context.store.change_item(item.id, ItemState.DELIVERING, ItemState.APPROVED, why=why, is_durable=False)

    def _finish(self, item: FleetItem, begun: FleetDelivery, state: ItemState, **result: str | None) -> bool:
        context = self._context
        places = {name: value for name, value in result.items() if name in {"branch", "commit", "url"}}
        fields = places if state is ItemState.DELIVERED else {}
        events = event_values.changed(
            context.fleet.name, item, state, context.clock.time(), by=None, why=result.get("error"), **fields
        )
        return context.deliveries.finish(begun, state, events=events, **result)


def delivery_of(context: FleetContext, item: FleetItem) -> Delivery:
    """Return the delivery of an item's chosen candidate. Raises `ConfigurationError` for a branch that cannot be one."""
    candidate = context.store.candidate(item.chosen or 0)
    key = f"{context.fleet.name}/{item.key}"
    title = one_line(item.title or f"{context.fleet.name}: {item.key}")
    has_limit = context.spec.sections.deliver.max_open is not None
    count, names = context.deliveries.places(context.fleet.id) if has_limit else (0, ())
    return Delivery(
        fleet=context.fleet.name,
        key=key,
        item=item,
        patch=context.patch_of(candidate.patch or ""),
        base=candidate.base_commit or item.base_commit,
        branch=branch_name(context.spec.sections.deliver.branch, fleet=context.fleet.name, key=item.key),
        message=f"{title}\n\nCoatcheck-Task: {candidate.ref}\n{TRAILER}: {one_line(key)}\n",
        task=str(candidate.ref),
        title=title,
        why=item.why or "",
        repositories=tuple(dict.fromkeys((*names, *([item.repository] if item.repository else [])))),
        delivered=count,
    )


def _line(error: errors.CoatcheckError) -> str:
    """Return an error with its remedy as one line."""
    return one_line(" ".join(filter(None, (f"{error};", error.remedy))).rstrip(";"))
