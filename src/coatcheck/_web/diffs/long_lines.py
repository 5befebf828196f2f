"""Which part of a long line is shown: that with the first difference from its other version.

Minified files and data have lines of megabytes, in which a change is seldom at the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from ..._patches.file_change import Line

# A line of source code is shorter.
MOST_CHARACTERS = 1_000
# So many bytes before the first difference are shown.
_BEFORE = 200


def window_starts(lines: Sequence[Line]) -> Mapping[int, int]:
    """Return where the shown part begins (bytes), by the positions of long lines; the others begin at 0."""
    starts: dict[int, int] = {}
    if all(len(line.content) <= MOST_CHARACTERS for line in lines):
        return starts
    for is_change, group in groupby(enumerate(lines), key=lambda each: each[1].sign != " "):
        members = list(group) if is_change else []
        removed = [at for at, line in members if line.sign == "-"]
        added = [at for at, line in members if line.sign == "+"]
        for old, new in zip(removed, added, strict=False):
            starts[old] = starts[new] = _window_start(lines[old].content, lines[new].content)
    return starts


def _window_start(old: bytes, new: bytes) -> int:
    """Return the beginning of a character shortly before the first difference, 0 where that is shown anyway."""
    shared = _shared_start(old, new)
    if shared < MOST_CHARACTERS - _BEFORE:
        return 0
    start = shared - _BEFORE
    while start > 0 and old[start] & 0xC0 == 0x80:  # inside a character of UTF-8 (RFC 3629, section 3)
        start -= 1
    return start


def _shared_start(old: bytes, new: bytes) -> int:
    """Return the length of what both begin with: a search in which each step halves what is compared."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
