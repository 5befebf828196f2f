"""A clock that tests advance, for both clients, so that no test sleeps. The scripted cloud uses it too."""

from __future__ import annotations

import heapq
import itertools


class FakeClock:
    """A clock for tests: `sleep` returns at once and advances the time; `sleeps` records every duration in seconds.

    Under asyncio, sleeping tasks wake in the order of their alarms: the time advances only after every other task has
    run, so a hundred waits interleave as they would in real time.
    """

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self._now = now
        self._alarms: list[tuple[float, int]] = []
        self._counter = itertools.count()
        self.sleeps: list[float] = []

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance the time without recording a sleep."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self.sleeps.append(seconds)
        self._now += max(0.0, seconds)

    async def asleep(self, seconds: float) -> None:
        """Advance the time, after every task with an earlier alarm."""
        from asyncio import sleep

        self.sleeps.append(seconds)
        alarm = (self._now + max(0.0, seconds), next(self._counter))
        heapq.heappush(self._alarms, alarm)
        # Enough steps of the loop for other tasks to set an earlier alarm: a response takes a few steps.
        for _ in range(10):
            await sleep(0)
        while self._alarms[0] < alarm:  # noqa: ASYNC110 - the loop must run other tasks meanwhile
            await sleep(0)
        heapq.heappop(self._alarms)
        self._now = max(self._now, alarm[0])
