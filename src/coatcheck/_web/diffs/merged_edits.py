"""The lines of a file after one patch, compared with those after another patch of the same base.

Invariants:
- lines of the base that neither patch changes are equal on both sides and are not compared;
- the time is that of the edits, but for regions that both change, which are compared line by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple, TypeAlias

from ..._patches.file_change import FileChange, Hunk

# The lines of the base by their position from 0, as far as they are known.
KnownLines: TypeAlias = Mapping[int, bytes]

# difflib needs up to the product of both lengths: beyond this many pairs a region is shown whole, once from each side.
_MOST_PAIRS = 4_000_000


class Edit(NamedTuple):
    """Replace the lines *start* to *end* (not included) of the base by *lines*."""

    start: int
    end: int
    lines: Sequence[bytes]


class Equal(NamedTuple):
    """Lines of the base that both sides have: *start* to *end*; `end` is None for all to the end of the file."""

    start: int
    end: int | None


class Region(NamedTuple):
    """Lines of a region that at least one side changes: (sign, line), "-" for left, "+" for right, " " for both."""

    lines: Sequence[tuple[str, bytes]]


def edits_of(change: FileChange) -> list[Edit]:
    """Return the edits of a change of lines, without context."""
    return [edit for hunk in change.hunks for edit in _edits(hunk)]


def _edits(hunk: Hunk) -> Iterator[Edit]:
    position = start = hunk.old_start - (hunk.old_lines != 0)
    added: list[bytes] = []
    for line in hunk.lines:
        if line.sign == "+":
            added.append(line.content)
        elif line.sign == "-":
            position += 1
        else:
            if added or position > start:
                yield Edit(start, position, added)
            position += 1
            start, added = position, []
    if added or position > start:
        yield Edit(start, position, added)


def known_lines(left: FileChange, right: FileChange) -> KnownLines | None:
    """Return the lines of the base in the hunks of both, None where these contradict each other."""
    if left.old_id and right.old_id and not _may_be_same(left.old_id, right.old_id):
        return None
    known: dict[int, bytes] = {}
    for change in (left, right):
        for hunk in change.hunks:
            start = hunk.old_start - (hunk.old_lines != 0)
            lines = [line.content for line in hunk.lines if line.sign != "+"]
            for position, content in enumerate(lines, start):
                if known.setdefault(position, content) != content:
                    return None
    return known


def _may_be_same(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def merged_lines(left: Sequence[Edit], right: Sequence[Edit], known: KnownLines) -> Iterator[Equal | Region]:
    """Yield what both sides share and where they differ, in order."""
    position = 0
    for start, end, of_left, of_right in _clusters(left, right):
        if start > position:
            yield Equal(position, start)
        sides = [_side(edits, start, end, known) for edits in (of_left, of_right)]
        yield Region(_compared(*sides))
        position = end
    yield Equal(position, None)


def _clusters(left: Sequence[Edit], right: Sequence[Edit]) -> Iterator[tuple[int, int, list[Edit], list[Edit]]]:
    """Yield the regions of overlapping and touching edits with those of each side."""
    every = sorted(
        [(edit.start, edit.end, 0, edit) for edit in left] + [(edit.start, edit.end, 1, edit) for edit in right],
        key=lambda each: each[:3],
    )
    members: tuple[list[Edit], list[Edit]] = ([], [])
    start = end = -1
    for first, last, side, edit in every:
        if first > end and any(members):
            yield start, end, *members
            members = ([], [])
        if not any(members):
            start, end = first, last
        end = max(end, last)
        members[side].append(edit)
    if any(members):
        yield start, end, *members


def _side(edits: Sequence[Edit], start: int, end: int, known: KnownLines) -> list[bytes]:
    lines: list[bytes] = []
    for edit in edits:
        lines += [known[position] for position in range(start, edit.start)]
        lines += edit.lines
        start = edit.end
    return lines + [known[position] for position in range(start, end)]


def _compared(left: list[bytes], right: list[bytes]) -> list[tuple[str, bytes]]:
    if left == right:
        return [(" ", line) for line in left]
    if len(left) * len(right) > _MOST_PAIRS:
        return [("-", line) for line in left] + [("+", line) for line in right]
    lines: list[tuple[str, bytes]] = []
    for tag, left_from, left_to, right_from, right_to in SequenceMatcher(
        None, left, right, autojunk=False
    ).get_opcodes():
        if tag == "equal":
            lines += [(" ", line) for line in left[left_from:left_to]]
        else:
            lines += [("-", line) for line in left[left_from:left_to]]
            lines += [("+", line) for line in right[right_from:right_to]]
    return lines
