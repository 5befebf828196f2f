"""Fleets: their items, candidates, accounts and deliveries as values, and which changes of state there are.

Invariants:

- `ITEM_CHANGES` and `CANDIDATE_CHANGES` name every change of state; the store makes no other;
- a candidate that is `UNCERTAIN` is never sent again by a program: only a person who decides so gets a new candidate.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime

    from .tasks import TaskRef


class FleetState(enum.StrEnum):
    """The state of a fleet.

    "stopping" submits nothing more, because of a budget, of failures or of a person (`Fleet.stopped_because`); what was
    submitted is still awaited. "paused" starts nothing at all until it is resumed.
    """

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"


class ItemState(enum.StrEnum):
    """The state of an item. "conflict" means that its change does not fit the others and was sent back."""

    OPEN = "open"
    RANKED = "ranked"
    WAITING = "waiting"
    APPROVED = "approved"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"
    CONFLICT = "conflict"
    FAILED = "failed"


class CandidateState(enum.StrEnum):
    """The state of a candidate: from planned to verified, or how it ended without a change to choose."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    ENDED = "ended"
    VERIFIED = "verified"
    EMPTY = "empty"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"


_I, _C = ItemState, CandidateState

ITEM_CHANGES: Mapping[ItemState, frozenset[ItemState]] = {
    _I.OPEN: frozenset({_I.RANKED, _I.EXHAUSTED, _I.CANCELLED}),
    _I.RANKED: frozenset({_I.WAITING, _I.APPROVED, _I.REJECTED, _I.CANCELLED, _I.OPEN}),
    _I.WAITING: frozenset({_I.APPROVED, _I.REJECTED, _I.CANCELLED, _I.OPEN}),
    _I.APPROVED: frozenset({_I.DELIVERING, _I.CANCELLED, _I.CONFLICT, _I.OPEN}),
    _I.DELIVERING: frozenset({_I.DELIVERED, _I.APPROVED, _I.CONFLICT, _I.FAILED, _I.OPEN}),
    _I.DELIVERED: frozenset(),
    _I.REJECTED: frozenset({_I.OPEN}),
    _I.EXHAUSTED: frozenset({_I.OPEN}),
    _I.CANCELLED: frozenset({_I.OPEN}),
    _I.CONFLICT: frozenset({_I.OPEN, _I.APPROVED, _I.CANCELLED, _I.WAITING}),
    _I.FAILED: frozenset({_I.APPROVED, _I.OPEN}),
}
_ENDS = frozenset({_C.ENDED, _C.EMPTY, _C.FAILED, _C.CANCELLED, _C.EXPIRED})
CANDIDATE_CHANGES: Mapping[CandidateState, frozenset[CandidateState]] = {
    _C.PLANNED: frozenset({_C.SUBMITTING, _C.CANCELLED}),
    _C.SUBMITTING: frozenset({_C.RUNNING, _C.PLANNED, _C.FAILED, _C.UNCERTAIN, _C.CANCELLED}),
    _C.RUNNING: _ENDS | {_C.INPUT_REQUIRED},
    _C.INPUT_REQUIRED: _ENDS | {_C.RUNNING},
    _C.ENDED: frozenset({_C.VERIFIED}),
    _C.VERIFIED: frozenset(),
    _C.EMPTY: frozenset(),
    _C.FAILED: frozenset(),
    _C.CANCELLED: frozenset(),
    _C.EXPIRED: frozenset(),
    _C.UNCERTAIN: frozenset({_C.RUNNING, _C.CANCELLED}),
}
# Items that nothing happens to any more, unless a person retries them.
SETTLED_ITEMS = frozenset({_I.DELIVERED, _I.REJECTED, _I.EXHAUSTED, _I.CANCELLED, _I.FAILED})
# Items whose changes were not delivered, against the intention.
FAILED_ITEMS = (_I.FAILED, _I.EXHAUSTED, _I.CONFLICT)
# Candidates that a service may still work on.
ACTIVE_CANDIDATES = frozenset({_C.SUBMITTING, _C.RUNNING, _C.INPUT_REQUIRED})
# Candidates that have not ended.
UNSETTLED_CANDIDATES = frozenset({_C.PLANNED, *ACTIVE_CANDIDATES})
# Candidates whose tasks are polled.
SWEPT_CANDIDATES = (_C.RUNNING, _C.INPUT_REQUIRED)
# Candidates without a change to choose, which count as failures. A full quota is none.
FAILED_CANDIDATES = frozenset({_C.EMPTY, _C.FAILED, _C.EXPIRED, _C.UNCERTAIN})


class FleetRecord(Value, frozen=True, kw_only=True):
    """A fleet in the store. `digest` is the SHA-256 of its file in canonical JSON (`FleetStore.spec`).

    `left_out` has the keys of items that its last plan left out, with the reasons.
    """

    id: int
    name: str
    digest: str
    state: FleetState
    created_at: datetime
    stopped_because: str | None = None
    submitted: int = 0
    wave: int = 0
    left_out: Mapping[str, str] = {}

    _json: ClassVar[JsonFields] = {
        "id": "its number in the store",
        "name": "its name",
        "digest": "the SHA-256 of its file in canonical form",
        "state": "planned, running, paused, stopping or done",
        "created_at": "when it was first run",
        "stopped_because": "why it submits nothing more",
        "submitted": "how many tasks were submitted",
        "wave": "the last wave that has begun, from 0",
        "left_out": "keys of items that its last plan left out, with the reasons",
    }


class FleetItem(Value, frozen=True, kw_only=True):
    """An item: a prompt for a repository. `why` says why it is in its state, `chosen` is the chosen candidate."""

    id: int
    key: str
    repository: str | None = None
    base: str | None = None
    base_commit: str | None = None
    title: str | None = None
    wave: int = 0
    state: ItemState = ItemState.OPEN
    chosen: int | None = None
    why: str | None = None
    variables: Mapping[str, str] = {}
    prompt_digest: str = ""
    changed_at: datetime | None = None

    _json: ClassVar[JsonFields] = {
        "id": "its number in the store",
        "key": "unique in its fleet",
        "repository": "the repository that it changes",
        "base": "the branch that it starts from",
        "base_commit": "the commit that the first run found there",
        "title": "its title",
        "wave": "its wave, from 0",
        "state": "a word of ItemState",
        "chosen": "the number of the chosen candidate",
        "why": "why it is in this state",
        "variables": "values of the placeholders of its prompt",
        "prompt_digest": "the SHA-256 of its prompt",
        "changed_at": "since when it is in this state",
    }


class FleetCandidate(Value, frozen=True, kw_only=True):
    """A candidate of an item: one task of one service. `key` is its idempotency key, also the id of its submission."""

    id: int
    item: int
    key: str
    provider: str
    account: str | None = None
    environment: str | None = None
    attempt: int = 1
    state: CandidateState = CandidateState.PLANNED
    ref: TaskRef | None = None
    patch: str | None = None
    base_commit: str | None = None
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    round: int = 0
    follows: TaskRef | None = None
    cost: float | None = None

    _json: ClassVar[JsonFields] = {
        "id": "its number in the store",
        "item": "the number of its item",
        "key": "its idempotency key",
        "provider": "the service",
        "account": "the account that submitted it",
        "environment": "the environment that it runs in",
        "attempt": "its number among the candidates of this service for this item",
        "state": "a word of CandidateState",
        "ref": "its task",
        "patch": "the SHA-256 of its diff",
        "base_commit": "the commit that the diff is against, where the service reports it",
        "submitted_at": "when it was submitted",
        "ended_at": "when its task ended",
        "error": "why it has no change to choose",
        "round": "how often the change of the item had been sent back because of a conflict",
        "follows": "the task that it is a message to, where it is no new task",
        "cost": "what its task has cost, in US dollars, where the service reports that",
    }


class FleetAccount(Value, frozen=True, kw_only=True):
    """An account of a service; one that is parked gets no submission before `parked_until`, then a single one."""

    provider: str
    name: str = ""
    parked_until: datetime | None = None
    refused_in_a_row: int = 0
    reason: str | None = None

    _json: ClassVar[JsonFields] = {
        "provider": "the service",
        "name": "the account, empty for the only one",
        "parked_until": "when its quota is expected to allow another task",
        "refused_in_a_row": "submissions in a row that its quota refused",
        "reason": "why it is parked",
    }


class FleetDelivery(Value, frozen=True, kw_only=True):
    """The delivery of an item: once for each `key`."""

    item: int
    key: str
    kind: str
    state: str
    branch: str | None = None
    commit: str | None = None
    url: str | None = None
    error: str | None = None
    fork: str | None = None

    _json: ClassVar[JsonFields] = {
        "item": "the number of its item",
        "key": "FLEET/KEY, which is delivered once",
        "kind": "pull_request, branch or patch",
        "state": "begun, reserved (it is being made), done, failed, or sent back because of a conflict",
        "branch": "the branch",
        "commit": "the commit",
        "url": "the pull request, or the path of the patch file",
        "error": "why it failed",
        "fork": "the URL of the fork that has the branch, null where the repository has it itself",
    }


class FleetOutcome(enum.StrEnum):
    """What a fleet needs, or how it has ended; each has an exit code (`docs/reference/exit-codes.md`)."""

    DELIVERED = "delivered"
    RUNNING = "running"
    WAITING = "waiting"
    PARKED = "parked"
    STOPPED = "stopped"
    FAILURES = "failures"


class FleetStatus(Value, frozen=True, kw_only=True):
    """A fleet at one moment: how many items and candidates are in each state, and its accounts.

    `waits_for_wave` means that the waves that have begun are finished and the next one waits for a decision.
    `deliveries_held` says why approved items are not delivered now: as many pull requests are open as allowed. `outage`
    says why no task that is under way could be polled for a quarter of an hour. `has_worker` is whether a process works
    on the fleet, None where that was not asked. `spent` is what tasks have cost in US dollars, None where no service has
    reported a cost, and `unknown_costs` how many ended tasks have none.
    """

    fleet: FleetRecord
    items: Mapping[str, int] = {}
    candidates: Mapping[str, int] = {}
    accounts: tuple[FleetAccount, ...] = ()
    waits_for_wave: bool = False
    deliveries_held: str = ""
    outage: str = ""
    has_worker: bool | None = None
    spent: float | None = None
    unknown_costs: int = 0

    _json: ClassVar[JsonFields] = {
        "fleet": "fleet object",
        "outcome": "delivered, running, waiting, parked, stopped or failures",
        "items": "how many items are in each state",
        "candidates": "how many candidates are in each state",
        "accounts": "account objects",
        "waits_for_wave": "whether the next wave waits for a decision",
        "deliveries_held": "why approved items are not delivered now, after a run",
        "outage": "why no task could be polled for 15 minutes, after a run",
        "spent": "what its tasks have cost, in US dollars; null where no service has reported a cost",
        "unknown_costs": "how many ended tasks have a cost that is not known",
        "has_worker": "whether a process works on it; null where that does not matter",
    }

    @property
    def is_active(self) -> bool:
        """Whether tasks are under way, or items are being decided or delivered."""
        moving = (ItemState.RANKED, ItemState.DELIVERING, *(() if self.deliveries_held else (ItemState.APPROVED,)))
        active = () if self.outage else (CandidateState.SUBMITTING, CandidateState.RUNNING)
        return any(self.items.get(each) for each in moving) or any(self.candidates.get(each) for each in active)

    @property
    def parked_until(self) -> datetime | None:
        """When the first parked account may submit again, None where none is parked."""
        return min((each.parked_until for each in self.accounts if each.parked_until), default=None)

    @property
    def outcome(self) -> FleetOutcome:
        """Return what the fleet needs, or how it has ended."""
        outcome = self._outcome
        return FleetOutcome.STOPPED if outcome is FleetOutcome.RUNNING and self.has_worker is False else outcome

    @property
    def _outcome(self) -> FleetOutcome:
        is_waiting = any(self.items.get(each) for each in (ItemState.WAITING, ItemState.CONFLICT))
        if self.is_active:
            return FleetOutcome.RUNNING
        if self.fleet.stopped_because is not None:
            return FleetOutcome.STOPPED
        is_waiting = is_waiting or self.fleet.state is FleetState.PAUSED
        if (
            is_waiting
            or self.waits_for_wave
            or self.deliveries_held
            or self.candidates.get(CandidateState.INPUT_REQUIRED)
        ):
            return FleetOutcome.WAITING
        if self.outage or self.candidates.get(CandidateState.PLANNED):
            return FleetOutcome.PARKED if self.outage or self.parked_until else FleetOutcome.RUNNING
        failed = any(self.items.get(each) for each in (ItemState.FAILED, ItemState.EXHAUSTED, ItemState.OPEN))
        if failed or self.fleet.left_out:
            return FleetOutcome.FAILURES
        return FleetOutcome.STOPPED if self.items.get(ItemState.CANCELLED) else FleetOutcome.DELIVERED
