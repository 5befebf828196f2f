"""A clock that tells every second that it goes by, so that a person sees a wait move."""

from __future__ import annotations

from collections.abc import Callable

from .._runtime.system_clock import SystemClock

TICK = 1.0


class ProgressClock(SystemClock):
    """The real clock; *on_tick* is called after each second of a sleep."""

    def __init__(self, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds, ticking."""
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:
            super().sleep(min(TICK, left))
            self._on_tick()
