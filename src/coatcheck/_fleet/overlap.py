"""An index of the lines that changes of one repository change.

Invariants:

- memory grows with the number of lines' intervals, never with the number of pairs of changes;
- a query costs the logarithm of the intervals of a file.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from .._patches.changed_lines import LAST_LINE, ChangedLines

# Lines beside a change that git compares with the file (`git help diff`, --unified).
CONTEXT = 3


class OverlapIndex:
    """Intervals of lines by path, each with the number of the change that it belongs to; those in it share no line."""

    def __init__(self) -> None:
        self._intervals: dict[str, list[tuple[int, int, int]]] = {}

    def find(self, lines: Iterable[ChangedLines]) -> int | None:
        """Return the number of a change in the index that overlaps with *lines*, None where there is none."""
        for path, first, last in lines:
            intervals = self._intervals.get(path, ())
            at = bisect_left(intervals, (first, 0, 0))
            for other_first, other_last, number in intervals[max(at - 1, 0) : at + 1]:
                if other_first <= last and first <= other_last:
                    return number
        return None

    def add(self, lines: Iterable[ChangedLines], number: int) -> None:
        """Add the lines of a change that overlaps with none in the index."""
        for path, first, last in lines:
            insort(self._intervals.setdefault(path, []), (first, last, number))


def widened(intervals: Iterable[ChangedLines], by: int = CONTEXT) -> Sequence[ChangedLines]:
    """Return *intervals* widened on both sides; those that meet are one."""
    merged: list[ChangedLines] = []
    for path, first, last in sorted(set(intervals)):
        lines = ChangedLines(path, max(0, first - by), min(LAST_LINE, last + by))
        if merged and merged[-1].path == path and lines.first <= merged[-1].last:
            merged[-1] = ChangedLines(path, merged[-1].first, max(lines.last, merged[-1].last))
        else:
            merged.append(lines)
    return merged
