"""The progress of checks: a live table on a terminal, without one a line a minute on stderr.

Invariants:
- the checks run in a second thread, and everything is printed by the main thread, so that Ctrl-C ends both at once;
- ``--quiet`` prints nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from .console import Line, Part, Styled, clean
from .formatting import plural, short_span
from .progress import HEARTBEAT, TICK
from .text_width import columns, padded, shorten

if TYPE_CHECKING:
    from .._review.verification_results import CheckProgress
    from .._workspaces.cancellation import CancelScope
    from .context import CommandContext

T = TypeVar("T")
RUNNING = "running"
STYLES: Mapping[str, str] = {
    RUNNING: "cyan",
    "passed": "green",
    "failed": "red",
    "error": "red",
    "skipped": "dim",
    "unchecked": "yellow",
}
BASE = "base"
GAP = 2
# The width of the longest state, and the most of a check's name that is shown (columns).
MIN_CELL, MAX_TITLE = 9, 24
# A terminal with fewer lines than these has no table.
MIN_HEIGHT = 4


class ReviewProgress:
    """What is known about the checks: a table of candidates and checks on a terminal, and a line that sums it up."""

    def __init__(self, run: CommandContext) -> None:
        self._run = run
        self._started_at = self._printed_at = run.monotonic()
        # The state of each check of the base and of each candidate.
        self._states: dict[str, dict[str, str]] = {}

    def update(self, progress: CheckProgress) -> None:
        """Record that a check has begun or ended."""
        self._states.setdefault(progress.candidate or BASE, {})[progress.check] = progress.state

    def refresh(self) -> None:
        """Show the table and the line on a terminal, or print the line where there is none and it is due."""
        console, now = self._run.console, self._run.monotonic()
        if console.is_interactive:
            console.progress(self.line, table=self.table)
        elif now - self._printed_at >= HEARTBEAT:
            self._printed_at = now
            if not console.is_quiet:
                console.note(("coatcheck: ", *self.line()))

    def line(self) -> tuple[Part, ...]:
        """Return the line in parts: how many checks have ended, with which result, and how many run."""
        states = [state for checks in self._states.values() for state in checks.values()]
        running = states.count(RUNNING)
        parts: list[Part] = [
            f"{short_span(self._run.monotonic() - self._started_at)} • ",
            f"{plural(len(states) - running, 'check')} ended",
        ]
        for state, style in STYLES.items():
            if state != RUNNING and (count := states.count(state)):
                parts += [", ", Styled(f"{count} {state}", style)]
        return (*parts, f" • {running} running" if running else "")

    def table(self, height: int) -> list[Line]:
        """Return a line for each check's name, the base and each candidate; the latest ones where they do not fit."""
        checks = list(dict.fromkeys(check for states in self._states.values() for check in states))
        if not checks or height < MIN_HEIGHT:
            return []
        names = [*self._states]
        names = names[:1] + names[max(1, len(names) - height + 2) :]
        titles = [shorten(clean(check), MAX_TITLE) for check in checks]
        widths = [max(columns(title), MIN_CELL) + GAP for title in titles]
        first = max(columns(clean(name)) for name in names) + GAP
        header = "".join((" " * first, *(padded(title, width) for title, width in zip(titles, widths, strict=True))))
        return [Styled(header.rstrip(), "dim"), *(self._row(name, checks, first, widths) for name in names)]

    def _row(self, name: str, checks: Sequence[str], first: int, widths: Sequence[int]) -> Line:
        states = [self._states[name].get(check, "") for check in checks]
        cells = (
            Styled(padded(state, width), STYLES.get(state, "")) for state, width in zip(states, widths, strict=True)
        )
        return (padded(clean(name), first), *cells)


def with_progress(run: CommandContext, call: Callable[[Callable[[CheckProgress], None], CancelScope], T]) -> T:
    """Return what *call* returns, with the progress that it reports shown; it is cancelled when the user interrupts."""
    from .._workspaces.cancellation import CancelScope

    scope, progress = CancelScope(), ReviewProgress(run)
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
        show_until_end(reports, progress)
    except BaseException:
        scope.cancel()
        thread.join()
        raise
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def show_until_end(reports: queue.SimpleQueue[CheckProgress | None], progress: ReviewProgress) -> None:
    """Show each report, and the elapsed time meanwhile, until None is in the queue."""
    progress.refresh()
    while True:
        try:
            report = reports.get(timeout=TICK)
        except queue.Empty:
            progress.refresh()
            continue
        if report is None:
            return
        progress.update(report)
        progress.refresh()
