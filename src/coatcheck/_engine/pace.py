"""One budget of requests per credential, shared by every task of a process.

Law 1. A service that said "not before" to one request is not asked by any other until then.
Law 2. With a rate, requests leave evenly at it after a burst; nobody is refused, everybody waits their turn.
Law 3. Taking a turn does no I/O; the waiting is a `Sleep`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .. import errors
from .._protocol.effects import Clock, Request, Response, Script, Send, Sleep
from .._protocol.retry_after import retry_after

THROTTLED = frozenset({429, 503})
# A pause longer than this is an error's to carry, and not everybody's to sit out (seconds).
LONGEST_PAUSE = 60.0


class Pace:
    """The budget of one credential. *rate* is in requests a second, None for as many as the service takes.

    *lock* makes a turn safe between threads; the runtime brings one.
    """

    def __init__(
        self, *, rate: float | None = None, burst: int = 10, lock: AbstractContextManager[Any] | None = None
    ) -> None:
        if rate is not None and not rate > 0:
            raise errors.ConfigurationError(f"a rate is a positive number of requests a second, not {rate!r}")
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._credit = self._interval * (burst - 1)
        self._lock = lock or nullcontext()
        self._next = 0.0  # when the next request may leave if no burst is left
        self._not_before = 0.0

    def reserve(self, now: float) -> float:
        """Take the next turn and return how many seconds it is away."""
        with self._lock:
            self._next = max(self._next, now - self._credit) + self._interval
            return max(0.0, self._next - self._interval - now, self._not_before - now)

    def hold(self, until: float) -> None:
        """Let nobody ask before *until*."""
        with self._lock:
            self._not_before = max(self._not_before, until)


def paced(send: Send, *, pace: Pace, clock: Clock) -> Send:
    """Return a `Send` that waits for its turn, and tells everybody when the service wants to be left alone."""

    def sender(request: Request) -> Script[Response]:
        seconds = pace.reserve(clock.monotonic())
        if seconds > 0:
            yield Sleep(seconds)
        response = yield from send(request)
        if response.status in THROTTLED and (asked := retry_after(response.headers)) is not None:
            pace.hold(clock.monotonic() + min(asked, LONGEST_PAUSE))
        return response

    return sender
