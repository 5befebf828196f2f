"""Read from the tables what a fleet has to do next, and change what follows from its state as a whole.

Invariants:

- everything that is due is found here, whatever was lost: what was under way before a crash, open items whose
  candidates have ended, items that were ranked and not decided, approved items;
- a fleet stops submitting before the next submission that would exceed its budget, its deadline or its rate of failures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from .._model import fleet_events as events
from .._model.fleets import (
    ACTIVE_CANDIDATES,
    FAILED_CANDIDATES,
    SETTLED_ITEMS,
    SWEPT_CANDIDATES,
    CandidateState,
    FleetItem,
    FleetState,
    FleetStatus,
    ItemState,
)
from .._store.fleet_workers import RECORD_SECONDS
from . import event_values
from .context import FleetContext
from .engine import Job
from .item_order import ordered_items

# Candidates whose tasks have ended, which the rate of failures is a share of.
_ENDED = FAILED_CANDIDATES | {CandidateState.ENDED, CandidateState.VERIFIED}
# How often deliveries that are held are tried again (seconds).
HELD_SECONDS = 60.0


class DueJobs:
    """What is due, for the engine of one machine. With *waits* it continues until the fleet is done."""

    def __init__(
        self,
        context: FleetContext,
        *,
        waits: bool = False,
        on_status: Callable[[FleetStatus], None] | None = None,
    ) -> None:
        self._context, self._waits, self._on_status = context, waits, on_status
        self._redriven_at: float | None = None
        self._held_at = context.clock.monotonic()
        self._recorded_at: float | None = None
        self.status: FleetStatus = context.store.status(context.fleet)

    def __call__(self, *, is_tick: bool) -> tuple[Sequence[Job], bool]:
        """Return jobs, and whether anything is left to do without a person or a quota."""
        context = self._context
        jobs = [] if context.fleet.state is FleetState.PAUSED else [*context.follow_ups]
        context.follow_ups.clear()
        if is_tick or context.has_failed:
            context.has_failed = False
            self.status = self._status()
            context.fleet = self.status.fleet
            self._advance()
        if is_tick:
            self._record_worker()
            if self._on_status is not None:
                self._on_status(self.status)
            jobs += self._sweeps()
            jobs += self._redriven()
        submissions = [*self._submissions()]
        is_going = self._waits and context.fleet.state is not FleetState.DONE
        return [*jobs, *submissions], is_going or bool(jobs or submissions) or self.status.is_active

    def _status(self) -> FleetStatus:
        """Return the status; on a fleet that continues, deliveries that are held are tried again from time to time."""
        context, now = self._context, self._context.clock.monotonic()
        if context.deliveries_held and self._waits and now - self._held_at >= HELD_SECONDS:
            context.deliveries_held, self._held_at = "", now
        outage = "" if self._waits or not context.outages else context.outage()
        return msgspec.structs.replace(
            context.store.status(context.fleet), deliveries_held=context.deliveries_held, outage=outage
        )

    def _record_worker(self) -> None:
        now = self._context.clock.monotonic()
        if self._recorded_at is None or now - self._recorded_at >= RECORD_SECONDS:
            self._recorded_at = now
            self._context.workers.record(self._context.fleet.id)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _submissions(self) -> Iterator[Job]:
        context = self._context
        if context.fleet.state is not FleetState.RUNNING:
            return
        for provider in dict.fromkeys(each.provider for each in context.spec.sections.candidates):
            limit = 2 * context.options.submissions
            if not self._may_submit(provider):
                continue
            for candidate in context.work.planned(context.fleet.id, provider, wave=context.fleet.wave, limit=limit):
                yield Job("submit", candidate.id)

    def _may_submit(self, provider: str) -> bool:
        """Whether the budget permits another task, and an account of the service is not parked."""
        context, now = self._context, self._context.clock.time()
        tasks, limit, spend = context.budget(provider)
        if tasks is not None and context.fleet.submitted >= tasks:
            return False
        if spend is not None and (self.status.spent or 0.0) >= spend:
            return False
        if limit is not None:
            active = context.store.candidates(
                context.fleet.id, states=ACTIVE_CANDIDATES, provider=provider, limit=limit
            )
            if len(active) >= limit:
                return False
        parked = {
            each.name
            for each in self.status.accounts
            if each.provider == provider and each.parked_until and each.parked_until.timestamp() > now
        }
        return any(account not in parked for account in context.accounts_of(provider))

    def _sweeps(self) -> Iterator[Job]:
        context = self._context
        if not any(self.status.candidates.get(state) for state in SWEPT_CANDIDATES):
            return
        waiting = context.sweeps.waiting(context.fleet.id)
        for provider, account in context.work.accounts_in_use(context.fleet.id):
            if (provider, account) not in waiting:
                yield Job("sweep", f"{provider}/{account}")

    def _redriven(self) -> Iterator[Job]:
        """Yield what is due although no job asked for it; at the start, and every `FleetOptions.redrive` seconds."""
        context, now = self._context, self._context.clock.monotonic()
        if context.fleet.state is FleetState.PAUSED:
            self._redriven_at = None  # everything is found again when the fleet is resumed
            return
        if self.status.items.get(ItemState.DELIVERING):
            for item in context.store.items(context.fleet.id, states=[ItemState.DELIVERING], limit=100):
                yield Job("deliver", item.id)
        if self.status.items.get(ItemState.APPROVED) and not context.deliveries_held:
            yield from (
                Job("deliver", each.item.id) for each in ordered_items(context.store, context.work, context.fleet.id)
            )
        if self._redriven_at is not None and now - self._redriven_at < context.options.redrive:
            return
        self._redriven_at = now
        for candidate in context.store.candidates(context.fleet.id, states=[CandidateState.SUBMITTING]):
            yield Job("submit", candidate.id)
        yield from (Job("review", item.id) for item in self._undecided())
        for item_id in context.work.reviewable(context.fleet.id, limit=1000):
            yield Job("review", item_id)

    def _undecided(self) -> Iterator[FleetItem]:
        """Yield items that were ranked by a process that has ended before it decided."""
        context, now = self._context, self._context.clock.time()
        if self.status.items.get(ItemState.RANKED):
            for item in context.store.items(context.fleet.id, states=[ItemState.RANKED], limit=1000):
                if item.changed_at is None or abs(now - item.changed_at.timestamp()) >= context.options.redrive:
                    yield item

    # --- the fleet as a whole -----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Stop, begin the next wave, or end the fleet, where its state says so."""
        context = self._context
        if context.fleet.state is FleetState.RUNNING and (reason := self._stop_reason()) is not None:
            stopped = event_values.fleet_event(
                events.FleetStopped, context.fleet.name, context.clock.time(), why=reason
            )
            context.store.change_fleet(
                context.fleet.id,
                [FleetState.RUNNING],
                FleetState.STOPPING,
                stopped_because=reason,
                events=[stopped],
            )
        self._carry_out()
        if self.status.waits_for_wave:
            self._decide_wave()
        self._end()

    def _decide_wave(self) -> None:
        """Begin the next wave, or open its gate and carry out what was decided about it."""
        context = self._context
        if context.spec.sections.rollout.between == "auto":
            context.store.begin_wave(context.fleet.id, context.fleet.wave + 1)
            context.waves.withdraw(context.fleet.name, why="waves follow one another")
        elif not context.waves.carry_out(context.store, context.fleet):
            context.waves.open(self.status, context.spec.wave_sizes(), context.policies)
            context.waves.carry_out(context.store, context.fleet)
        self.status = self._status()
        context.fleet = self.status.fleet

    def _stop_reason(self) -> str | None:
        """Return why the fleet may submit nothing more, None where it may."""
        context, sections, counts = self._context, self._context.spec.sections, self.status.candidates
        deadline = context.spec.deadline
        if deadline is not None and context.clock.time() > context.fleet.created_at.timestamp() + deadline:
            return f"its deadline of {sections.budget.deadline} has passed (budget.deadline)"
        tasks = sections.budget.tasks
        if tasks is not None and context.fleet.submitted >= tasks and counts.get(CandidateState.PLANNED):
            return f"its budget of {tasks} task{'' if tasks == 1 else 's'} is used (budget.tasks)"
        spend = sections.budget.spend
        if spend is not None and (self.status.spent or 0.0) >= spend and counts.get(CandidateState.PLANNED):
            return f"its budget of ${spend:.2f} is spent (budget.spend)"
        limit = sections.rollout.stop_on_failure
        ended = sum(counts.get(state, 0) for state in _ENDED)
        failed = sum(counts.get(state, 0) for state in FAILED_CANDIDATES)
        if limit is not None and ended >= sections.rollout.stop_after and failed / ended >= limit:
            return f"{failed} of {ended} tasks failed (rollout.stop_on_failure)"
        return None

    def _carry_out(self) -> None:
        """Change the items whose gates were decided, by whichever way, or whose deadlines have passed."""
        context = self._context
        if self.status.items.get(ItemState.WAITING):
            context.gates.carry_out(context.store, context.fleet.id, context.fleet.name)
            self.status = self._status()

    def _end(self) -> None:
        """Record that a fleet is done: every item is settled, or it stops and nothing is under way."""
        context, status = self._context, self.status
        is_settled = not any(count for state, count in status.items.items() if state not in SETTLED_ITEMS)
        is_stopped = status.fleet.state is FleetState.STOPPING and not status.is_active and not self._is_reviewable()
        if not is_settled and (not is_stopped or status.items.get(ItemState.WAITING)):
            return
        reason = status.fleet.stopped_because
        done = event_values.fleet_event(events.FleetDone, context.fleet.name, context.clock.time(), why=reason)
        states = [FleetState.RUNNING, FleetState.STOPPING]
        context.store.change_fleet(context.fleet.id, states, FleetState.DONE, stopped_because=reason, events=[done])

    def _is_reviewable(self) -> bool:
        return bool(self._context.work.reviewable(self._context.fleet.id, limit=1))
