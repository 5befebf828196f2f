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
from .._store.gates import GateStore
from . import event_values
from .quantities import seconds

if TYPE_CHECKING:
    from .._patches.parse import Patch
    from .._protocol.effects import Clock
    from .._review.gate_policies import GatePolicy
    from .._store.database import Database, Transaction
    from .._store.fleets import FleetStore
    from .sections import ApproveSection

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

    def withdraw(self, fleet: str, key: str, *, why: str) -> None:
        """Close the open gate of an item that needs no decision any more."""
        self._gates.withdraw_all(subject_of(fleet, key), why=why)

    def carry_out(self, store: FleetStore, fleet: int, name: str) -> None:
        """Change the items whose gates were decided, or whose deadlines have passed."""
        self._gates.expire()
        for id, subject in self._decided(name):
            gate = self._gates.get(id)
            key = subject.removeprefix(subject_of(name, ""))
            for item in store.items(fleet, keys=[key], states=[ItemState.WAITING]):
                self._change(store, name, item, gate)
            self._gates.complete(id)

    def _change(self, store: FleetStore, name: str, item: FleetItem, gate: Gate) -> None:
        decision: Decision | None = gate.decision
        state = ItemState.REJECTED if decision is None else EFFECTS[decision.effect]
        by = "expiry" if decision is None else decision.by
        why = "nobody decided before the deadline" if decision is None else decision.why or f"by {by}"
        event = event_values.changed(name, item, state, self._clock.time(), by=by, why=why)
        store.change_item(item.id, ItemState.WAITING, state, why=why, events=event)

    def _decided(self, name: str) -> Sequence[tuple[str, str]]:
        """Return the ids and subjects of gates that were decided and not carried out."""
        prefix = subject_of(name, "")
        query = (
            "SELECT id, subject FROM gate WHERE state IN ('approved', 'rejected', 'expired') AND is_done = 0"
            " AND kind = 'delivery' AND substr(subject, 1, ?) = ?"
        )
        with self._database.reading() as transaction:
            return [(id, subject) for id, subject in transaction.rows(query, (len(prefix), prefix))]


def conflict_of(item: FleetItem, state: ItemState, name: str) -> errors.ConfigurationError:
    """Return the error of a decision about an item that does not wait for one."""
    return errors.ConfigurationError(
        f"the item {item.key!r} does not wait for a decision: it is {state}",
        remedy=f"see it with: coatcheck fleet show {name} {item.key!r}",
    )
