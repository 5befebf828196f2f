"""The progress of a fleet: a live table on a terminal, without one a line a minute on stderr.

Invariants:

- the table has how many items and tasks are in each state and which accounts wait for quota; the line below it has the
  share that is finished, the rate, and the estimated rest;
- with ``--json`` each change is a document on a line of stdout (NDJSON), and the last one is how the command has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Self

from .._model.fleets import SETTLED_ITEMS, CandidateState, FleetStatus
from .console import Styled
from .formatting import short_span
from .json_output import to_object
from .progress import HEARTBEAT

if TYPE_CHECKING:
    from .console import Line, Part
    from .context import CommandContext

# From fewer finished items no rate is computed.
FEWEST = 3
# A terminal with fewer lines shows no table.
MIN_HEIGHT = 4
# State of an item or of a task -> its style; others have none.
STYLES: Mapping[str, str] = {
    "delivered": "green",
    "verified": "green",
    "waiting": "yellow",
    "input_required": "yellow",
    "conflict": "yellow",
    "uncertain": "red",
    "failed": "red",
    "exhausted": "red",
    "expired": "red",
    "running": "cyan",
}


class FleetProgress:
    """Shows the status of a fleet while it runs."""

    def __init__(self, run: CommandContext, name: str) -> None:
        self._run, self._name = run, name
        self._started_at = self._printed_at = run.monotonic()
        self._status: FleetStatus | None = None
        self._finished_before: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._status = None

    def show(self, status: FleetStatus) -> None:
        """Show a status: at once on a terminal, else once a minute; with ``--json`` where it differs from the last."""
        if self._finished_before is None:
            self._finished_before = _finished(status)
        is_changed, self._status = status != self._status, status
        console = self._run.console
        if self._run.is_json:
            if is_changed:
                self._run.print_document({"status": to_object(status)}, is_line=True)
        elif console.is_interactive:
            console.progress(self.line, table=self.table)
        elif self._run.monotonic() - self._printed_at >= HEARTBEAT:
            self._printed_at = self._run.monotonic()
            if not console.is_quiet:
                console.note(("coatcheck: ", *self.line()))

    def notice(self, text: str) -> None:
        """Print what went wrong and is tried again."""
        self._run.warn(f"{self._name}: {text}")

    def line(self) -> tuple[Part, ...]:
        """Return the line in parts: what is finished, what is under way, the rate and the rest."""
        status = self._status
        if status is None:
            return ()
        total, finished = sum(status.items.values()), _finished(status)
        active = [f"{count} {state}" for state, count in status.items.items() if state not in SETTLED_ITEMS]
        running = status.candidates.get(CandidateState.RUNNING, 0)
        parked = [f"quota of {account}" for account, _ in _parked(status)]
        parts = [f"{finished} of {total} items", *active, f"{running} tasks running", *parked]
        return (f"{self._name}: ", " • ".join((*parts, self._rest(total, finished))))

    def table(self, height: int) -> list[Line]:
        """Return a row for each state of items and of tasks, and one for each account that waits, as far as they fit."""
        status = self._status
        if status is None or height < MIN_HEIGHT:
            return []
        pairs = zip_longest(status.items.items(), status.candidates.items())
        rows: list[Line] = [Styled(f"{'items':20}tasks", "dim")]
        rows += [(*_cell(item, 20), *_cell(task, 0)) for item, task in pairs]
        rows += [Styled(f"{account}: no submission before {until}", "yellow") for account, until in _parked(status)]
        return rows[:height]

    def _rest(self, total: int, finished: int) -> str:
        """Return the elapsed time, the rate and the estimated rest."""
        elapsed = self._run.monotonic() - self._started_at
        done = finished - (self._finished_before or 0)
        if done < FEWEST or elapsed <= 0:
            return short_span(elapsed)
        rest = (total - finished) * elapsed / done
        return f"{short_span(elapsed)} • {done / elapsed * 60:.1f} a minute • about {short_span(rest)} left"


def _cell(counted: tuple[str, int] | None, width: int) -> tuple[Part, ...]:
    """Return a count and its state, padded to *width* columns."""
    if counted is None:
        return (" " * width,)
    state, count = counted
    text = f"{count:5} {state}"
    return (Styled(text, STYLES.get(state, "")), " " * max(0, width - len(text)))


def _parked(status: FleetStatus) -> list[tuple[str, str]]:
    """Return the accounts that wait for their quota, and until when; only while a task waits for one."""
    if not status.candidates.get(CandidateState.PLANNED):
        return []
    return [
        (f"{each.provider}/{each.name}".rstrip("/"), f"{each.parked_until:%Y-%m-%d %H:%M:%S}Z")
        for each in status.accounts
        if each.parked_until is not None
    ]


def _finished(status: FleetStatus) -> int:
    return sum(count for state, count in status.items.items() if state in SETTLED_ITEMS)
