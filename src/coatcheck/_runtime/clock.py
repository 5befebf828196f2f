"""The real clock."""

from __future__ import annotations

import time


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

    async def asleep(self, seconds: float) -> None:
        """Suspend for so many seconds."""
        from asyncio import sleep  # 35 ms to import, and only asyncio's users sleep here

        await sleep(max(0.0, seconds))
