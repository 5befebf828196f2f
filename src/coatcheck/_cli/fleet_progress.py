"""The progress of a fleet: a live line on a terminal, without one a line a minute on stderr.

The line has how many items are in each state, the rate at which they are settled, and the estimated rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from .._model.fleets import SETTLED_ITEMS, CandidateState, FleetStatus
from .formatting import short_span
from .progress import HEARTBEAT

if TYPE_CHECKING:
    from .console import Part
    from .context import CommandContext

# Before so many items were settled, a rate says nothing.
FEWEST = 3


class FleetProgress:
    """Shows the status of a fleet while it runs."""

    def __init__(self, run: CommandContext, name: str) -> None:
        self._run, self._name = run, name
        self._started_at = self._printed_at = run.monotonic()
        self._status: FleetStatus | None = None
        self._settled_before: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._status = None

    def show(self, status: FleetStatus) -> None:
        """Show a status: at once on a terminal, else once a minute."""
        if self._settled_before is None:
            self._settled_before = _settled(status)
        self._status = status
        console = self._run.console
        if console.is_interactive:
            console.progress(self.line)
        elif self._run.monotonic() - self._printed_at >= HEARTBEAT:
            self._printed_at = self._run.monotonic()
            if not console.is_quiet:
                console.note(("coatcheck: ", *self.line()))

    def notice(self, text: str) -> None:
        """Print what went wrong and is tried again."""
        self._run.warn(f"{self._name}: {text}")

    def line(self) -> tuple[Part, ...]:
        """Return the line in parts."""
        status = self._status
        if status is None:
            return ()
        total, settled = sum(status.items.values()), _settled(status)
        active = [f"{count} {state}" for state, count in status.items.items() if state not in SETTLED_ITEMS]
        running = status.candidates.get(CandidateState.RUNNING, 0)
        parts = [f"{settled} of {total} items", *active, f"{running} tasks running", self._rest(total, settled)]
        return (f"{self._name}: ", " • ".join(filter(None, parts)))

    def _rest(self, total: int, settled: int) -> str:
        """Return the elapsed time, the rate and the estimated rest."""
        elapsed = self._run.monotonic() - self._started_at
        done = settled - (self._settled_before or 0)
        if done < FEWEST or elapsed <= 0:
            return short_span(elapsed)
        rest = (total - settled) * elapsed / done
        return f"{short_span(elapsed)} • {done / elapsed * 60:.1f} a minute • about {short_span(rest)} left"


def _settled(status: FleetStatus) -> int:
    return sum(count for state, count in status.items.items() if state in SETTLED_ITEMS)
