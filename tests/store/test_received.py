"""Deliveries that arrived, in the store: kept once, handled until their task was polled, shown as working or not."""

from __future__ import annotations

import pytest

from coatcheck import TaskRef, TaskSpec
from coatcheck._model.tasks import Task, TaskState
from coatcheck._protocol.intents import intent_of
from coatcheck._store.database import Database
from coatcheck._store.history import History
from coatcheck._store.hooks import HookStore
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.received import ALIVE_SECONDS, KEEP_SECONDS, WORKING_SECONDS, ReceivedStore, repository_name
from coatcheck.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that does not run."""
    return FakeClock()


@pytest.fixture
def received(database: Database, clock: FakeClock) -> ReceivedStore:
    """Return the deliveries of an empty store."""
    return ReceivedStore(database, time=clock.time)


def test_a_delivery_is_kept_once(received: ReceivedStore, clock: FakeClock) -> None:
    """A repeated delivery changes nothing; one of another sender with the same id is another one."""
    kept = [received.receive(sender=sender, id="d1", names=["codex:t1"]) for sender in ("github", "github", "openai")]
    arrivals = received.arrivals_since(clock.time())
    clock.sleep(1)

    assert [True, False, True] == kept
    assert ([("codex:t1",)] * 2, []) == ([each.names for each in arrivals], received.arrivals_since(clock.time()))


def test_a_repeated_delivery_with_other_content_changes_nothing(received: ReceivedStore) -> None:
    """What was acknowledged first is what is kept."""
    received.receive(sender="github", id="d1", names=["codex:t1"])
    received.receive(sender="github", id="d1", names=["codex:t2"])

    assert [("codex:t1",)] == [each.names for each in received.arrivals_since(0)]


def test_old_deliveries_are_deleted(received: ReceivedStore, clock: FakeClock, database: Database) -> None:
    """What arrived longer ago than senders repeat is deleted."""
    received.receive(sender="github", id="d1", names=[])
    clock.sleep(KEEP_SECONDS + 1)
    received.receive(sender="github", id="d2", names=[])

    assert ["d2"] == [delivery.id for delivery in HookStore(database, clock=clock).list_deliveries()]


def test_a_delivery_is_handled_until_it_is_not_due(received: ReceivedStore, clock: FakeClock) -> None:
    """One that is postponed comes again at its time, one that was handled does not; one without names never does."""
    received.receive(sender="github", id="none", names=[])
    received.receive(sender="github", id="d1", names=["codex:t1"])
    received.receive(sender="github", id="d2", names=["codex:t2"])
    first, second = received.unhandled(10)
    received.set_due([(first, None), (second, clock.time() + 5)])
    before = received.unhandled(10)
    clock.sleep(5)

    assert (["d1", "d2"], [], ["d2"]) == (
        [first.id, second.id],
        before,
        [each.id for each in received.unhandled(10)],
    )


def test_deliveries_work_while_they_arrive(received: ReceivedStore, clock: FakeClock) -> None:
    """They work for a provider from its first delivery on, while a process receives, until one is missed."""
    steps = [received.working_providers()]
    received.receive(sender="github", id="d1", names=["github_actions:o~r~1", repository_name("copilot", "o/r")])
    steps.append(received.working_providers())
    received.beat("p1")
    steps.append(received.working_providers())
    clock.sleep(1)
    received.record_missed("copilot")
    received.record_missed("jules")
    steps.append(received.working_providers())
    clock.sleep(1)
    received.receive(sender="github", id="d2", names=[repository_name("copilot", "o/r")])
    steps.append(received.working_providers())

    assert [set(), set(), {"copilot", "github_actions"}, {"github_actions"}, {"copilot", "github_actions"}] == steps


@pytest.mark.parametrize(("seconds", "is_seen"), [(ALIVE_SECONDS, False), (WORKING_SECONDS, True)])
def test_deliveries_stop_working(received: ReceivedStore, clock: FakeClock, seconds: float, is_seen: bool) -> None:
    """They do not work once no process receives, nor after a day without one."""
    received.beat("p1")
    received.receive(sender="github", id="d1", names=["github_actions:o~r~1"])
    clock.sleep(seconds)
    if is_seen:
        received.beat("p1")

    assert (set(), is_seen) == (received.working_providers(), received.has_server())


def test_a_process_that_ends_is_not_shown(received: ReceivedStore) -> None:
    """A process that stops receiving removes itself; others stay."""
    received.beat("p1")
    received.beat("p2")
    received.end("p1")
    with_one = received.has_server()
    received.end("p2")

    assert (True, False) == (with_one, received.has_server())


def test_waits_are_recorded_and_expire(received: ReceivedStore, clock: FakeClock) -> None:
    """A process is recorded with the tasks that it waits for now; a process that has ended is deleted by others."""
    one, two = TaskRef("codex", "t1"), TaskRef("codex", "t2")
    start = clock.time()
    received.record_waiter("p1", [one, two, one])
    received.record_waiter("p1", [one])
    times = [received.waited_at(str(ref)) for ref in (one, two)]
    clock.sleep(ALIVE_SECONDS + 1)
    received.record_waiter("p2", [])

    assert ([start, 0.0], 0.0) == (times, received.waited_at(str(one)))


def test_tasks_that_a_name_concerns(received: ReceivedStore, database: Database, location: str) -> None:
    """They are recorded tasks and submitted ones, by id in any case, or the tasks of a repository that still run."""
    history, journal = History(location), SubmissionJournal(database)
    for id, state in (("a", TaskState.RUNNING), ("b", TaskState.SUCCEEDED), ("c", TaskState.INPUT_REQUIRED)):
        history.record(Task(ref=TaskRef("copilot", id), state=state, repository="Owner/Repo"))
    history.close()
    intent = intent_of(TaskSpec(prompt="p"), id="i", provider="github_actions", at=1.0, pid=1)
    journal.begin(intent)
    journal.settle(intent, TaskRef("github_actions", "Owner~repo~17"))
    names = ("copilot:b", "github_actions:owner~Repo~17", repository_name("copilot", "owner/repo"), "copilot:x")
    named = [sorted(id for _, id in received.tasks_named(name, limit=9)) for name in names]

    assert [["b"], ["Owner~repo~17"], ["a", "c"], []] == named
