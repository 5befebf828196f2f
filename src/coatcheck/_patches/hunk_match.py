"""Whether the lines that hunks change are in a file, in time proportional to the file and the diff.

A hunk is searched at the line of its header, moved by as much as the hunk before it was, and then where its longest line
is in the file. A line that is in the file very often is compared at its first and nearest places only.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .file_change import Hunk

# A line that occurs more often hardly locates a hunk.
_MOST_PLACES = 64


def misfits(data: bytes, hunks: Iterable[Hunk]) -> Iterator[Hunk]:
    """Yield the hunks whose old lines are not in *data*; ends of lines may be CR LF or LF on either side."""
    content = _Content(data.replace(b"\r\n", b"\n"))
    for hunk in hunks:
        if not content.has(hunk.old_side.replace(b"\r\n", b"\n"), hunk.old_start - 1):
            yield hunk


class _Content:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts = [0]
        for line in data.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._moved = 0
        self._index: dict[bytes, list[int]] | None = None

    def has(self, old: bytes, line: int) -> bool:
        if self._is_at(line + self._moved, old):
            return True
        lines = old.split(b"\n")
        offset = max(range(len(lines)), key=lambda number: len(lines[number]))
        for place in self._places(lines[offset], line + self._moved + offset):
            if self._is_at(place - offset, old):
                self._moved = place - offset - line
                return True
        return False

    def _is_at(self, line: int, old: bytes) -> bool:
        return not old or (0 <= line < len(self._starts) and self._data.startswith(old, self._starts[line]))

    def _places(self, text: bytes, near: int) -> list[int]:
        """Return the lines that are *text*, the nearest ones where there are many."""
        if self._index is None:
            self._index = {}
            for number, line in enumerate(self._data.split(b"\n")):
                self._index.setdefault(line, []).append(number)
        places = self._index.get(text, [])
        middle = bisect_left(places, near)
        return places[max(middle - _MOST_PLACES // 2, 0) : middle + _MOST_PLACES // 2]
