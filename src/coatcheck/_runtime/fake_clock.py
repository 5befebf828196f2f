"""Time that passes when a test says so, for both colours, so that no test sleeps."""

from __future__ import annotations

import heapq
import itertools


class FakeClock:
    """A clock for tests: `sleep` returns at once and moves time on; `sleeps` records every pause (seconds).

    Under asyncio, tasks that sleep wake in the order of their alarms: time moves only when every other task has had
    its turn, so a hundred waits interleave as they would in real time.
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
        """Return seconds that never go back."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time go by without anybody sleeping."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move time on."""
        self.sleeps.append(seconds)
        self._now += max(0.0, seconds)

    async def asleep(self, seconds: float) -> None:
        """Move time on, after everybody whose alarm is earlier."""
        from asyncio import sleep

        self.sleeps.append(seconds)
        alarm = (self._now + max(0.0, seconds), next(self._counter))
        heapq.heappush(self._alarms, alarm)
        # Turns enough for tasks that are about to set an earlier alarm: an answer takes a few steps of the loop.
        for _ in range(10):
            await sleep(0)
        while self._alarms[0] < alarm:  # noqa: ASYNC110 - each turn of the loop is what is waited for
            await sleep(0)
        heapq.heappop(self._alarms)
        self._now = max(self._now, alarm[0])
