"""The progress of checks: a live line on a terminal, without one a line a minute on stderr.

Invariants:
- the checks run in a second thread, and everything is printed by the main thread, so that Ctrl-C ends both at once;
- ``--quiet`` prints nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from .console import Part, Styled
from .formatting import plural, short_span
from .progress import HEARTBEAT, TICK

if TYPE_CHECKING:
    from .._review.verification_results import CheckProgress
    from .._workspaces.cancellation import CancelScope
    from .context import CommandContext

T = TypeVar("T")
STYLES: Mapping[str, str] = {
    "passed": "green",
    "failed": "red",
    "error": "red",
    "skipped": "dim",
    "unchecked": "yellow",
}
BASE = "base"


class CheckProgressLine:
    """What is known about the checks, and the line that shows it."""

    def __init__(self, run: CommandContext) -> None:
        self._run = run
        self._started_at = self._printed_at = run.monotonic()
        self._running: dict[tuple[str, str], None] = {}
        self._ended: dict[tuple[str, str], str] = {}

    def update(self, progress: CheckProgress) -> None:
        """Record that a check has begun or ended."""
        key = progress.candidate or BASE, progress.check
        if progress.state == "running":
            self._running[key] = None
        else:
            self._running.pop(key, None)
            self._ended[key] = progress.state

    def refresh(self) -> None:
        """Show the line on a terminal, or print it where there is none and it is due."""
        console, now = self._run.console, self._run.monotonic()
        if console.is_interactive:
            console.progress(self.line)
        elif now - self._printed_at >= HEARTBEAT:
            self._printed_at = now
            if not console.is_quiet:
                console.note(("coatcheck: ", *self.line()))

    def line(self) -> tuple[Part, ...]:
        """Return the line in parts: how many checks have ended, with which result, and which run."""
        states = list(self._ended.values())
        counts: list[Part] = [f"{plural(len(states), 'check')} ended"]
        for state, style in STYLES.items():
            if count := states.count(state):
                counts += [", ", Styled(f"{count} {state}", style)]
        elapsed = short_span(self._run.monotonic() - self._started_at)
        running = [f"{candidate}: {check}" for candidate, check in self._running]
        return (f"{elapsed} • ", *counts, f" • running {', '.join(running)}" if running else "")


def with_progress(run: CommandContext, call: Callable[[Callable[[CheckProgress], None], CancelScope], T]) -> T:
    """Return what *call* returns, with the progress that it reports shown; it is cancelled when the user interrupts."""
    from .._workspaces.cancellation import CancelScope

    scope, line = CancelScope(), CheckProgressLine(run)
    reports: queue.SimpleQueue[CheckProgress | None] = queue.SimpleQueue()
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call(reports.put, scope))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)
        finally:
            reports.put(None)

    thread = threading.Thread(target=work, name="coatcheck-review", daemon=True)
    thread.start()
    try:
        show_until_end(reports, line)
    except BaseException:
        scope.cancel()
        thread.join()
        raise
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def show_until_end(reports: queue.SimpleQueue[CheckProgress | None], line: CheckProgressLine) -> None:
    """Show each report, and the elapsed time meanwhile, until None is in the queue."""
    line.refresh()
    while True:
        try:
            report = reports.get(timeout=TICK)
        except queue.Empty:
            line.refresh()
            continue
        if report is None:
            return
        line.update(report)
        line.refresh()
