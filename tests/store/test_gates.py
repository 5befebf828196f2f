"""Gates in the store: decided once, on what was read, before a deadline."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from coatcheck import TaskRef, errors
from coatcheck._model.gates import ANSWER, APPROVE, REJECT, Gate, GateOption, digest_of
from coatcheck._store.database import Database
from coatcheck._store.events import EventLog
from coatcheck._store.gates import GateStore
from coatcheck._store.history import History
from coatcheck._store.hooks import Hook, HookStore
from coatcheck.testing import FakeClock

PLAN = Gate(subject="jules:1", kind="plan", title="the plan of jules:1", detail="1. Read", digest="d1")
PERSON: dict[str, Any] = {"by": "ann", "via": "cli"}


@pytest.fixture
def clock() -> FakeClock:
    """A clock that does not run."""
    return FakeClock()


@pytest.fixture
def gates(database: Database, clock: FakeClock) -> GateStore:
    """The gates of an empty store."""
    return GateStore(database, time=clock.time)


def types(database: Database) -> list[str]:
    """Return the types of all events."""
    return [each.event.type for each in EventLog(database, time=lambda: 0.0).read()]


def after(clock: FakeClock, seconds: float) -> datetime:
    """Return a moment in so many seconds."""
    return datetime.fromtimestamp(clock.time(), UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("fields", [{"kind": "plna"}, {"on_expiry": "aprove"}, {"title": None}, {"lines": "x"}])
def test_a_gate_that_could_not_be_read_is_not_stored(gates: GateStore, fields: dict[str, Any]) -> None:
    """A gate with a wrong value is an error, and does not prevent that others are read."""
    opened = gates.open(PLAN)
    with pytest.raises(errors.ConfigurationError):
        gates.open(replace(PLAN, subject="jules:2", **fields))

    assert [opened] == list(gates.list())


@pytest.mark.parametrize("fields", [{"via": "nosuch"}, {"by": None}, {"why": 3}])
def test_a_decision_that_could_not_be_read_is_not_stored(gates: GateStore, fields: dict[str, Any]) -> None:
    """A decision with a wrong value is an error, and the gate stays open."""
    opened = gates.open(PLAN)
    with pytest.raises(errors.ConfigurationError):
        gates.decide(opened.id, "approve", **{**PERSON, **fields})

    assert [opened] == list(gates.list(state=None))


def test_a_gate_is_read_as_it_was_opened(gates: GateStore) -> None:
    """Every attribute is stored, and the store adds an id and a time."""
    gate = Gate(
        subject="local:1", kind="permission", title="run it\0", detail="rm", digest="d", on_expiry="approve",
        options=(APPROVE, GateOption(id="never", label="Never", effect="reject", is_lasting=True)),
        paths=("a", "b"), lines=3, repository="o/r", submitted_via="mcp", expires_at=datetime(2100, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    stored = gates.open(gate)

    assert replace(gate, id=stored.id, opened_at=stored.opened_at) == gates.get(stored.address)


@pytest.mark.parametrize(("kind", "action"), [("plan", "hold"), ("question", "reject"), ("delivery", "reject")])
def test_every_gate_has_a_deadline(gates: GateStore, clock: FakeClock, kind: Any, action: str) -> None:
    """It is in three days unless one was chosen, and never approves by itself."""
    gate = gates.open(replace(PLAN, kind=kind))

    assert (after(clock, 72 * 3600), action) == (gate.expires_at, gate.on_expiry)


def test_a_decision_and_its_event_are_stored_together(gates: GateStore, database: Database) -> None:
    """The gate has the decision and no detail, and the event has who decided, how, why and on what."""
    gate = gates.open(PLAN)
    decision = gates.decide(gate.id, "approve", **PERSON, why="I read it", digest="d1")
    event: Any = EventLog(database, time=lambda: 0.0).last(1, subject=gate.address)[0].event
    stored = gates.get(gate.id)

    assert ("approved", None, decision) == (stored.state, stored.detail, stored.decision)
    assert ("jules:1", "approve", "ann", "cli", "I read it", "d1") == (
        event.concerns, event.effect, event.by, event.via, event.why, event.digest,
    )  # fmt: skip


def test_the_same_decision_again_is_the_first_one(gates: GateStore, database: Database) -> None:
    """Whoever decides the same later gets the first decision, and nothing is stored."""
    gate = gates.open(PLAN)
    first = gates.decide(gate.id, "reject", **PERSON)
    again = gates.decide(gate.id, "reject", by="bob", via="webhook")

    assert (first, ["gate.opened", "gate.decided"]) == (again, types(database))


def test_another_decision_names_the_first(gates: GateStore) -> None:
    """The error reports who decided what, how and why."""
    gate = gates.open(PLAN)
    gates.decide(gate.id, "reject", **PERSON, why="too much")
    with pytest.raises(errors.ConflictError, match=r"was rejected by ann at .* \(cli\): too much"):
        gates.decide(gate.id, "approve", by="bob", via="cli")


def test_of_two_at_once_one_decides(connect: Callable[[], Database], clock: FakeClock) -> None:
    """Two processes decide otherwise at the same time: one decision is stored, the other gets a conflict."""
    stores = [GateStore(connect(), time=clock.time) for _ in range(2)]
    gate = stores[0].open(PLAN)
    barrier, results = threading.Barrier(2), list[str]()

    def decide(store: GateStore, option: str) -> None:
        barrier.wait()
        try:
            results.append(store.decide(gate.id, option, **PERSON).option)
        except errors.ConflictError:
            results.append("conflict")

    threads = [threading.Thread(target=decide, args=pair) for pair in zip(stores, ("approve", "reject"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = stores[0].get(gate.id).decision

    assert decided is not None
    assert sorted([decided.option, "conflict"]) == sorted(results)


def test_one_process_carries_out_a_decision(gates: GateStore, database: Database) -> None:
    """A claim holds until it is given up, the decision is carried out, or its process has ended."""
    gate = gates.open(PLAN)
    gates.decide(gate.id, "approve", **PERSON)
    claims = [gates.claim(gate.id), gates.claim(gate.id)]
    gates.release(gate.id)
    claims.append(gates.claim(gate.id))
    with database.writing() as transaction:
        query = "UPDATE gate SET intent = replace(intent, ?, ?)"
        transaction.change(query, (f'"pid":{os.getpid()},', '"pid":4194305,'))
    claims.append(gates.claim(gate.id))
    gates.complete(gate.id)
    gates.release(gate.id)
    claims.append(gates.claim(gate.id))

    assert [True, False, True, True, False] == claims


def test_a_changed_subject_needs_another_decision(gates: GateStore, database: Database) -> None:
    """The gate of a former plan is withdrawn; a decision on its digest, or on that gate, is refused."""
    former = gates.open(PLAN)
    current = gates.open(replace(PLAN, digest="d2"))
    with pytest.raises(errors.ConflictError, match="is about something else by now"):
        gates.decide(current.id, "approve", **PERSON, digest="d1")
    with pytest.raises(errors.ConflictError, match="needs no decision any more"):
        gates.decide(former.id, "approve", **PERSON)

    assert ["gate.opened", "gate.withdrawn", "gate.opened"] == types(database)


def test_the_same_gate_is_opened_once(gates: GateStore) -> None:
    """Opening it again returns it, also after its decision, until that is carried out."""
    opened = gates.open(PLAN)
    again = gates.open(PLAN)
    gates.decide(opened.id, "approve", **PERSON)
    decided = gates.open(PLAN)
    gates.complete(opened.id)
    next_gate = gates.open(PLAN)

    assert (opened, opened.id, "approved", "open") == (again, decided.id, decided.state, next_gate.state)
    assert opened.id != next_gate.id


@pytest.mark.parametrize(("on_expiry", "state"), [("reject", "expired"), ("approve", "approved")])
def test_a_deadline_closes_a_gate(
    gates: GateStore, database: Database, clock: FakeClock, on_expiry: Any, state: str
) -> None:
    """Whoever decides later gets a conflict; a decision that is the deadline's too is the deadline's."""
    gate = gates.open(replace(PLAN, expires_at=after(clock, 60), on_expiry=on_expiry))
    clock.sleep(59)
    before = gates.get(gate.id).state
    clock.sleep(1)
    with pytest.raises(errors.ConflictError):
        gates.decide(gate.id, "reject", **PERSON)
    event: Any = EventLog(database, time=clock.time).last(1)[0].event

    assert ("open", state, "gate.expired", on_expiry) == (before, gates.get(gate.id).state, event.type, event.effect)


def test_a_gate_that_holds_can_be_decided_after_its_deadline(
    gates: GateStore, database: Database, clock: FakeClock
) -> None:
    """The deadline is reported once."""
    gate = gates.open(replace(PLAN, expires_at=after(clock, 60), on_expiry="hold"))
    clock.sleep(61)
    gates.expire()
    clock.sleep(60)
    gates.decide(gate.id, "approve", **PERSON)

    assert ["gate.opened", "gate.expired", "gate.decided"] == types(database)


def test_mcp_decides_nothing_that_was_submitted_over_mcp(gates: GateStore) -> None:
    """Neither a gate that was opened so, nor one of a task that was submitted so; a person decides both."""
    held = gates.open(Gate(subject="submission:1", kind="submission", title="a task", submitted_via="mcp"))
    gates.record_submission("jules:1", via="mcp")
    of_task = gates.open(PLAN)
    others = gates.open(replace(PLAN, subject="jules:2"))
    for gate in (held, of_task):
        for option in ("approve", "reject"):
            with pytest.raises(errors.PermissionDeniedError, match="MCP cannot decide"):
                gates.decide(gate.id, option, by="agent", via="mcp")
    decisions = [gates.decide(gate.id, "approve", **PERSON).via for gate in (held, of_task)]

    assert ["cli", "cli", "mcp"] == [*decisions, gates.decide(others.id, "approve", by="agent", via="mcp").via]


def test_gates_are_listed_by_subject_and_state(gates: GateStore) -> None:
    """The oldest comes first, and a limit keeps the newest."""
    opened = [gates.open(replace(PLAN, subject=f"jules:{number}")).id for number in range(3)]
    gates.decide(opened[0], "approve", **PERSON)
    lists = [
        gates.list(),
        gates.list(state=None),
        gates.list(subject="jules:1"),
        gates.list(state="approved"),
        gates.list(state=None, limit=2),
    ]
    numbers = [sorted(opened.index(gate.id) for gate in each) for each in lists]

    assert [[1, 2], [0, 1, 2], [1], [0]] == numbers[:4]
    assert len(numbers[4]) == 2


@pytest.mark.parametrize(
    ("id", "option", "message"),
    [("none", "approve", "there is no gate 'none'"), ("", "maybe", "has no option 'maybe'")],
)
def test_what_does_not_exist_is_named(gates: GateStore, id: str, option: str, message: str) -> None:
    """A gate or an option that does not exist is a configuration error."""
    gate = gates.open(PLAN)
    with pytest.raises(errors.ConfigurationError, match=message):
        gates.decide(id or gate.id, option, **PERSON)


def test_an_answer_approves(gates: GateStore) -> None:
    """A question has an option that answers it."""
    gate = gates.open(Gate(subject="jules:1", kind="question", title="which?", options=(ANSWER, REJECT)))

    assert gates.decide(gate.id, "answer", **PERSON).effect == "approve"


def test_a_hook_is_sent_the_events_of_gates(gates: GateStore, database: Database, clock: FakeClock) -> None:
    """A delivery is added with the event, for hooks of that type alone."""
    hooks = HookStore(database, clock=clock)
    moment = datetime.fromtimestamp(1, UTC)
    hooks.add(Hook(id="h1", url="https://example.com/", kinds=("gate.decided",), created_at=moment))
    gates.decide(gates.open(PLAN).id, "approve", **PERSON)

    assert ["msg_h1_2"] == [each.id for each in hooks.list_deliveries()]


def test_forgetting_a_task_deletes_its_gates(location: str, clock: FakeClock) -> None:
    """What an agent wrote is deleted; the log keeps who decided."""
    history = History(location, clock=clock)
    gates = history.gates
    gates.open(PLAN)
    history.forget([TaskRef("jules", "1")])
    log = [each.event.type for each in history.events.read()]
    remaining = tuple(gates.list(state=None))
    history.close()

    assert ((), ["gate.opened"]) == (remaining, log)


def test_a_digest_depends_on_where_a_part_ends() -> None:
    """Texts that are equal when joined have other digests."""
    digests = {digest_of("ab", "c"), digest_of("a", "bc"), digest_of("abc"), digest_of("abc", None), digest_of()}

    assert len(digests) == 5
