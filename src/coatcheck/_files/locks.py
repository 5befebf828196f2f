"""Lock files that exclude threads, asyncio tasks and processes.

Two descriptors of one file exclude each other even within a process, so flock(2) serves all three. A lock is tried and
never waited for inside the system call, so that a wait can be timed, cancelled and shared with an event loop.
The kernel releases a lock when its process ends, also after a kill.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from .. import errors

# How often a taken lock is tried again (seconds): the Codex CLI holds its lock for milliseconds
# (docs/reference/protocols/codex-wham.md, 6.5).
TRY_EVERY = 0.05


class LockSet:
    """Several locks, taken in order and released in reverse."""

    def __init__(self, paths: Sequence[str], *, timeout: float, monotonic: Callable[[], float]) -> None:
        self._paths, self._timeout, self._monotonic = paths, timeout, monotonic
        self._descriptors: list[int] = []

    def pauses(self) -> Iterator[float]:
        """Take every lock, yielding the pause in seconds before each further try. Raises `TimeoutError`."""
        deadline = self._monotonic() + self._timeout
        for path in self._paths:
            while (descriptor := try_lock(path)) is None:
                if self._monotonic() >= deadline:
                    raise TimeoutError(path)
                yield TRY_EVERY
            self._descriptors.append(descriptor)

    def release(self) -> None:
        """Release every lock."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def try_lock(path: str) -> int | None:
    """Return the descriptor that holds the lock on *path*, None when another descriptor does.

    Raises `UnsupportedError` where the system has no flock, `OSError` where the file system has none.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if lock_descriptor(descriptor) and _is_same_file(path, descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def lock_descriptor(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when another descriptor holds the lock. Raises as `try_lock`."""
    return _flock(descriptor, is_shared=False)


def is_locked(descriptor: int) -> bool | None:
    """Whether another descriptor of an open file holds its lock, None where there are no locks.

    The test takes a shared lock for as long as *descriptor* is open.
    """
    try:
        return not _flock(descriptor, is_shared=True)
    except (OSError, errors.UnsupportedError):
        return None


def _flock(descriptor: int, *, is_shared: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        raise errors.UnsupportedError("lock files are not supported on this system") from None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same_file(path: str, descriptor: int) -> bool:
    """Whether *path* still names the locked file: another process may have removed it in between."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False
