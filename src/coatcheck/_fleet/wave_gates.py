"""The gate of the next wave of a fleet (`_store/gates.py`).

Invariants:

- a wave that waits for a person has a gate, so that every way of deciding a gate begins it, or stops the fleet;
- the gate is about one wave: a decision about an earlier one begins nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._model import fleet_events as events
from .._model.fleets import FleetRecord, FleetState, FleetStatus
from .._model.gates import Effect, Gate, Via, digest_of
from .._review.user_policies import decide_by_policy
from .._store.gates import GateStore
from . import event_values

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._review.gate_policies import GatePolicy
    from .._store.database import Database
    from .._store.fleets import FleetStore


class WaveGates:
    """The gates of waves. Methods block."""

    def __init__(self, database: Database, *, clock: Clock, via: Via = "cli") -> None:
        self._database, self._clock = database, clock
        self._via: Via = via
        self._gates = GateStore(database, time=clock.time)

    def open(self, status: FleetStatus, sizes: Sequence[int], policies: Sequence[GatePolicy]) -> Gate:
        """Open the gate of the next wave, where none is open, and let *policies* decide it.

        *sizes* has with how many items each wave ends.
        """
        fleet, wave = status.fleet, status.fleet.wave + 1
        count = sizes[wave] - sizes[wave - 1] if wave < len(sizes) else 0
        results = ", ".join(f"{number} {state}" for state, number in status.items.items())
        gate = self._gates.open(
            Gate(
                subject=event_values.subject_of(fleet.name),
                kind="wave",
                title=f"begin wave {wave + 1} of {len(sizes)} of the fleet {fleet.name} ({count} items)",
                detail=f"items so far: {results}",
                digest=_digest(fleet),
                on_expiry="hold",
            )
        )
        return decide_by_policy(self._gates, gate, policies) if gate.state == "open" else gate

    def decide(self, fleet: FleetRecord, effect: Effect, *, by: str, why: str | None) -> bool:
        """Decide the gate of the next wave; whether one is open. Raises `ConflictError` where it was decided otherwise."""
        subject = event_values.subject_of(fleet.name)
        gates = [each for each in self._gates.list(subject=subject) if each.kind == "wave"]
        for gate in gates:
            self._gates.decide(gate.id, effect, by=by, via=self._via, why=why)
        return bool(gates)

    def withdraw(self, fleet: str, *, why: str) -> None:
        """Close the open gate of a wave that needs no decision any more."""
        self._gates.withdraw_all(event_values.subject_of(fleet), why=why, kinds=["wave"])

    def carry_out(self, store: FleetStore, fleet: FleetRecord) -> bool:
        """Begin the next wave, or stop the fleet, where its gate was decided; whether it was."""
        self._gates.expire()
        is_decided = False
        for id in self._decided(fleet):
            gate = self._gates.get(id)
            if gate.digest == _digest(fleet) and gate.decision is not None:
                self.change(store, fleet, gate.decision.effect, by=gate.decision.by, why=gate.decision.why)
                is_decided = True
            self._gates.complete(id)
        return is_decided

    def change(self, store: FleetStore, fleet: FleetRecord, effect: Effect, *, by: str, why: str | None) -> None:
        """Begin the next wave, or stop the fleet before it."""
        now, wave = self._clock.time(), fleet.wave + 1
        if effect == "approve":
            reason = why or f"wave {wave + 1} was approved"
            resumed = event_values.fleet_event(events.FleetResumed, fleet.name, now, by=by, why=reason)
            store.begin_wave(fleet.id, wave, events=[resumed])
            return
        reason = f"wave {wave + 1} was rejected by {by}" + (f": {why}" if why else "")
        stopped = event_values.fleet_event(events.FleetStopped, fleet.name, now, by=by, why=reason)
        states = [FleetState.RUNNING]
        store.change_fleet(fleet.id, states, FleetState.STOPPING, stopped_because=reason, events=[stopped])

    def _decided(self, fleet: FleetRecord) -> Sequence[str]:
        """Return the ids of the fleet's wave gates that were decided and not carried out."""
        query = (
            "SELECT id FROM gate WHERE subject = ? AND kind = 'wave' AND is_done = 0"
            " AND state IN ('approved', 'rejected', 'expired')"
        )
        with self._database.reading() as transaction:
            return [id for (id,) in transaction.rows(query, (event_values.subject_of(fleet.name),))]


def _digest(fleet: FleetRecord) -> str:
    """Return the digest of what the gate of the wave after the present one is about."""
    return digest_of("wave", fleet.name, fleet.wave + 1)
