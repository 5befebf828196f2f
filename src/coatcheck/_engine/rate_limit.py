"""One budget of requests per credential, shared by every task of a process.

Invariants:
- After a response with ``Retry-After``, no request is sent before that time.
- With a rate, requests are sent evenly after a burst; none is refused, each waits for its turn.
- Requests that change something are separated by the pause that the service requires.
- Taking a turn does no I/O; the waiting is a `Sleep`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from .. import errors
from .._protocol.effects import Clock, Request, Response, Script, Sender, Sleep
from .._protocol.retry_after import is_throttled, retry_after

# A longer pause is in the error of its request, and does not hold other requests (seconds).
LONGEST_PAUSE = 60.0
# GitHub's secondary limit mostly names no time: "at least one minute", then exponentially longer (docs.github.com,
# "Best practices for using the REST API"). The longest is ours (seconds).
NAMELESS_PAUSE, LONGEST_NAMELESS_PAUSE = 60.0, 900.0
NAMELESS = b"secondary rate limit"
READS = frozenset({"GET", "HEAD"})


class RateLimiter:
    """The budget of one credential. *rate* is in requests a second, None for no limit.

    *lock* guards its state between threads; the runtime passes one.
    """

    def __init__(
        self, *, rate: float | None = None, burst: int = 10, lock: AbstractContextManager[Any] | None = None
    ) -> None:
        if rate is not None and not rate > 0:
            raise errors.ConfigurationError(f"a rate is a positive number of requests a second, not {rate!r}")
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._credit = self._interval * (burst - 1)
        self.lock = lock or nullcontext()
        self._next = 0.0  # when the next request may leave if no burst is left
        self._not_before = 0.0
        self._nameless = 0  # limits without a time, in a row

    def reserve(self, now: float) -> float:
        """Take the next turn and return how many seconds it is away."""
        if not self._interval:
            return max(0.0, self._not_before - now)
        with self.lock:
            self._next = max(self._next, now - self._credit) + self._interval
            return max(0.0, self._next - self._interval - now, self._not_before - now)

    def hold(self, until: float) -> None:
        """Sender no request before *until*."""
        with self.lock:
            self._not_before = max(self._not_before, until)

    def end_limit(self) -> None:
        """Start again with the shortest pause at the next limit that names no time."""
        if self._nameless:
            with self.lock:
                self._nameless = 0

    def named(self, response: Response) -> Response:
        """Return *response* with a ``Retry-After`` where it is a limit that names no time: longer each time in a row."""
        if not is_nameless(response):
            return response
        with self.lock:
            seconds = min(NAMELESS_PAUSE * 2 ** min(self._nameless, 10), LONGEST_NAMELESS_PAUSE)
            self._nameless += 1
        return msgspec.structs.replace(response, headers={**response.headers, "retry-after": f"{seconds:g}"})


def is_nameless(response: Response) -> bool:
    """Whether the answer is GitHub's secondary limit without a time."""
    if response.status not in (403, 429):
        return False
    return NAMELESS in response.body[:2000].lower() and retry_after(response.headers) is None


def rate_limited(send: Sender, *, pace: RateLimiter, clock: Clock) -> Sender:
    """Return a `Sender` that waits for its turn, and holds all requests for the time that the service requires."""

    def sender(request: Request) -> Script[Response]:
        seconds = pace.reserve(clock.monotonic())
        if seconds > 0:
            yield Sleep(seconds)
        response = yield from send(request)
        if response.status < 400:
            pace.end_limit()
            return response
        return hold_if_busy(pace.named(response))

    def hold_if_busy(response: Response) -> Response:
        is_busy = response.status == 503 or is_throttled(response.status, response.headers)
        if is_busy and (requested := retry_after(response.headers)) is not None:
            pace.hold(clock.monotonic() + min(requested, LONGEST_PAUSE))
        return response

    return sender


def spaced(send: Sender, *, seconds: float, clock: Clock, lock: AbstractContextManager[Any] | None = None) -> Sender:
    """Return a `Sender` that keeps two requests that change something *seconds* apart; *lock* as in `RateLimiter`."""
    lock = lock or nullcontext()
    free_at = 0.0

    def sender(request: Request) -> Script[Response]:
        nonlocal free_at
        if request.method not in READS:
            now = clock.monotonic()
            with lock:
                pause, free_at = free_at - now, max(free_at, now) + seconds
            if pause > 0:
                yield Sleep(pause)
        return (yield from send(request))

    return sender
