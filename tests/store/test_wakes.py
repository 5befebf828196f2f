"""What waits of one process see of deliveries that another process has received."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck import TaskRef
from coatcheck._store.database import Database
from coatcheck._store.received import ALIVE_SECONDS, UNKNOWN_SECONDS, ReceivedStore, repository_name
from coatcheck._store.wakes import IDLE_SECONDS, SECONDS, StoreWakes
from coatcheck.testing import FakeClock

REF, OTHER = TaskRef("copilot", "t1"), TaskRef("copilot", "t2")


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that does not run."""
    return FakeClock()


@pytest.fixture
def received(connect: Callable[[], Database], clock: FakeClock) -> ReceivedStore:
    """Return what the process that receives has."""
    received = ReceivedStore(connect(), time=clock.time)
    received.beat("server")
    return received


@pytest.fixture
def wakes(location: str, clock: FakeClock, received: ReceivedStore) -> StoreWakes:
    """Return what a process that waits has."""
    return StoreWakes(location, time=clock.time, monotonic=clock.monotonic)


def seen(wakes: StoreWakes, clock: FakeClock, *, ref: TaskRef = REF, repository: str | None = None) -> float:
    """Read the deliveries, and return how long ago the newest one about a task arrived, -1 where none did."""
    clock.sleep(wakes.next_check(100.0))
    wakes.refresh()
    at = wakes.arrived_at(ref, repository)
    return round(clock.time() - at, 3) if at else -1.0


def test_a_delivery_is_seen(wakes: StoreWakes, received: ReceivedStore, clock: FakeClock) -> None:
    """It is seen with the next read, once, and only by waits for its task."""
    steps = [seen(wakes, clock)]
    received.receive(sender="github", id="d1", names=["copilot:T1"])
    steps += [seen(wakes, clock), seen(wakes, clock), seen(wakes, clock, ref=OTHER)]

    assert [-1.0, 0.0, SECONDS, -1.0] == steps


def test_a_repository_concerns_its_tasks(wakes: StoreWakes, received: ReceivedStore, clock: FakeClock) -> None:
    """A delivery that names a repository is seen by waits for the provider's tasks of that repository."""
    received.receive(sender="github", id="d1", names=[repository_name("copilot", "Owner/Repo")])
    tasks = ((REF, "owner/repo"), (REF, "owner/other"), (REF, None), (TaskRef("jules", "t1"), "owner/repo"))

    assert [0.0, -1.0, -1.0, -1.0] == [
        min(seen(wakes, clock, ref=ref, repository=repository), 0.0) for ref, repository in tasks
    ]


def test_earlier_deliveries_are_seen_for_ten_minutes(
    wakes: StoreWakes, received: ReceivedStore, clock: FakeClock
) -> None:
    """The first read of a process returns deliveries of the last ten minutes with their times, and no others."""
    received.receive(sender="github", id="d1", names=[str(REF)])
    clock.sleep(200)
    received.receive(sender="github", id="d2", names=[str(OTHER)])
    clock.sleep(UNKNOWN_SECONDS - 100)

    assert (-1.0, UNKNOWN_SECONDS - 100) == (seen(wakes, clock), round(clock.time() - wakes.arrived_at(OTHER, None), 3))


def test_a_clock_that_is_behind(
    wakes: StoreWakes, location: str, clock: FakeClock, connect: Callable[[], Database]
) -> None:
    """A delivery is new when it is read, also where the clock of the machine that received it is seconds behind."""
    wakes.refresh()
    behind = ReceivedStore(connect(), time=lambda: clock.time() - 20)
    behind.receive(sender="github", id="d1", names=[str(REF)])

    assert 0.0 == seen(wakes, clock)


def test_reads_are_bounded(wakes: StoreWakes, received: ReceivedStore, clock: FakeClock) -> None:
    """Waits share a read; it is less frequent while no process receives, and with thousands of waits."""
    wakes.refresh()
    intervals = [wakes.next_check(60.0)]
    received.end("server")
    clock.sleep(1)
    wakes.refresh()
    intervals.append(wakes.next_check(60.0))
    wakes.hold(TaskRef("copilot", str(number)) for number in range(5000))
    clock.sleep(1)
    wakes.refresh()
    intervals.append(wakes.next_check(60.0))

    assert [SECONDS, IDLE_SECONDS, 5.0] == [round(each, 3) for each in intervals]


def test_deliveries_work(wakes: StoreWakes, received: ReceivedStore, clock: FakeClock) -> None:
    """A wait reads from the store that deliveries work, and records in it that one was missed."""
    received.receive(sender="github", id="d1", names=[str(REF)])
    seen(wakes, clock)
    steps = [wakes.is_working("copilot"), wakes.is_working("jules")]
    wakes.record_missed("copilot")
    steps.append(wakes.is_working("copilot"))
    seen(wakes, clock)
    steps += [wakes.is_working("copilot"), "copilot" in received.working_providers()]

    assert [True, False, False, False, False] == steps


def test_waits_are_shown_to_the_receiver(wakes: StoreWakes, received: ReceivedStore, clock: FakeClock) -> None:
    """A wait is recorded with its first read, again when a delivery arrives, and until it ends."""
    wakes.hold([REF])
    start = clock.time()
    wakes.refresh()
    times = [received.waited_at(str(REF)) - start]
    clock.sleep(5)
    received.receive(sender="github", id="d1", names=[str(REF)])
    wakes.refresh()
    times.append(received.waited_at(str(REF)) - start)
    wakes.release([REF])
    clock.sleep(ALIVE_SECONDS)
    received.beat("server")
    wakes.refresh()
    times.append(received.waited_at(str(REF)))

    assert [0.0, 5.0, 0.0] == times


def test_no_store_is_created(tmp_path: Path, clock: FakeClock) -> None:
    """A store that does not exist has no deliveries, and is not created."""
    wakes = StoreWakes(str(tmp_path / "state"), time=clock.time, monotonic=clock.monotonic)
    wakes.refresh()
    wakes.close()

    assert (0.0, []) == (wakes.arrived_at(REF, None), list(tmp_path.iterdir()))


def test_a_store_that_cannot_be_read(tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and nothing is raised."""
    (tmp_path / "coatcheck.sqlite3").write_bytes(b"not a database, but as long as one" * 100)
    wakes = StoreWakes(str(tmp_path), time=clock.time, monotonic=clock.monotonic)
    for _ in range(3):
        clock.sleep(2)
        wakes.refresh()
    wakes.record_missed("copilot")
    wakes.close()

    assert ["webhooks cannot be read, so waits only poll"] == [
        record.getMessage().partition(":")[0] for record in caplog.records
    ]
