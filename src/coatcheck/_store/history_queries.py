"""Which tasks a list has, and the statements that list and search them, the last submitted first.

`rows_of` returns the columns of `_ENTRY`; a cursor is the time and the number of the last task of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from .. import errors
from .._model.states import TaskState
from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from .database import Row, Transaction


class HistoryFilter(Value, frozen=True, kw_only=True):
    """Which tasks a list has: those for which every field that is given holds; `text` is searched for."""

    provider: str | None = None
    states: tuple[TaskState, ...] = ()
    repository: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    _json: ClassVar[JsonFields] = {
        "provider": "the provider's name",
        "states": "words of TaskState",
        "repository": "owner/repo",
        "since": "the earliest time of submission",
        "until": "the latest time of submission",
        "text": "words to search for",
    }


_ENTRY = "SELECT number, submitted_at, document, prompt, result, recorded_at, is_stale, provider, id FROM task"


def conditions_of(filter: HistoryFilter, cursor: str | None) -> tuple[list[str], list[object]]:
    """Return the conditions of a list, and their parameters."""
    known: list[tuple[str, Sequence[object]]] = []
    if filter.provider is not None:
        known.append(("provider = ?", (filter.provider,)))
    if filter.states:
        known.append((f"state IN ({', '.join('?' * len(filter.states))})", [each.value for each in filter.states]))
    if filter.repository is not None:
        known.append(("repository = ?", (filter.repository,)))
    if filter.since is not None:
        known.append(("submitted_at >= ?", (filter.since.timestamp(),)))
    if filter.until is not None:
        known.append(("submitted_at < ?", (filter.until.timestamp(),)))
    if cursor is not None:
        known.append(("(submitted_at, number) < (?, ?)", _read_cursor(cursor)))
    return [each for each, _ in known], [value for _, values in known for value in values]


def _read_cursor(cursor: str) -> tuple[float, int]:
    submitted_at, _, number = cursor.partition("/")
    try:
        return float.fromhex(submitted_at), int(number)
    except ValueError:
        raise errors.ConfigurationError(
            f"{cursor!r} is not the cursor of a page", remedy="pass the cursor of a page unchanged"
        ) from None


def rows_of(transaction: Transaction, conditions: Sequence[str], parameters: Sequence[object]) -> list[Row]:
    """Return the rows for which *conditions* hold, the last submitted first; the last parameter is how many at most."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return transaction.rows(f"{_ENTRY}{where} ORDER BY submitted_at DESC, number DESC LIMIT ?", parameters)


def recent_rows(
    transaction: Transaction, text: str, conditions: Sequence[str], parameters: Sequence[object], *, limit: int
) -> list[Row] | None:
    """Return what `rows_of` does for the tasks that match *text*, None where the most recent matches may not have it all."""
    from .search import RECENT, recent_matches

    numbers = recent_matches(transaction, text)
    if numbers is None:
        return None
    rows = rows_of(transaction, [*conditions, f"number IN ({', '.join(map(str, numbers))})"], (*parameters, limit))
    if len(numbers) < RECENT:
        return rows
    if len(rows) < limit:
        return None
    # Any other match has a smaller number than these: the page has it unless it was submitted before all of them.
    later = "SELECT 1 FROM task WHERE (submitted_at, number) > (?, ?) AND number < ? LIMIT 1"
    number, submitted_at = rows[-1][:2]
    return None if transaction.rows(later, (submitted_at, number, numbers[-1])) else rows
