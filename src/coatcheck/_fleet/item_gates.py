"""The gates of items that wait for a decision (`_store/gates.py`).

Invariants:

- an item that waits has a gate about the digest of its change, so that every way of deciding a gate decides the item;
- a decided gate is carried out by the loop, or at once by `fleet approve` and `fleet reject`: both are compare-and-sets,
  and whichever is first counts;
- an item that was decided or sent back leaves no open gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import errors
from .._model.fleets import FleetItem, ItemState
from .._model.gates import Decision, Effect, Gate, Via
from .._review.user_policies import decide_by_policy
from .._store.fleets import move_item
from .._store.gates import GateStore, complete_gate
from . import event_values
from .quantities import seconds

if TYPE_CHECKING:
    from .._patches.parse import Patch
    from .._protocol.effects import Clock
    from .._review.gate_policies import GatePolicy
    from .._store.database import Database, Transaction
    from .._store.fleets import FleetStore
    from .sections import ApproveSection

# So many decisions are carried out in one transaction; others cannot write meanwhile.
BATCH = 500
EFFECTS = {"approve": ItemState.APPROVED, "reject": ItemState.REJECTED}


def subject_of(fleet: str, key: str) -> str:
    """Return the subject of the gate of an item."""
    return f"{event_values.subject_of(fleet)}/{key}"


class ItemGates:
    """The gates of the items of fleets. Methods block."""

    def __init__(self, database: Database, *, clock: Clock, via: Via = "cli") -> None:
        self._database, self._clock = database, clock
        self._via: Via = via
        self._gates = GateStore(database, time=clock.time)

    def open(
        self, fleet: str, item: FleetItem, patch: Patch, digest: str | None, *, section: ApproveSection | None, why: str
    ) -> Gate:
        """Open the gate of an item that waits."""
        paths = tuple(dict.fromkeys(change.path for change in patch.files))
        limit = section.timeout if section else None
        until = None if limit is None else self._clock.time() + seconds(limit, "approve.timeout")
        gate = Gate(
            subject=subject_of(fleet, item.key),
            kind="delivery",
            title=f"deliver {item.key} of the fleet {fleet}",
            detail=why,
            digest=digest,
            expires_at=None if until is None else datetime.fromtimestamp(until, UTC),
            on_expiry=section.on_expiry if section else "hold",
            paths=paths,
            lines=patch.stats.added + patch.stats.removed,
            repository=item.repository,
        )
        return self._gates.open(gate)

    def decide_by_policy(self, gate: Gate, policies: Sequence[GatePolicy]) -> bool:
        """Decide an open gate by the first of the user's policies that fits; whether one did."""
        return gate.state == "open" and decide_by_policy(self._gates, gate, policies).state != "open"

    def decide(
        self, transaction: Transaction, fleet: str, key: str, effect: Effect, *, by: str, why: str | None
    ) -> None:
        """Decide the open gate of an item, where there is one, in the transaction that changes the item."""
        self._gates.decide_open(transaction, subject_of(fleet, key), effect, by=by, via=self._via, why=why)

    def withdraw(self, transaction: Transaction, fleet: str, key: str, *, why: str) -> None:
        """Close the open gate of an item that needs no decision any more, in the transaction that changes the item."""
        self._gates.withdraw_open(transaction, subject_of(fleet, key), why=why)

    def carry_out(self, store: FleetStore, fleet: int, name: str) -> None:
        """Change the items whose gates were decided, or whose deadlines have passed; `BATCH` in one transaction."""
        prefix = subject_of(name, "")
        while gates := self._gates.undone("delivery", prefix, limit=BATCH):
            keys = [gate.subject.removeprefix(prefix) for gate in gates]
            items = {item.key: item for item in store.items(fleet, keys=keys, states=[ItemState.WAITING])}
            with self._database.writing() as transaction:
                transaction.lock_events()
                for key, gate in zip(keys, gates, strict=True):
                    if key in items:
                        self._change(transaction, name, items[key], gate)
                    complete_gate(transaction, gate.id)

    def _change(self, transaction: Transaction, name: str, item: FleetItem, gate: Gate) -> None:
        decision: Decision | None = gate.decision
        state = ItemState.REJECTED if decision is None else EFFECTS[decision.effect]
        by = "expiry" if decision is None else decision.by
        why = "nobody decided before the deadline" if decision is None else decision.why or f"by {by}"
        now = self._clock.time()
        events = event_values.changed(name, item, state, now, by=by, why=why)
        move_item(transaction, item.id, ItemState.WAITING, state, at=now, why=why, events=events)


def conflict_of(item: FleetItem, state: ItemState, name: str) -> errors.ConfigurationError:
    """Return the error of a decision about an item that does not wait for one."""
    return errors.ConfigurationError(
        f"the item {item.key!r} does not wait for a decision: it is {state}",
        remedy=f"see it with: coatcheck fleet show {name} {item.key!r}",
    )
