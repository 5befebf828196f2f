"""Tasks that deliveries name are polled where nothing waits for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck import TaskRef, errors
from coatcheck._model.tasks import Task, TaskState
from coatcheck._store.history import History
from coatcheck._store.location import open_database
from coatcheck._store.received import ALIVE_SECONDS, UNKNOWN_SECONDS, ReceivedStore, repository_name
from coatcheck._webhooks.delivery_poller import DELIVERIES, TASKS, DeliveryPoller
from coatcheck.testing import FakeClock

REF = TaskRef("codex", "t1")


class Polling:
    """A store with a task, and the polls of its receiver in seconds after the start."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.error, self.ids = FakeClock(), False, iter(range(10_000))
        self.start = self.clock.time()
        self.folder, self.database = str(folder), open_database(str(folder))
        self.received = ReceivedStore(self.database, time=self.clock.time)
        self.polls: list[tuple[float, str]] = []
        self.poller = self.new_poller()

    def new_poller(self) -> DeliveryPoller:
        """Return the poller of a process that starts."""
        return DeliveryPoller(self.received, self.poll, clock=self.clock)

    def poll(self, ref: TaskRef) -> None:
        """Note a poll; raise an error if one is to be raised."""
        self.polls.append((self.clock.time() - self.start, ref.id))
        if self.error:
            raise errors.TransportError("no answer")

    def record(self, *ids: str, provider: str = "codex") -> None:
        """Record tasks."""
        history = History(self.folder, clock=self.clock)
        history.record_all(Task(ref=TaskRef(provider, id), state=TaskState.RUNNING, repository="o/r") for id in ids)
        history.close()

    def receive(self, name: str = str(REF)) -> None:
        """Receive a delivery."""
        self.received.receive(sender="github", id=f"d{next(self.ids)}", names=[name])

    def run(self, seconds: float, step: float = 0.5) -> list[tuple[float, str]]:
        """Let time pass; return the polls so far."""
        for _ in range(int(seconds / step)):
            self.poller.handle_due()
            self.clock.sleep(step)
        return self.polls


@pytest.fixture
def polling(tmp_path: Path) -> Iterator[Polling]:
    """Return an empty store."""
    polling = Polling(tmp_path)
    yield polling
    polling.database.close()


def test_a_task_of_the_store_is_polled(polling: Polling) -> None:
    """A delivery about a recorded task causes one poll; one about an unknown task none."""
    polling.record("t1")
    polling.receive()
    polling.receive("codex:t2")

    assert [(0.0, "t1")] == polling.run(5)


def test_deliveries_about_one_task_are_polled_together(polling: Polling) -> None:
    """Fifty deliveries at once cost one poll; those that follow cost at most one a second."""
    polling.record("t1")
    for _ in range(50):
        polling.receive()
    polling.run(0.5)
    for _ in range(20):
        polling.receive()
        polling.run(0.2, step=0.1)
    times = [at for at, _ in polling.run(3)]

    assert (True, True) == (
        all(later - earlier >= 0.999 for earlier, later in itertools.pairwise(times)),
        len(times) <= 6,
    )


def test_a_task_that_becomes_known_later(polling: Polling) -> None:
    """A delivery that arrived before the answer to the submission is handled when the ref is recorded."""
    polling.receive()
    polling.run(3)
    polling.record("t1")

    assert ["t1"] == [id for _, id in polling.run(10)]


def test_an_unknown_task_is_given_up(polling: Polling) -> None:
    """After ten minutes the delivery is not handled again, and before that at growing intervals."""
    polling.receive()
    counts = []
    for _ in range(int(UNKNOWN_SECONDS * 2)):
        counts.append(polling.poller.handle_due())
        polling.clock.sleep(1)

    assert (True, 0) == (sum(counts) < 25, sum(counts[int(UNKNOWN_SECONDS * 1.6) :]))


def test_a_task_that_is_waited_for_is_left_to_the_wait(polling: Polling) -> None:
    """A wait that has read the delivery polls the task itself."""
    polling.record("t1")
    polling.received.record_waiter("p1", [REF])
    polling.clock.sleep(2)
    polling.receive()
    polling.run(1)
    polling.received.record_waiter("p1", [REF])

    assert [] == polling.run(ALIVE_SECONDS * 2)


def test_a_wait_that_ended_before_it_read_the_delivery(polling: Polling) -> None:
    """The task is polled once the process that waited has not been seen for a while."""
    polling.record("t1")
    polling.received.record_waiter("p1", [REF])
    polling.clock.sleep(2)
    polling.receive()
    polls = polling.run(ALIVE_SECONDS * 2)

    assert (1, True) == (len(polls), ALIVE_SECONDS <= polls[0][0] <= ALIVE_SECONDS + 3)


def test_a_crash_before_the_poll(polling: Polling) -> None:
    """A delivery that the process before has acknowledged and not handled is handled by the next one, once."""
    polling.record("t1")
    polling.receive()
    polling.poller = polling.new_poller()
    polling.run(2)
    polling.poller = polling.new_poller()

    assert [(0.0, "t1")] == polling.run(2)


def test_a_repository_concerns_its_running_tasks(polling: Polling) -> None:
    """They are polled, at most so many."""
    polling.record(*map(str, range(TASKS + 5)), provider="copilot")
    polling.record("other", provider="jules")
    polling.receive(repository_name("copilot", "o/r"))

    assert TASKS == len(polling.run(2))


def test_an_error_ends_nothing(polling: Polling, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the delivery counts as handled, and the next one polls again."""
    polling.record("t1")
    polling.error = True
    polling.receive()
    polling.run(3)
    polling.receive()

    assert (2, ["codex:t1 was not polled: no answer"] * 2) == (
        len(polling.run(3)),
        [record.getMessage() for record in caplog.records],
    )


def test_many_deliveries_are_handled_in_parts(polling: Polling) -> None:
    """One round handles so many, the oldest first, and the rest follows."""
    polling.record(*map(str, range(DELIVERIES + 10)))
    for number in range(DELIVERIES + 10):
        polling.receive(f"codex:{number}")

    assert [DELIVERIES, 10, 0] == [polling.poller.handle_due() for _ in range(3)]
