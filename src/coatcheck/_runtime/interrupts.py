"""Let Ctrl-C end a call into native code.

A request runs in native code, where Python's signal handlers have to wait (measured: KeyboardInterrupt was raised with the
answer, three seconds later). Only the main thread handles signals. It makes a call in one of two ways:

- A call that can be cancelled and repeated is made in place. A signal wakes a second thread (`signal.set_wakeup_fd`),
  which cancels the call. Where the signal's handler does not raise, the call is made again, in the second way.
- A second thread makes any other call, and the main thread waits for a queue, which a signal does interrupt. The two
  changes of thread cost 35 µs of CPU.

Other threads make the call themselves.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread, get_ident, main_thread
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

# How long an interrupted call that must not lose its result may still take before it is left to itself (seconds).
GRACE = 0.3

Outcome: TypeAlias = "tuple[Any, BaseException | None]"


class Interruptible:
    """Makes calls that a signal interrupts. A call that is not cancelled continues in its thread; its result is dropped."""

    def __init__(self, *, is_needed: bool = True) -> None:
        self._is_needed = is_needed
        self._worker: _Worker | None = None
        self._watcher: _Watcher | None = None
        self._is_closed = False
        # Until a signal arrives whose handler does not raise: each further one would cancel a request too.
        self._may_cancel = sys.platform != "win32"  # where pipes cannot be made non-blocking before Python 3.12

    def close(self) -> None:
        """End the threads: at once where they are idle, else after their call."""
        self._is_closed = True
        threads, self._worker, self._watcher = (self._worker, self._watcher), None, None
        for thread in filter(None, threads):
            thread.end()
            thread.join()

    def __del__(self) -> None:
        for thread in filter(None, (self._worker, self._watcher)):
            thread.end()

    @property
    def is_main_thread(self) -> bool:
        """Whether signals must be able to end the calls of this thread."""
        return self._is_needed and get_ident() == main_thread().ident

    def perform(self, function: Callable[[], T], *, grace: float = 0.0) -> T:
        """Return what *function* returns, or raise what it raises; KeyboardInterrupt as soon as the signal arrives.

        With *grace* an interrupted call is waited for so many seconds more.
        """
        return self._perform_elsewhere(function, grace) if self.is_main_thread else function()

    def perform_here(self, function: Callable[[], T], *, cancel: Callable[[], object]) -> T:
        """Do what `perform` does, without another thread; *function* is called again where *cancel* had to end it."""
        watcher = self._free_watcher() if self._may_cancel else None
        if watcher is None:
            self._may_cancel = False
            return self.perform(function)
        try:
            if watcher.begin(cancel):
                return function()
        except BaseException as error:
            if not watcher.has_cancelled:
                raise
            if not isinstance(error, Exception):
                _forget_the_call(error)
                raise error from None  # not from the error of the cancelled call
        finally:
            watcher.pause()
        self._may_cancel = False
        return self.perform(function)

    def _free_watcher(self) -> _Watcher | None:
        """Return the watcher, created by the first call; None where another library is woken by signals."""
        if self._watcher is None or not self._watcher.is_ours:
            previous = signal.set_wakeup_fd(-1)
            if previous != -1:
                signal.set_wakeup_fd(previous)
                return None
            self._watcher = _Watcher()
        return self._watcher

    def _perform_elsewhere(self, function: Callable[[], T], grace: float) -> T:
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


class _Thread:
    """A thread of this process: a fork leaves it behind."""

    def __init__(self, name: str) -> None:
        self._pid = os.getpid()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let it end, at once where it is idle."""
        raise NotImplementedError

    def join(self) -> None:
        """Wait for its end, if it is one of this process."""
        if self.is_ours:
            self._thread.join()

    @property
    def is_ours(self) -> bool:
        """Whether it is in this process."""
        return self._pid == os.getpid()

    def _run(self) -> None:
        raise NotImplementedError


class _Watcher(_Thread):
    """A thread that a signal wakes while it watches a call of the main thread; it cancels that call."""

    def __init__(self) -> None:
        self._signals, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        self._cancel: Callable[[], object] | None = None
        self.has_cancelled = False
        super().__init__("coatcheck-signals")

    def begin(self, cancel: Callable[[], object]) -> bool:
        """Let a signal call *cancel*, and return True; False where another library is woken by signals."""
        self._cancel, self.has_cancelled = cancel, False
        previous = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        if previous in (-1, self._wakeup):
            return True
        signal.set_wakeup_fd(previous)
        self._cancel = None
        return False

    def pause(self) -> None:
        """Watch no more until the next `begin`."""
        if self._cancel is not None:
            signal.set_wakeup_fd(-1)
            self._cancel = None

    def end(self) -> None:
        """End the thread."""
        wakeup, self._wakeup = self._wakeup, -1
        if wakeup >= 0:
            os.close(wakeup)

    def _run(self) -> None:
        while os.read(self._signals, 64):
            if (cancel := self._cancel) is not None:
                self.has_cancelled = True
                cancel()
        os.close(self._signals)


class _Worker(_Thread):
    """A thread that makes one call after another."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Outcome]] | None] = SimpleQueue()
        super().__init__("coatcheck-requests")

    def begin(self, function: Callable[[], Any]) -> SimpleQueue[Outcome]:
        """Let the thread call *function*, and return the queue to which its outcome is going to be put."""
        outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._calls.put((function, outcomes))
        return outcomes

    def end(self) -> None:
        """End the thread after the call that it makes."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, outcomes = call
            try:
                outcomes.put((function(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
                outcomes.put((None, error))
            del call, function, outcomes


def _forget_the_call(error: BaseException) -> None:
    """Remove Python 3.12's note on *error* that it interrupted the making of another error, that of the cancelled call."""
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith("Normalization failed")]
    vars(error)["__notes__"] = notes


def _await(outcomes: SimpleQueue[Outcome], grace: float) -> None:
    if grace > 0:
        try:
            outcomes.get(timeout=grace)
        except Empty:
            return
