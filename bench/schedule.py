"""Measure schedules of looks: looks x mean delay, simulated, for tasks of lognormal duration (lower is better).

Every schedule is scaled to the same number of looks, since any can buy less delay with more of them; each figure is
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
LOOKS = 15.0
TASKS = 4_000
CLIENTS = 500
JITTER = 0.1
DURATIONS = [math.exp(NormalDist(math.log(MEDIAN), SPREAD).inv_cdf((n + 0.5) / TASKS)) for n in range(TASKS)]

Pause = Callable[[float], float]


def simulated(pause: Pause) -> tuple[float, float]:
    """Return looks per task and the mean delay of detection in seconds."""
    dice = random.Random(1)
    looks = delay = 0.0
    for duration in DURATIONS:
        age = 0.0
        while age < duration:
            age += pause(age) * (1 + JITTER * (2 * dice.random() - 1))
            looks += 1
        delay += age - duration
    return looks / TASKS, delay / TASKS


def scaled(make: Callable[[float], Pause]) -> tuple[float, float]:
    """Return the figures of a schedule after finding the parameter that gives the wanted number of looks."""
    low, high = 1e-3, 1e4
    figures = simulated(make(1.0))
    for _ in range(22):
        middle = (low * high) ** 0.5
        figures = simulated(make(middle))
        low, high = (middle, high) if figures[0] > LOOKS else (low, middle)
    return figures


def believing(median: float, spread: float = SPREAD) -> Callable[[float], Pause]:
    """Return our schedule under a belief, by the worth of a look."""
    belief = DurationEstimate(median=median, spread=spread)
    return lambda poll_cost: Schedule(belief=belief, poll_cost=poll_cost, shortest=0.01, longest=1e6)


def learnt(tasks: int) -> DurationEstimate:
    """Return what is believed after so many tasks."""
    seen = Durations()
    for duration in DURATIONS[:: len(DURATIONS) // tasks] if tasks else ():
        seen = seen.with_another(duration)
    return seen.estimate(typical=MEDIAN)


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


def lived(schedule: Schedule) -> tuple[float, float]:
    """Return looks per task and mean delay of real clients waiting at the local cloud, on a clock that is not real."""
    looks = delay = 0.0
    durations = DURATIONS[:: TASKS // CLIENTS]
    dice = random.Random(1)
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
            random=dice.random,
        )
        task = client.create_task("p", environment="owner/repo")
        started = clock.time()
        client.poll_task(task, interval=schedule, timeout=None)
        looks += len(cloud.seen("get_task"))
        delay += clock.time() - started - duration
    return looks / len(durations), delay / len(durations)


def main() -> None:
    """Print each schedule's figure beside its goal."""
    rows: list[tuple[str, tuple[float, float], float | None]] = [
        ("ours, belief right", scaled(believing(MEDIAN)), 235),
        ("ours, believed median half the truth", scaled(believing(MEDIAN / 2)), 260),
        ("ours, believed median twice the truth", scaled(believing(MEDIAN * 2)), 260),
        ("ours, belief right, through the client and the local cloud", lived(Schedule()), 235),
        ("ours as it comes, after 100 tasks", simulated(Schedule(belief=learnt(100))), None),
        ("ours as it comes, after 10 tasks", simulated(Schedule(belief=learnt(10))), None),
        ("ours as it comes, before anything was learnt", simulated(Schedule(belief=learnt(0))), None),
        ("fixed interval", scaled(lambda seconds: lambda _age: seconds), None),
        ("backoff 1 s x 1.5 to 60 s, as it comes", simulated(backoff(0)), None),
    ]
    for name, (looks, delay), goal in rows:
        print(
            f"{looks * delay:6.0f} s  {looks:5.1f} looks x {delay:5.1f} s  {name}"
            + (f" (goal: {goal})" if goal else "")
        )


if __name__ == "__main__":
    main()
