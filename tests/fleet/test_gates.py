"""Gates of waves, and the user's policies about items and waves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fleet.fixtures import FleetFixture, spec_of

from coatcheck._fleet import item_gates
from coatcheck._model.fleets import FleetOutcome, FleetState, ItemState
from coatcheck._review.gate_policies import GatePolicy
from coatcheck._store.gates import GateStore
from coatcheck.testing import CloudResult

WAVES = {"waves": [1, "100%"]}
ALL = GatePolicy(name="all", decision="approve", max_lines=1000)
WORKFLOW = """\
diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml
--- a/.github/workflows/ci.yml
+++ b/.github/workflows/ci.yml
@@ -1 +1 @@
-on: push
+on: [push, pull_request]
"""


def gates_of(fleet: FleetFixture) -> GateStore:
    """Return the gates of the store of a fleet."""
    return GateStore(fleet.database, time=fleet.clock.time)


@pytest.fixture
def waves(tmp_path: Path) -> FleetFixture:
    """A fleet whose first wave is delivered, and whose second one waits."""
    fleet = FleetFixture(tmp_path, spec_of(4, rollout=WAVES))
    assert FleetOutcome.WAITING is fleet.run().outcome
    return fleet


def test_a_wave_has_one_gate(waves: FleetFixture) -> None:
    """A wave that waits has a gate about it, and running again opens no second one."""
    waves.run()
    gates = [(gate.kind, gate.subject, gate.title, gate.detail) for gate in gates_of(waves).list()]

    title = "begin wave 2 of 2 of the fleet typing (3 items)"
    assert [("wave", "fleet:typing", title, "items so far: 1 delivered, 3 open")] == gates


def test_an_approved_gate_begins_its_wave(waves: FleetFixture) -> None:
    """Whoever approves the gate of a wave, by any way, begins it with the next run, and who it was is recorded."""
    gates = gates_of(waves)
    (gate,) = gates.list()
    gates.decide(gate.id, "approve", by="ann", via="web", why="looks good", digest=gate.digest)
    status = waves.run()
    resumed = [each.event for each in waves.control.events("typing") if each.event.type == "fleet.resumed"]

    assert (FleetOutcome.DELIVERED, 4, [("ann", "looks good")], []) == (
        status.outcome,
        len(waves.cloud.tasks),
        [(event.by, event.why) for event in resumed],
        [*gates.list()],
    )


def test_a_rejected_gate_stops_the_fleet(waves: FleetFixture) -> None:
    """After the gate of a wave was rejected nothing more is sent; another run asks again."""
    gates = gates_of(waves)
    gates.decide(gates.list()[0].id, "reject", by="ben", via="mcp", why="too early")
    status = waves.run()
    sent = len(waves.cloud.tasks)
    waves.plan()

    assert (FleetOutcome.STOPPED, "wave 2 was rejected by ben: too early", 1) == (
        status.outcome,
        status.fleet.stopped_because,
        sent,
    )
    assert (FleetOutcome.WAITING, 1) == (waves.run().outcome, len(gates.list()))


def test_the_first_decision_about_a_wave_counts(waves: FleetFixture) -> None:
    """`fleet approve` does not begin a wave whose gate was rejected, and leaves no gate of one that it begins."""
    gates = gates_of(waves)
    gates.decide(gates.list()[0].id, "reject", by="ben", via="web")
    waves.control.approve("typing", by="ann")
    rejected = waves.control.status("typing").fleet
    waves.plan()
    waves.run()
    waves.control.approve("typing", by="ann")
    states = sorted(gate.state for gate in gates.list(state=None))

    assert (FleetState.STOPPING, 0, 1) == (
        rejected.state,
        rejected.wave,
        waves.control.status("typing").fleet.wave,
    )
    assert ["approved", "rejected"] == states


def test_a_rejected_or_cancelled_wave_leaves_no_gate(waves: FleetFixture) -> None:
    """`fleet reject` stops the fleet before the wave that waits, and `fleet cancel` closes its gate."""
    waves.control.reject("typing", by="ann")
    stopped = waves.control.status("typing").fleet.stopped_because
    waves.plan()
    waves.run()
    waves.control.cancel("typing", by="ann")

    states = sorted(gate.state for gate in gates_of(waves).list(state=None))
    assert ("wave 2 was rejected by ann", ["rejected", "withdrawn"]) == (stopped, states)


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "state", "delivered"),
    [("approve", ItemState.DELIVERED, 1), ("reject", ItemState.REJECTED, 0), ("ask", ItemState.WAITING, 0)],
)
def test_a_policy_decides_about_an_item(tmp_path: Path, decision: Any, state: ItemState, delivered: int) -> None:
    """What the file leaves to a person the first policy that fits decides, under its name."""
    fleet = FleetFixture(tmp_path, spec_of(1, approve={"otherwise": "person"}))
    fleet.policies = [GatePolicy(name="small", decision=decision, kinds=("delivery",), max_lines=1000), ALL]
    fleet.run()
    (gate,) = gates_of(fleet).list(state=None)

    assert (state, delivered, None if decision == "ask" else "policy:small") == (
        fleet.control.items("typing")[0].state,
        len(fleet.deliveries.keys),
        gate.decision and gate.decision.by,
    )


def test_the_file_decides_before_policies(tmp_path: Path) -> None:
    """What the file rejects no policy approves, and what it approves has no gate."""
    rejecting = FleetFixture(tmp_path / "a", spec_of(1, approve={"otherwise": "reject"}))
    approving = FleetFixture(tmp_path / "b", spec_of(1))
    rejecting.policies, approving.policies = [ALL], [GatePolicy(name="none", decision="reject")]
    for fleet in (rejecting, approving):
        fleet.run()

    assert ["rejected", "delivered"] == [fleet.control.items("typing")[0].state for fleet in (rejecting, approving)]
    assert [] == [*gates_of(approving).list(state=None)]


def test_no_policy_approves_automation(tmp_path: Path) -> None:
    """A change that starts automation waits for a person whatever a policy approves; a policy may reject it."""
    outcomes = []
    for name, policy in {"a": ALL, "b": GatePolicy(name="none", decision="reject")}.items():
        result = CloudResult(diff=WORKFLOW)
        fleet = FleetFixture(tmp_path / name, spec_of(1, approve={"otherwise": "person"}), result=result)
        fleet.policies = [policy]
        fleet.run()
        outcomes.append(fleet.control.items("typing")[0].state)

    assert [ItemState.WAITING, ItemState.REJECTED] == outcomes


def test_a_policy_begins_waves(tmp_path: Path) -> None:
    """A policy about waves begins each, recorded under its name."""
    fleet = FleetFixture(tmp_path, spec_of(3, rollout={"waves": [1, 2, "100%"]}))
    fleet.policies = [GatePolicy(name="go", decision="approve", kinds=("wave",), why="trusted")]
    status = fleet.run()
    decided = {gate.decision and gate.decision.by for gate in gates_of(fleet).list(state=None)}

    assert (FleetOutcome.DELIVERED, {"policy:go"}, 3) == (status.outcome, decided, len(fleet.cloud.tasks))


def count_transactions(fleet: FleetFixture, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list to which each transaction of the fleet's database that writes adds an item."""
    writing, transactions = fleet.database.writing, list[None]()

    def counted(**options: Any) -> Any:
        transactions.append(None)
        return writing(**options)

    monkeypatch.setattr(fleet.database, "writing", counted)
    return transactions


def test_a_cancelled_fleet_closes_its_gates_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many items are cancelled and their gates are closed in few transactions."""
    fleet = FleetFixture(tmp_path, spec_of(20, approve={"otherwise": "person"}))
    fleet.run()
    transactions = count_transactions(fleet, monkeypatch)
    fleet.control.cancel("typing", by="ann", why="enough")
    found = {gate.state for gate in gates_of(fleet).list(state=None)}
    items = {(item.state.value, item.why) for item in fleet.control.items("typing")}

    assert ({"withdrawn"}, {("cancelled", "enough")}, True) == (found, items, len(transactions) < 5)


def test_decisions_of_another_process_are_carried_out_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many decided gates change their items in few transactions, each once, and an item that changed meanwhile stays."""
    fleet = FleetFixture(tmp_path, spec_of(7, approve={"otherwise": "person"}))
    fleet.run()
    gates, control = gates_of(fleet), fleet.control
    for number, gate in enumerate(sorted(gates.list(), key=lambda gate: gate.subject)):
        option = "approve" if number % 2 else "reject"
        gates.decide(gate.id, option, by="ada", via="web", why=f"{number}")
    control.store.change_item(control.items("typing")[0].id, ItemState.WAITING, ItemState.CANCELLED)
    monkeypatch.setattr(item_gates, "BATCH", 3)
    transactions = count_transactions(fleet, monkeypatch)
    for _ in range(2):
        control.gates.carry_out(control.store, fleet.fleet.id, "typing")
    items = control.items("typing")
    expected = ["cancelled", "approved", "rejected", "approved", "rejected", "approved", "rejected"]

    assert (expected, ["1", "2"], 3) == (
        [item.state for item in items],
        [item.why for item in items[1:3]],
        len(transactions),
    )
