"""Interruption of a command by SIGINT, SIGTERM or SIGHUP.

Invariants:
- The first signal raises `UserInterrupt` in the main thread, further ones nothing; the command ends with an error
  that names its task and the command that resumes it.
- A command that has not ended `CLEANUP_LIMIT` seconds later, because native code holds the main thread or cleaning up hangs,
  is ended by a second thread, which prints the same line.
- A signal that was ignored when the process began (nohup, a background job of a script) stays ignored.

The second thread receives a signal through the wake-up descriptor, which Python's C-level handler writes to even
while the main thread is in native code (docs.python.org, `signal.set_wakeup_fd`).
"""

from __future__ import annotations

import os
import select
import signal
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from .._model.tasks import TaskRef

# Clean-up takes milliseconds, and Ctrl-C must end a command within a second (seconds).
CLEANUP_LIMIT = 0.8
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class UserInterrupt(BaseException):
    """The command was interrupted by signal `number`; `remedy` is how to resume, `ref` the task.

    Not a KeyboardInterrupt: click prints an empty line for it and treats it as the end of a prompt.
    """

    def __init__(self, remedy: str | None = None, *, ref: TaskRef | None = None, number: int = signal.SIGINT) -> None:
        self.remedy, self.ref, self.number = remedy, ref, number
        super().__init__("interrupted")


class Interruption:
    """What an interrupted command reports: its task, and the signal."""

    def __init__(self) -> None:
        self.number: int = 0
        self._remedy: str | None = None
        self._ref: TaskRef | None = None

    def expect(self, remedy: str | None, *, ref: TaskRef | None = None) -> None:
        """Set what an interruption reports from now on."""
        self._remedy, self._ref = remedy, ref

    @property
    def error(self) -> UserInterrupt:
        """The error of the command that is interrupted now."""
        return UserInterrupt(self._remedy, ref=self._ref, number=self.number or signal.SIGINT)

    @property
    def line(self) -> str:
        """The line that is printed on stderr."""
        return f"coatcheck: interrupted; {self._remedy}" if self._remedy else "coatcheck: interrupted"

    def install(self) -> None:
        """Handle the signals of this process from now on."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        numbers = {getattr(signal, name) for name in NAMES if hasattr(signal, name)}
        for number in numbers:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._handle)
        Thread(target=self._watch, args=(reader, numbers), name="coatcheck-signals", daemon=True).start()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        if not self.number:
            self.number = number
            raise self.error

    def _watch(self, reader: int, numbers: set[int]) -> None:
        while received := numbers.intersection(os.read(reader, 64)):
            if any(signal.getsignal(number) == self._handle for number in received):
                select.select([], [], [], CLEANUP_LIMIT)
                self._end(received.pop())

    def _end(self, number: int) -> None:
        """Print the line, where stderr takes it, and end the process."""
        try:
            if select.select([], [2], [], 0)[1]:
                os.write(2, f"{self.line}\n".encode(errors="backslashreplace"))
        except OSError:
            pass
        os._exit(128 + (self.number or number))
