"""Work on a fleet until nothing is left to do without a person or a quota."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from .. import errors
from .._model.fleets import FleetStatus, ItemState
from .context import FleetContext
from .delivery import Deliverer
from .due_jobs import DueJobs
from .engine import Handler, Job, Kind
from .item_order import ordered_items
from .loop import LoopEngine
from .merge_queue import MergeQueue
from .rebased_check import RebasedCheck
from .reviewing import Review, Reviewer
from .submission import Submitter
from .sweep import Sweeper
from .target import Deliver

# How long a database server may be away (seconds): it is restarted, or another one takes its place.
SERVER_PATIENCE = 300.0


class FleetRunner:
    """Works on one fleet.

    *review* checks and ranks the candidates of an item, *targets* deliver by kind, after *queue* has merged.
    """

    def __init__(
        self, context: FleetContext, review: Review, targets: Mapping[str, Deliver], queue: MergeQueue | None = None
    ) -> None:
        self.context = context
        self.handlers: Mapping[Kind, Handler] = {
            "submit": Submitter(context),
            "sweep": Sweeper(context),
            "review": Reviewer(context, review),
            "deliver": Deliverer(context, targets, queue, RebasedCheck(context, review)),
        }

    @property
    def slots(self) -> Mapping[Kind, int]:
        """How many jobs of each kind run at once: submissions wait, and must not keep checks from running."""
        options = self.context.options
        return {
            "submit": options.submissions,
            "sweep": options.sweeps,
            "review": options.reviews,
            "deliver": options.deliveries,
        }

    async def run(self, *, waits: bool = False, on_status: Callable[[FleetStatus], None] | None = None) -> FleetStatus:
        """Work until a person or a quota is needed, with *waits* until the fleet is done; return its status.

        *on_status* is called once a second with the status.
        """
        context = self.context
        due = DueJobs(context, waits=waits, on_status=on_status)
        engine = LoopEngine(
            due,
            clock=context.clock,
            on_error=self.report,
            seconds=context.options.tick,
            on_outage=lambda error: context.notice(f"{error}; it is tried again"),
            patience=SERVER_PATIENCE if context.store.database.dialect == "postgres" else 0.0,
        )
        try:
            await engine.work(self.handlers, self.slots)
        finally:
            self.leave()
        return msgspec.structs.replace(
            context.store.status(context.fleet),
            deliveries_held=context.deliveries_held,
            outage="" if waits else context.outage(),
        )

    def leave(self) -> None:
        """Record that this process does not work on the fleet any more; a store that cannot be written is left as it is."""
        with suppress(errors.StoreError):
            self.context.workers.remove(self.context.fleet.id)

    async def deliver(self) -> FleetStatus:
        """Deliver the approved items, in their merge order; return the status of the fleet."""
        context = self.context
        context.workers.record(context.fleet.id)
        try:
            context.gates.carry_out(context.store, context.fleet.id, context.fleet.name)
            for state in (ItemState.DELIVERING, ItemState.APPROVED):
                for each in ordered_items(context.store, context.work, context.fleet.id, [state]):
                    await self.handlers["deliver"](Job("deliver", each.item.id))
        finally:
            self.leave()
        return msgspec.structs.replace(context.store.status(context.fleet), deliveries_held=context.deliveries_held)

    def report(self, job: Job, error: errors.CoatcheckError) -> None:
        """Report the error of a job: what it concerns is tried again when it is due."""
        remedy = f"; {error.remedy}" if error.remedy else ""
        self.context.notice(f"{job.kind} {job.id}: {error}{remedy}")
