"""The deadline and the cancellation of one attempt.

Invariants:
- everything that an attempt starts (git commands, the agent) is stopped by the same `CancelScope`;
- a callback that is registered after `CancelScope.cancel` is called at once, so no cancellation is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(Exception):  # noqa: N818 - cancelling is not an error
    """The attempt was cancelled, or its time is up."""


class Cancelled(Stopped):
    """The attempt was cancelled."""


class TimedOut(Stopped):
    """The attempt's time is up."""


class CancelScope:
    """The deadline (*timeout* seconds from now, None for none) and the cancellation of one attempt; thread-safe."""

    def __init__(self, timeout: float | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._deadline = None if timeout is None else monotonic() + timeout
        self._is_cancelled = False
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Cancel the attempt: call every registered callback."""
        with self._lock:
            self._is_cancelled = True
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def remaining(self) -> float | None:
        """Return the seconds until the deadline, at least 0, None where there is no deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._monotonic())

    def extend(self, seconds: float) -> None:
        """Move the deadline to *seconds* from now; a cancellation stays."""
        self._deadline = self._monotonic() + seconds

    def check(self) -> None:
        """Raise `Cancelled` or `TimedOut` where the attempt must not continue."""
        if self._is_cancelled:
            raise Cancelled
        if self.remaining() == 0:
            raise TimedOut

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call *callback* from the cancelling thread if the attempt is cancelled inside the block, or was before."""
        with self._lock:
            self._callbacks.append(callback)
            is_cancelled = self._is_cancelled
        if is_cancelled:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    @contextmanager
    def holding(self, lock: threading.Lock) -> Iterator[None]:
        """Hold *lock* inside the block; stop waiting for it where the attempt must not continue."""
        while not lock.acquire(timeout=LOCK_INTERVAL):
            self.check()
        try:
            yield
        finally:
            lock.release()


# How often an attempt that waits for a lock looks whether it was cancelled, in seconds.
LOCK_INTERVAL = 0.1
