"""The real clock."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any


class SystemClock:
    """Time as it goes by."""

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds."""
        time.sleep(max(0.0, seconds))

    def asleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Suspend for so many seconds."""
        from asyncio import sleep  # 35 ms to import, and only asyncio's users sleep here

        return sleep(max(0.0, seconds))  # a frame of our own around it would be a quarter of a kilobyte per wait
