"""The real clock.

Invariant: a sleep under asyncio is never shortened. A long one is rounded up to a shared grid of times, so that thousands
of timers wake the event loop, the transport's thread and the network together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine
from typing import Any

# Times of the grid in a second. With ten thousand waits of 5 s a poll costs 128 µs of CPU, without a grid 165
# (bench/polling.py). A power of two is exact in binary; a sleep is longer by at most a sixty-fourth of a second.
GRID = 64
# Shorter sleeps are exact, for a lock that is polled (seconds).
LONG = 1.0


def round_to_grid(seconds: float, *, now: float) -> float:
    """Return *seconds*, rounded up to the grid if it is long."""
    if seconds < LONG:
        return max(0.0, seconds)
    return math.ceil((now + seconds) * GRID) / GRID - now if seconds < math.inf else seconds


class SystemClock:
    """The time of the system."""

    # Seconds since the epoch, and seconds that never go back. Each request reads them five times.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def boottime(self) -> float:
        """Return seconds that never go back, and that pass while the machine is suspended, where the system counts them."""
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if clock is None else time.clock_gettime(clock)

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds."""
        time.sleep(max(0.0, seconds))

    def asleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Suspend for so many seconds, until the next time of the grid."""
        from asyncio import sleep  # 35 ms to import, and only asyncio's users sleep here

        return sleep(
            round_to_grid(seconds, now=time.monotonic())
        )  # a frame of our own around it would be a quarter of a kilobyte per wait
