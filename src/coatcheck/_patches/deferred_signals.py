"""Defer the handlers of signals for the moment in which a process starts.

A handler that raises while `subprocess.Popen` is being created, such as Ctrl-C's, leaves a child that nobody has.

Invariants:

- only handlers that are Python functions are deferred, and only in the main thread, which alone runs them;
- each deferred signal is handled once, by its own handler, when `release` is called or the block ends.
"""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from typing import Self

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class DeferredSignals:
    """Defers signals from the start of its block until `release`."""

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._received: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> Self:
        if current_thread() is main_thread():
            for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._defer)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Restore the handlers, and call those of the signals that arrived. Raises what they raise."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        received, self._received = self._received, []
        for number, frame in received:
            handlers[number](number, frame)

    def _defer(self, number: int, frame: FrameType | None) -> None:
        self._received.append((number, frame))
