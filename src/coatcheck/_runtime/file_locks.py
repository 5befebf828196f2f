"""Lock files that threads, tasks and processes respect alike.

Two descriptors of one file exclude each other even within a process, so flock serves all three; it is tried and never
waited for inside the system call, so that a wait can be timed, cancelled and shared with an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from .. import errors
from .._protocol.effects import Clock, Lock

# How often a taken lock is tried again (seconds): the Codex CLI's own holders keep it for milliseconds (6.5).
TRY_EVERY = 0.05


class HeldLock:
    """The locks of one `Exclusive`, taken in order and released in reverse."""

    def __init__(self, lock: Lock, *, clock: Clock) -> None:
        self._lock, self._clock = lock, clock
        self._descriptors: list[int] = []

    def pauses(self) -> Iterator[float]:
        """Take every lock, yielding the pause to make before each further try. Raises `TimeoutError`."""
        deadline = self._clock.monotonic() + self._lock.timeout
        for path in self._lock.paths:
            while (descriptor := try_lock(path)) is None:
                if self._clock.monotonic() >= deadline:
                    raise TimeoutError(path)
                yield TRY_EVERY
            self._descriptors.append(descriptor)

    def release(self) -> None:
        """Give every lock back."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def try_lock(path: str) -> int | None:
    """Return the descriptor that holds the lock on *path*, None when somebody else does."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise errors.UnsupportedError("lock files are not supported on this system") from None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    if _is_still(path, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _is_still(path: str, descriptor: int) -> bool:
    """Whether *path* names the file we locked: somebody may have removed it in between."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False
