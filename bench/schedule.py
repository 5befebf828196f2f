"""Measure polling schedules: polls x mean delay, simulated, for tasks of lognormal duration (lower is better).

Every schedule is scaled to the same number of polls, because more polls always give less delay; each figure is
the mean over the same durations, one from each of 4,000 equally likely classes. The pauses are jittered as the engine jitters them.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable
from statistics import NormalDist

from coatcheck import Client
from coatcheck._engine.schedule import Schedule
from coatcheck._model.duration_estimate import DurationEstimate, Durations
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import EmulatorTransport, FakeClock, MemoryJournal

MEDIAN, SPREAD = 360.0, 0.8
POLLS = 15.0
TASKS = 4_000
CLIENTS = 500
JITTER = 0.1
DURATIONS = [math.exp(NormalDist(math.log(MEDIAN), SPREAD).inv_cdf((n + 0.5) / TASKS)) for n in range(TASKS)]

Pause = Callable[[float], float]


def simulated(pause: Pause) -> tuple[float, float]:
    """Return polls per task and the mean delay of detection in seconds."""
    randomness = random.Random(1)
    polls = delay = 0.0
    for duration in DURATIONS:
        age = 0.0
        while age < duration:
            age += pause(age) * (1 + JITTER * (2 * randomness.random() - 1))
            polls += 1
        delay += age - duration
    return polls / TASKS, delay / TASKS


def scaled(make: Callable[[float], Pause]) -> tuple[float, float]:
    """Return the figures of a schedule after finding the parameter that gives the wanted number of polls."""
    low, high = 1e-3, 1e4
    figures = simulated(make(1.0))
    for _ in range(22):
        middle = (low * high) ** 0.5
        figures = simulated(make(middle))
        low, high = (middle, high) if figures[0] > POLLS else (low, middle)
    return figures


def with_estimate(median: float, spread: float = SPREAD) -> Callable[[float], Pause]:
    """Return our schedule for an estimate, as a function of the cost of a poll."""
    estimate = DurationEstimate(median=median, spread=spread)
    return lambda poll_cost: Schedule(belief=estimate, poll_cost=poll_cost, shortest=0.01, longest=1e6)


def estimate_after(tasks: int) -> DurationEstimate:
    """Return the estimate after so many tasks."""
    durations = Durations()
    for duration in DURATIONS[:: len(DURATIONS) // tasks] if tasks else ():
        durations = durations.with_another(duration)
    return durations.estimate(typical=MEDIAN)


def backoff(_: float) -> Pause:
    """Return the usual backoff: 1 s, 1.5 times longer each time, at most 60 s; as a function of age."""
    pauses, age = {}, 0.0
    pause = 1.0
    while age < 1e5:
        pauses[age] = pause
        age += pause
        pause = min(60.0, pause * 1.5)
    ages = sorted(pauses)

    def after(age: float) -> float:
        return pauses[ages[max(0, bisect.bisect_right(ages, age + 1e-9) - 1)]]

    return after


def through_client(schedule: Schedule) -> tuple[float, float]:
    """Return polls per task and mean delay of real clients that wait for the local cloud, on a fake clock."""
    polls = delay = 0.0
    durations = DURATIONS[:: TASKS // CLIENTS]
    randomness = random.Random(1)
    for duration in durations:
        clock = FakeClock()
        cloud = ScriptedCloud(timeline=[(0.0, "in_progress"), (duration, "completed")], clock=clock, is_open=True)
        client = Client(
            "codex",
            base_url="http://127.0.0.1:9/backend-api",
            token="t",
            environ={"COATCHECK_LEARN": "off"},
            journal=MemoryJournal(),
            transport=EmulatorTransport(cloud),
            clock=clock,
            random=randomness.random,
        )
        task = client.create_task("p", environment="owner/repo")
        started = clock.time()
        client.poll_task(task, interval=schedule, timeout=None)
        polls += len(cloud.seen("get_task"))
        delay += clock.time() - started - duration
    return polls / len(durations), delay / len(durations)


def main() -> None:
    """Print each schedule's figure beside its goal."""
    rows: list[tuple[str, tuple[float, float], float | None]] = [
        ("ours, estimate right", scaled(with_estimate(MEDIAN)), 235),
        ("ours, estimated median half of the true one", scaled(with_estimate(MEDIAN / 2)), 260),
        ("ours, estimated median twice the true one", scaled(with_estimate(MEDIAN * 2)), 260),
        ("ours, estimate right, through the client and the local cloud", through_client(Schedule()), 235),
        ("ours, default cost, after 100 tasks", simulated(Schedule(belief=estimate_after(100))), None),
        ("ours, default cost, after 10 tasks", simulated(Schedule(belief=estimate_after(10))), None),
        ("ours, default cost, before any task has ended", simulated(Schedule(belief=estimate_after(0))), None),
        ("fixed interval", scaled(lambda seconds: lambda _age: seconds), None),
        ("backoff 1 s x 1.5 to 60 s, not scaled", simulated(backoff(0)), None),
    ]
    for name, (polls, delay), goal in rows:
        print(
            f"{polls * delay:6.0f} s  {polls:5.1f} polls x {delay:5.1f} s  {name}"
            + (f" (goal: {goal})" if goal else "")
        )


if __name__ == "__main__":
    main()
