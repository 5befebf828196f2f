"""Let Ctrl-C end a call into native code.

A request runs in native code, where Python's signal handlers have to wait (measured: KeyboardInterrupt was raised with the
answer, three seconds later). So the main thread, the only one that handles signals, passes such calls to a second
thread and waits for a queue, which a signal does interrupt. Other threads make the call themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread, get_ident, main_thread
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

# How long an interrupted call that must not lose its result may still take before it is left to itself (seconds).
GRACE = 0.3

Outcome: TypeAlias = "tuple[Any, BaseException | None]"


class Interruptible:
    """Makes calls that a signal interrupts. An interrupted call continues in its thread, and its result is dropped."""

    def __init__(self, *, is_needed: bool = True) -> None:
        self._is_needed = is_needed
        self._worker: _Worker | None = None
        self._is_closed = False

    def close(self) -> None:
        """End the thread: at once where it is idle, else after its call."""
        self._is_closed = True
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()
            worker.join()

    def __del__(self) -> None:
        if self._worker is not None:
            self._worker.end()

    def perform(self, function: Callable[[], T], *, grace: float = 0.0) -> T:
        """Return what *function* returns, or raise what it raises; KeyboardInterrupt as soon as the signal arrives.

        With *grace* an interrupted call is waited for so many seconds more.
        """
        if not self._is_needed or get_ident() != main_thread().ident:
            return function()
        worker = self._worker if self._worker and self._worker.is_ours else _Worker()
        self._worker = None  # one that is interrupted, or busy, is not used again
        outcomes = worker.begin(function)
        try:
            value, error = outcomes.get()
        except BaseException:
            worker.end()
            _await(outcomes, grace)
            raise
        self._worker = worker
        if self._is_closed:
            self.close()
        if error is not None:
            raise error
        result: T = value
        return result


class _Worker:
    """A thread that makes one call after another."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Outcome]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="coatcheck-requests", daemon=True)
        self._thread.start()

    def begin(self, function: Callable[[], Any]) -> SimpleQueue[Outcome]:
        """Let the thread call *function*, and return the queue to which its outcome is going to be put."""
        outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._calls.put((function, outcomes))
        return outcomes

    def end(self) -> None:
        """End the thread after the call that it makes."""
        self._calls.put(None)

    def join(self) -> None:
        """Wait for the end of the thread, if it is one of this process."""
        if self.is_ours:
            self._thread.join()

    @property
    def is_ours(self) -> bool:
        """Whether the thread is in this process: a fork leaves it behind."""
        return self._pid == os.getpid()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, outcomes = call
            try:
                outcomes.put((function(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
                outcomes.put((None, error))
            del call, function, outcomes


def _await(outcomes: SimpleQueue[Outcome], grace: float) -> None:
    if grace > 0:
        try:
            outcomes.get(timeout=grace)
        except Empty:
            return
