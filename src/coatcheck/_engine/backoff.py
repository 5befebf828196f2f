"""The pause before a request is sent again after a failure.

Full jitter (uniform between nothing and the exponential bound) spreads many clients best; it is for retries
only: it would spoil a polling schedule, which has a jitter of ±10 %.
Precedent: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from .._values.value import JsonFields, Value


class RetryPolicy(Value, frozen=True, kw_only=True):
    """Retry policy of one request.

    `attempts` counts the first; `initial` and `maximum` bound the pause in seconds. A service that requests a longer
    pause than `patience` gets no pause at all: its error is raised at once, with `retry_after` in it.
    """

    attempts: int = 5
    initial: float = 1.0
    maximum: float = 30.0
    multiplier: float = 2.0
    patience: float = 60.0

    _json: ClassVar[JsonFields] = {
        "attempts": "how often a request is sent at most",
        "initial": "the longest pause before the first retry, in seconds",
        "maximum": "the longest pause, in seconds",
        "multiplier": "how much the longest pause grows from retry to retry",
        "patience": "the longest pause that a service may request, in seconds",
    }

    def bound(self, retries: int) -> float:
        """Return the longest pause before retry number *retries* (from 0), without jitter."""
        return min(self.maximum, self.initial * self.multiplier**retries)

    def pause(self, retries: int, *, random: Callable[[], float], requested: float | None = None) -> float | None:
        """Return the pause before the next try in seconds, None when there should be no next try.

        A pause that the service *requested* is never shortened, only lengthened at random by up to a tenth.
        """
        if retries + 1 >= self.attempts or (requested is not None and requested > self.patience):
            return None
        if requested is not None:
            return requested * (1 + 0.1 * random())
        return self.bound(retries) * random()


NEVER = RetryPolicy(attempts=1)
