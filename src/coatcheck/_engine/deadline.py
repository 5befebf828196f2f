"""How long a whole wait may take. A deadline stops the waiting, never the work."""

from __future__ import annotations

import math

from .._protocol.effects import Clock


class Deadline:
    """A moment on a monotonic clock; with *seconds* None there is no deadline."""

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float | None, *, clock: Clock) -> None:
        self._clock = clock
        self._at = math.inf if seconds is None else clock.monotonic() + seconds

    @property
    def is_past(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining <= 0

    @property
    def is_finite(self) -> bool:
        """Whether there is a deadline."""
        return self._at != math.inf

    @property
    def remaining(self) -> float:
        """Return the seconds left, infinite without a deadline."""
        return self._at - self._clock.monotonic()
