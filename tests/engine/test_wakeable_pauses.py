"""Waits whose pauses end with a delivery of a webhook, and poll less often while deliveries work."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, reply

from coatcheck import TaskRef, TaskState, errors
from coatcheck.testing import FakeClock

START = 1_790_000_000.0
CHECK = 0.5


class FakeWakes:
    """Deliveries that arrive at times in seconds after the start, each about a task or a repository."""

    def __init__(self, clock: FakeClock, *arrivals: tuple[float, str], is_working: bool = False) -> None:
        self._clock, self._arrivals, self._is_working = clock, arrivals, is_working
        self._next_at = 0.0
        self._seen: dict[str, float] = {}
        self.missed: list[str] = []
        self.held: list[TaskRef] = []

    def next_check(self, remaining: float) -> float:
        return max(0.0, self._next_at - self._clock.monotonic())

    def refresh(self) -> None:
        now = self._clock.time()
        self._next_at = now + CHECK
        self._seen |= {name: START + at for at, name in self._arrivals if START + at <= now}

    def arrived_at(self, ref: TaskRef, repository: str | None) -> float:
        return max(self._seen.get(ref.id, 0.0), self._seen.get(repository or "", 0.0))

    def is_working(self, provider: str) -> bool:
        return self._is_working and not self.missed

    def record_missed(self, provider: str) -> None:
        self.missed.append(provider)

    def hold(self, refs: Iterable[TaskRef]) -> None:
        self.held += refs

    def release(self, refs: Iterable[TaskRef]) -> None:
        for ref in refs:
            self.held.remove(ref)


class Waiting:
    """A service of some tasks, a client of it, and the times of its requests in seconds after the start."""

    def __init__(self, variant: str, *arrivals: tuple[float, str], tasks: int = 1, **options: Any) -> None:
        self.clock = FakeClock(START)
        self.wakes = FakeWakes(self.clock, *arrivals, is_working=options.pop("is_working", False))
        self.service = ToyService(**options)
        for _ in range(tasks):
            self.service.create({"prompt": "p", "attempts": 1})
        self.requests: list[tuple[float, str]] = []
        self.client = Both(variant, ToyProvider(), self, clock=self.clock, wakes=self.wakes)

    def handle(self, request: Any) -> Any:
        """Answer a request, and record its time."""
        self.requests.append((self.clock.time() - START, request.path.rpartition("/")[2]))
        return self.service.handle(request)

    @property
    def times(self) -> list[float]:
        """When requests were sent."""
        return [round(at, 2) for at, _ in self.requests]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each client."""
    return str(request.param)


def test_a_delivery_ends_the_pause(variant: str) -> None:
    """A task that ends during a pause of a minute is returned within a check of the delivery about it."""
    waiting = Waiting(variant, (20.2, "t1"), states=("working", "done"))
    task = waiting.client.poll_task("t1", interval=60.0, timeout=None)

    assert (TaskState.SUCCEEDED, [0.0, 20.5], []) == (task.state, waiting.times, waiting.wakes.held)


def test_a_delivery_about_another_task_changes_nothing(variant: str) -> None:
    """The pause has its length."""
    waiting = Waiting(variant, (20.0, "t2"), states=("working", "done"))
    waiting.client.poll_task("t1", interval=60.0)

    assert [0.0, 60.0] == waiting.times


def test_a_delivery_carries_no_state(variant: str) -> None:
    """A task that a delivery names and that still runs is waited for, at the normal interval."""
    waiting = Waiting(variant, (20.0, "t1"), states=("working", "working", "done"))
    waiting.client.poll_task("t1", interval=60.0)

    assert [0.0, 20.0, 80.0] == waiting.times


@pytest.mark.slow
def test_many_deliveries_cost_a_poll_a_second(variant: str) -> None:
    """A task that a hundred deliveries name in ten seconds is polled at most once a second."""
    arrivals = [(20 + place / 10, "t1") for place in range(100)]
    waiting = Waiting(variant, *arrivals, states=("working",) * 60 + ("done",))
    waiting.client.poll_task("t1", interval=60.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waiting.times)]

    assert (True, 11) == (min(gaps) >= 1.0, sum(20 <= at <= 31 for at in waiting.times))


def test_a_delivery_does_not_shorten_what_the_service_requires(variant: str) -> None:
    """After 429 with Retry-After the next request is sent when the service permits it, also if deliveries arrive."""
    waiting = Waiting(variant, (12.0, "t1"), (20.0, "t1"), states=("working", "done"))
    waiting.service.script = [None, reply({}, 429, retry_after="90")]
    waiting.client.poll_task("t1", interval=10.0)

    assert [0.0, 10.0, 100.0] == waiting.times


def test_a_delivery_before_the_answer_to_the_submission(variant: str) -> None:
    """A task that ended before its ref was known is polled at once, not after the first pause."""
    waiting = Waiting(variant, (-5.0, "t2"), states=("done",))
    waiting.client.create_task_and_wait("p", environment="attic", interval=60.0)

    assert [0.0, 0.0, 0.0] == waiting.times


def test_a_delivery_before_the_first_poll_costs_nothing(variant: str) -> None:
    """What arrived before a poll began is answered by it."""
    waiting = Waiting(variant, (-5.0, "t1"), states=("working", "done"))
    waiting.client.poll_task("t1", interval=60.0)

    assert [0.0, 60.0] == waiting.times


@pytest.mark.parametrize(("interval", "slowed"), [(60.0, 240.0), (200.0, 600.0), (900.0, 900.0)])
def test_polls_are_less_frequent_while_deliveries_work(variant: str, interval: float, slowed: float) -> None:
    """A pause is four times as long, at most ten minutes for that reason."""
    waiting = Waiting(variant, states=("working", "working", "working"), is_working=True)
    waiting.service.lives["t1"] = iter(("working", "working", "done"))
    waiting.client.poll_task("t1", interval=interval, timeout=None)

    assert [0.0, slowed, 2 * slowed] == waiting.times


def test_an_end_that_no_delivery_announced(variant: str) -> None:
    """It is recorded, and the next wait polls at its normal interval."""
    waiting = Waiting(variant, tasks=2, states=("working", "done"), is_working=True)
    waiting.client.poll_task("t1", interval=60.0)
    waiting.client.poll_task("t2", interval=60.0)

    assert ([0.0, 240.0, 240.0, 300.0], ["toy"]) == (waiting.times, waiting.wakes.missed)


@pytest.mark.parametrize("state", ["done", "asking"])
def test_an_end_that_was_announced(variant: str, state: str) -> None:
    """A delivery that ended the wait shows that deliveries work."""
    waiting = Waiting(variant, (20.0, "t1"), states=("working", state), is_working=True)
    waiting.client.poll_task("t1", interval=60.0)

    assert ([0.0, 20.0], []) == (waiting.times, waiting.wakes.missed)


def test_a_task_that_had_ended_says_nothing_about_deliveries(variant: str) -> None:
    """The first poll finds ends of long ago, which no delivery announces now."""
    waiting = Waiting(variant, states=("done",), is_working=True)
    waiting.client.poll_task("t1")

    assert [] == waiting.wakes.missed


def test_a_deadline_is_kept(variant: str) -> None:
    """Neither deliveries nor longer pauses change when a wait times out."""
    waiting = Waiting(variant, (40.0, "t1"), states=("working",), is_working=True)
    with pytest.raises(errors.WaitTimeoutError):
        waiting.client.poll_task("t1", interval=60.0, timeout=100)

    assert ([0.0, 40.0, 100.0], []) == (waiting.times, waiting.wakes.held)


def test_of_many_tasks_the_named_one_is_polled(variant: str) -> None:
    """A delivery about one task of a batch costs one request, and that task is returned at once."""
    waiting = Waiting(variant, (20.0, "t2"), tasks=3, states=("working", "done"))
    tasks = waiting.client.poll_tasks(["t1", "t2", "t3"], interval=60.0)
    first = waiting.requests[3]

    assert ((20.0, "t2"), ["t2", "t1", "t3"]) == (first, [task.ref.id for task in tasks])
    assert [0.0, 0.0, 0.0, 20.0, 60.0, 60.0] == waiting.times


def test_a_batch_is_watched(variant: str) -> None:
    """The events of a named task come with the delivery, those of the others with their poll."""
    waiting = Waiting(variant, (20.0, "t2"), tasks=2, states=("working", "done"))
    events = waiting.client.watch_tasks(["t1", "t2"], interval=60.0)
    ends = [event.ref.id for event in events if event.type == "task.succeeded"]

    assert (["t2", "t1"], [0.0, 0.0, 20.0, 60.0]) == (ends, waiting.times)


def test_a_batch_slows_and_recovers(variant: str) -> None:
    """The pause of a batch is four times as long until an end was not announced."""
    waiting = Waiting(variant, tasks=2, is_working=True)
    waiting.service.lives |= {"t1": iter(("working", "done")), "t2": iter(("working", "working", "done"))}
    waiting.client.poll_tasks(["t1", "t2"], interval=60.0)

    assert ([0.0, 0.0, 240.0, 240.0, 300.0], ["toy"]) == (waiting.times, waiting.wakes.missed)


def test_a_refusal_after_a_delivery(variant: str) -> None:
    """A named task that the service refuses leaves the batch, and the others are waited for."""
    waiting = Waiting(variant, (20.0, "t1"), tasks=2, states=("working", "done"))
    waiting.service.script = [None, None, reply({"detail": "gone"}, 404)]
    with pytest.raises(errors.NotFoundError, match="t1"):
        waiting.client.poll_tasks(["t1", "t2"], interval=60.0)

    assert ([0.0, 0.0, 20.0, 60.0], []) == (waiting.times, waiting.wakes.held)


def test_a_watch_is_woken(variant: str) -> None:
    """A watch of one task yields its end with the delivery."""
    waiting = Waiting(variant, (20.0, "t1"), states=("working", "done"))
    events = waiting.client.watch_task("t1", interval=60.0)

    assert (["task.started", "task.succeeded"], [0.0, 20.0]) == ([event.type for event in events], waiting.times)
