"""Submissions that a gate holds are begun once, whoever approves."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from coatcheck import Gate, GateStore, TaskRef, errors
from coatcheck._protocol.intents import Intent
from coatcheck._store.database import Database
from coatcheck._store.gates import new_gate_id
from coatcheck._store.held_submissions import HeldSubmissionJournal, held_submission

REF = TaskRef("codex", "t1")


def intent(id: str) -> Intent:
    """Return an intent."""
    return Intent(id=id, provider="codex", digest="d", at=5.0, summary="x", pid=1)


def held_gate(database: Database, *, is_approved: bool = True) -> str:
    """Return the id of a gate that holds a submission, which was submitted over MCP."""
    gates = GateStore(database, time=lambda: 5.0)
    gate = Gate(id=new_gate_id(), subject="submission:1", kind="submission", title="a task", submitted_via="mcp")
    id = gates.open(gate, request=b"prompt").id
    if is_approved:
        gates.decide(id, "approve", by="ann", via="cli")
    return id


def test_of_many_processes_one_submits(connect: Callable[[], Database]) -> None:
    """All have approved the gate and begin at the same time."""
    id = held_gate(connect())
    journals = [HeldSubmissionJournal(connect(), id) for _ in range(4)]
    barrier, results = threading.Barrier(len(journals)), list[str]()

    def submit(number: int) -> None:
        barrier.wait()
        try:
            journals[number].begin(intent(f"i{number}"))
            results.append("begun")
        except errors.ConflictError:
            results.append("conflict")

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(len(journals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["begun", "conflict", "conflict", "conflict"] == sorted(results)


def test_it_is_begun_again_only_after_it_certainly_made_no_task(database: Database) -> None:
    """An open intent, and one with a task, exclude another."""
    id = held_gate(database)
    journal = HeldSubmissionJournal(database, id)
    journal.begin(intent("i1"))
    for attempt in ("i1", "i2"):
        with pytest.raises(errors.ConflictError, match="was begun before"):
            journal.begin(intent(attempt))
    journal.abandon(intent("i1"))
    journal.begin(intent("i3"))
    journal.settle(intent("i3"), REF)
    with pytest.raises(errors.ConflictError, match="was begun before"):
        journal.begin(intent("i4"))

    held = held_submission(database, id)

    assert held is not None
    assert ("i3", REF, False) == (held.intent.id, held.ref, held.is_open)


def test_the_task_of_a_submission_is_known_and_its_prompt_deleted(database: Database) -> None:
    """MCP may not decide about that task either."""
    id, gates = held_gate(database), GateStore(database, time=lambda: 5.0)
    journal = HeldSubmissionJournal(database, id)
    journal.begin(intent("i1"))
    before = (gates.request(id), gates.get(id).is_done)
    journal.settle(intent("i1"), REF)
    plan = gates.open(Gate(subject=str(REF), kind="plan", title="a plan"))
    with pytest.raises(errors.PermissionDeniedError):
        gates.decide(plan.id, "approve", by="agent", via="mcp")

    assert ((b"prompt", False), (None, True)) == (before, (gates.request(id), gates.get(id).is_done))


def test_a_gate_that_was_not_approved_submits_nothing(database: Database) -> None:
    """Nor does one that does not exist."""
    for id in (held_gate(database, is_approved=False), "none"):
        with pytest.raises(errors.ConflictError):
            HeldSubmissionJournal(database, id).begin(intent("i1"))

    assert held_submission(database, "none") is None
