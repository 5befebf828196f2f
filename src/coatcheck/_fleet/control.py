"""What people decide about fleets: approve, reject, retry, pause, resume, cancel.

Invariants:

- every decision is a compare-and-set with its event in the same transaction, so that two people decide once, and
  deciding again changes nothing;
- a candidate whose submission is uncertain gets a successor only where a person asks for it by `retry(uncertain=True)`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .. import errors
from .._model import fleet_events as kinds
from .._model.fleets import (
    FAILED_ITEMS,
    CandidateState,
    FleetCandidate,
    FleetDelivery,
    FleetItem,
    FleetOutcome,
    FleetRecord,
    FleetState,
    FleetStatus,
    ItemState,
)
from .._runtime.config import suggestion
from .._store.fleet_planning import PlannedCandidate
from .._store.fleet_work import FleetWork
from .._store.fleet_workers import WorkerStore
from .._store.fleets import FleetStore, move_candidate, move_item
from .._values.value import JsonFields, Value
from . import event_values

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._model.gates import Effect, Via
    from .._protocol.effects import Clock
    from .._store.database import Database
    from .._store.events import EventLog, StoredEvent
    from .._store.fleet_deliveries import DeliveryStore
    from .._store.fleet_pages import FleetPages
    from .._store.fleet_submissions import SubmissionStore
    from .item_gates import ItemGates
    from .wave_gates import WaveGates

# States that a person may send back to work.
RETRIED = (ItemState.EXHAUSTED, ItemState.FAILED, ItemState.CONFLICT, ItemState.REJECTED, ItemState.CANCELLED)

# What people decide about an item: its next state, and the effect on its gate.
DECISIONS: Mapping[ItemState, Effect] = {ItemState.APPROVED: "approve", ItemState.REJECTED: "reject"}
# How many items one transaction decides: others wait for it.
DECIDED_AT_ONCE = 250
# Items that `fleet cancel` cancels: those that are being delivered are finished.
CANCELLABLE = (ItemState.OPEN, ItemState.RANKED, ItemState.WAITING, ItemState.APPROVED)


class ItemReport(Value, frozen=True, kw_only=True):
    """An item with its candidates, its delivery, and what its review has found."""

    item: FleetItem
    prompt: str
    candidates: tuple[FleetCandidate, ...] = ()
    delivery: FleetDelivery | None = None
    review: object = None

    _json: ClassVar[JsonFields] = {
        "item": "fleet item object",
        "prompt": "its prompt",
        "candidates": "fleet candidate objects",
        "delivery": "fleet delivery object, once it has begun",
        "review": "ranking object of the last review",
    }


class FleetControl:
    """The fleets in a database; decisions of gates are recorded with *via*. Methods block."""

    def __init__(self, database: Database, *, clock: Clock, via: Via = "cli") -> None:
        self._database, self._clock = database, clock
        self._via: Via = via
        self.store = FleetStore(database, clock=clock)
        self.work = FleetWork(database, clock=clock)

    @cached_property
    def pages(self) -> FleetPages:
        """What pages read of the tables."""
        from .._store.fleet_pages import FleetPages

        return FleetPages(self._database)

    @cached_property
    def deliveries(self) -> DeliveryStore:
        """The deliveries of fleets."""
        from .._store.fleet_deliveries import DeliveryStore

        return DeliveryStore(self._database, clock=self._clock)

    @cached_property
    def log(self) -> EventLog:
        """The events of fleets."""
        from .._store.events import EventLog

        return EventLog(self._database, time=self._clock.time)

    @cached_property
    def submissions(self) -> SubmissionStore:
        """The submissions of candidates."""
        from .._store.fleet_submissions import SubmissionStore

        return SubmissionStore(self._database, clock=self._clock)

    @cached_property
    def gates(self) -> ItemGates:
        """The gates of items that wait."""
        from .item_gates import ItemGates  # 13 ms, and a status needs none

        return ItemGates(self._database, clock=self._clock, via=self._via)

    @cached_property
    def waves(self) -> WaveGates:
        """The gates of waves that wait."""
        from .wave_gates import WaveGates

        return WaveGates(self._database, clock=self._clock, via=self._via)

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: str) -> FleetRecord:
        """Return a fleet. Raises `ConfigurationError` that suggests a name."""
        fleet = self.store.find(name)
        if fleet is None:
            names = [each.name for each in self.store.list()]
            near = suggestion(name, names)
            known = f"fleets: {', '.join(names[:10])}" if names else "run one with: coatcheck fleet run FILE"
            raise errors.ConfigurationError(f"there is no fleet {name!r}", remedy=near or known)
        return fleet

    def status(self, name: str) -> FleetStatus:
        """Return how many items and candidates are in each state, and whether a process works on the fleet."""
        fleet = self.get(name)
        status = self.store.status(fleet)
        if status.outcome is not FleetOutcome.RUNNING:
            return status
        has_worker = WorkerStore(self._database, clock=self._clock).has_any(fleet.id)
        return msgspec.structs.replace(status, has_worker=has_worker)

    def items(self, name: str, *, states: Iterable[ItemState] = (), keys: Iterable[str] = ()) -> Sequence[FleetItem]:
        """Return items of a fleet. Raises `ConfigurationError` for a key that it has not."""
        fleet, keys = self.get(name), [*keys]
        items = self.store.items(fleet.id, states=states, keys=keys)
        if missing := [key for key in keys if key not in {each.key for each in items}]:
            every = [each.key for each in self.store.items(fleet.id)]
            if missing[0] not in every:
                raise errors.ConfigurationError(
                    f"the fleet {name} has no item {missing[0]!r}",
                    remedy=suggestion(missing[0], every) or f"list them with: coatcheck fleet show {name}",
                )
        return items

    def failures(self, name: str, *, limit: int) -> Sequence[FleetItem]:
        """Return some items that failed, that no candidate is left of, or that conflict."""
        return self.store.items(self.get(name).id, states=FAILED_ITEMS, limit=limit)

    def show(self, name: str, key: str) -> ItemReport:
        """Return everything about an item."""
        fleet = self.get(name)
        (item,) = self.items(name, keys=[key])
        deliveries = [each for each in self.deliveries.list(fleet.id) if each.item == item.id]
        return ItemReport(
            item=item,
            prompt=self.store.prompt(item.id),
            candidates=tuple(self.store.candidates(fleet.id, item=item.id)),
            delivery=next(iter(deliveries), None),
            review=self.work.review(item.id) or None,
        )

    def events(self, name: str, *, after: int = 0, limit: int = 500) -> Sequence[StoredEvent]:
        """Return the events of a fleet with larger numbers than *after*, the oldest first."""
        self.get(name)
        return self.log.read(after=after, subject=event_values.subject_of(name), limit=limit)

    # --- deciding -----------------------------------------------------------------------------------------------------

    def approve(self, name: str, keys: Sequence[str] = (), *, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Approve waiting items (all without *keys*), and begin the wave that waits; return the approved items."""
        if not keys:
            self._decide_wave(name, "approve", by=by, why=why)
        return self._decide(name, keys, ItemState.APPROVED, by=by, why=why)

    def reject(self, name: str, keys: Sequence[str] = (), *, by: str, why: str | None = None) -> Sequence[FleetItem]:
        """Reject waiting items (all without *keys*), and stop before the wave that waits; return the rejected items."""
        if not keys:
            self._decide_wave(name, "reject", by=by, why=why)
        return self._decide(name, keys, ItemState.REJECTED, by=by, why=why)

    def _decide(
        self, name: str, keys: Sequence[str], state: ItemState, *, by: str, why: str | None
    ) -> Sequence[FleetItem]:
        self.gates.carry_out(self.store, self.get(name).id, name)
        items = self.items(name, keys=keys, states=() if keys else [ItemState.WAITING])
        changed: list[FleetItem] = []
        for first in range(0, len(items), DECIDED_AT_ONCE):
            changed += self._decide_some(name, items[first : first + DECIDED_AT_ONCE], state, by=by, why=why)
        for item in items if keys else ():
            if item not in changed and (known := self.store.item(item.id).state) is not state:
                from .item_gates import conflict_of

                raise conflict_of(item, known, name)
        return self._as_stored(name, changed)

    def _as_stored(self, name: str, items: Collection[FleetItem]) -> Sequence[FleetItem]:
        """Return *items* as they are now."""
        wanted = {item.id for item in items}
        return [item for item in self.items(name) if item.id in wanted] if wanted else []

    def _decide_some(
        self, name: str, items: Sequence[FleetItem], state: ItemState, *, by: str, why: str | None
    ) -> Sequence[FleetItem]:
        """Decide waiting items with their gates in one transaction; return those that waited."""
        changed, effect = [], DECISIONS[state]
        with self._database.writing() as transaction:
            transaction.lock_events()
            for item in items:
                now = self._clock.time()
                events = event_values.changed(name, item, state, now, by=by, why=why)
                if move_item(
                    transaction, item.id, ItemState.WAITING, state, at=now, why=why or f"by {by}", events=events
                ):
                    self.gates.decide(transaction, name, item.key, effect, by=by, why=why)
                    changed.append(item)
        return changed

    def _decide_wave(self, name: str, effect: Effect, *, by: str, why: str | None) -> None:
        """Decide about the wave that waits, where one does; an earlier decision by another way counts."""
        status = self.status(name)
        if not status.waits_for_wave or self.waves.carry_out(self.store, status.fleet):
            return
        if self.waves.decide(status.fleet, effect, by=by, why=why):
            self.waves.carry_out(self.store, status.fleet)
        else:
            self.waves.change(self.store, status.fleet, effect, by=by, why=why)

    def retry(self, name: str, keys: Sequence[str] = (), *, uncertain: bool = False, by: str) -> Sequence[FleetItem]:
        """Send items back to work: those named, or all that failed; with *uncertain* those with an unknown submission."""
        fleet = self.get(name)
        if uncertain:
            return self._retry_uncertain(fleet, keys, by=by)
        retried = []
        for item in self.items(name, keys=keys, states=() if keys else RETRIED[:3]):
            if item.state not in RETRIED:
                raise errors.ConfigurationError(
                    f"the item {item.key!r} cannot be retried: it is {item.state}",
                    remedy=f"see it with: coatcheck fleet show {name} {item.key!r}",
                )
            if self._is_uncertain(fleet, item, is_named=bool(keys)):
                continue
            if self._retry(fleet, item, by=by):
                retried.append(item)
        self._reopen(fleet, retried, by=by)
        return self._as_stored(name, retried)

    def _is_uncertain(self, fleet: FleetRecord, item: FleetItem, *, is_named: bool) -> bool:
        """Whether a submission of an item is uncertain. Raises `ConfigurationError` where the item was named."""
        candidates = self.store.candidates(fleet.id, item=item.id, states=[CandidateState.UNCERTAIN])
        if candidates and is_named:
            raise errors.ConfigurationError(
                f"a task of the item {item.key!r} may exist: {candidates[0].error}",
                remedy=f"look at the service, then: coatcheck fleet retry --uncertain {fleet.name} {item.key!r}",
            )
        return bool(candidates)

    def _retry(self, fleet: FleetRecord, item: FleetItem, *, by: str) -> bool:
        """Deliver an item again, review it again, or submit its prompt again; whether its state has changed."""
        why = f"retried by {by}"
        if item.state is ItemState.FAILED:
            return self.store.change_item(item.id, item.state, ItemState.APPROVED, why=why)
        candidates = self.store.candidates(fleet.id, item=item.id)
        was_reviewed = bool(self.work.review(item.id))
        has_patch = any(each.patch for each in candidates)
        if not self.store.change_item(item.id, item.state, ItemState.OPEN, why=why):
            return False
        is_new = was_reviewed or not has_patch
        waiting = any(each.state is CandidateState.PLANNED for each in candidates)
        if is_new and not waiting:
            for provider in dict.fromkeys(each.provider for each in candidates):
                self._succeed(fleet, item, [each for each in candidates if each.provider == provider])
        return True

    def _retry_uncertain(self, fleet: FleetRecord, keys: Sequence[str], *, by: str) -> Sequence[FleetItem]:
        wanted = {each.id: each for each in self.items(fleet.name, keys=keys)}
        retried = {}
        for candidate in self.store.candidates(fleet.id, states=[CandidateState.UNCERTAIN]):
            item = wanted.get(candidate.item)
            if item is None or not self.store.change_candidate(
                candidate.id, CandidateState.UNCERTAIN, CandidateState.CANCELLED, error=f"sent again by {by}"
            ):
                continue
            others = self.store.candidates(fleet.id, item=item.id, provider=candidate.provider)
            self._succeed(fleet, item, others)
            if item.state in RETRIED:
                self.store.change_item(item.id, item.state, ItemState.OPEN, why=f"retried by {by}")
            retried[item.id] = item
        self._reopen(fleet, [*retried.values()], by=by)
        return self._as_stored(fleet.name, retried.values())

    def _succeed(self, fleet: FleetRecord, item: FleetItem, former: Sequence[FleetCandidate]) -> None:
        """Add a candidate after *former* ones of the same service and item."""
        from .planning import candidate_key

        last = max(former, key=lambda each: each.attempt)
        key = candidate_key(
            fleet=fleet.name,
            item=item.key,
            provider=last.provider,
            attempt=last.attempt + 1,
            prompt=self.store.prompt(item.id),
            base=item.base_commit or item.base,
        )
        planned = PlannedCandidate(
            key=key,
            provider=last.provider,
            environment=last.environment,
            attempt=last.attempt + 1,
            round=max(each.round for each in former) + (item.state is ItemState.CONFLICT),
        )
        self.store.add_candidate(fleet.id, item.id, planned)

    def _reopen(self, fleet: FleetRecord, items: Sequence[FleetItem], *, by: str) -> None:
        if items:
            event = self._event(kinds.FleetResumed, fleet.name, by=by)
            self.store.change_fleet(fleet.id, [FleetState.DONE], FleetState.RUNNING, events=[event])

    def pause(self, name: str, *, by: str, why: str | None = None) -> bool:
        """Submit, check and deliver nothing until the fleet is resumed; whether it was running."""
        event = self._event(kinds.FleetPaused, name, by=by, why=why)
        states = [FleetState.RUNNING, FleetState.STOPPING]
        return self.store.change_fleet(self.get(name).id, states, FleetState.PAUSED, events=[event])

    def resume(self, name: str, *, by: str) -> bool:
        """Continue a fleet that is paused, stopped or done; whether it was."""
        event = self._event(kinds.FleetResumed, name, by=by)
        states = [FleetState.PAUSED, FleetState.STOPPING, FleetState.DONE]
        return self.store.change_fleet(self.get(name).id, states, FleetState.RUNNING, events=[event])

    def cancel(self, name: str, *, by: str, why: str | None = None) -> Sequence[FleetCandidate]:
        """Cancel what was not delivered; return the candidates whose tasks still run at their services."""
        fleet = self.get(name)
        reason = why or f"cancelled by {by}"
        event = self._event(kinds.FleetStopped, name, by=by, why=reason)
        states = [FleetState.PLANNED, FleetState.RUNNING, FleetState.PAUSED]
        self.store.change_fleet(fleet.id, states, FleetState.STOPPING, stopped_because=reason, events=[event])
        candidates = self.store.candidates(fleet.id, states=[CandidateState.PLANNED])
        for first in range(0, len(candidates), DECIDED_AT_ONCE):
            self._cancel_candidates(candidates[first : first + DECIDED_AT_ONCE], reason)
        items = self.store.items(fleet.id, states=CANCELLABLE)
        for first in range(0, len(items), DECIDED_AT_ONCE):
            self._cancel_items(name, items[first : first + DECIDED_AT_ONCE], reason)
        self.waves.withdraw(name, why=reason)
        running = (CandidateState.RUNNING, CandidateState.INPUT_REQUIRED)
        return self.store.candidates(fleet.id, states=running)

    def _cancel_candidates(self, candidates: Sequence[FleetCandidate], why: str) -> None:
        """Cancel candidates that were not submitted, in one transaction."""
        with self._database.writing() as transaction:
            for each in candidates:
                move_candidate(
                    transaction, each.id, each.state, CandidateState.CANCELLED, at=self._clock.time(), error=why
                )

    def _cancel_items(self, name: str, items: Sequence[FleetItem], why: str) -> None:
        """Cancel items, and withdraw the gates of those that wait, in one transaction."""
        with self._database.writing() as transaction:
            transaction.lock_events()
            for item in items:
                is_changed = move_item(
                    transaction, item.id, item.state, ItemState.CANCELLED, at=self._clock.time(), why=why
                )
                if is_changed and item.state is ItemState.WAITING:
                    self.gates.withdraw(transaction, name, item.key, why=why)

    def _event(self, kind: type[kinds.FleetEventBase], name: str, **fields: str | None) -> AnyEvent:
        return event_values.fleet_event(kind, name, self._clock.time(), **fields)
