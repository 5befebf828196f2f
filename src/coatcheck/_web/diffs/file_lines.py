"""The lines of a file's hunks with their numbers, in runs of context and of changes.

Invariants:
- every line of every hunk is in one run, in order;
- a line longer than `MOST_CHARACTERS` is cut, and `NumberedLine` has the numbers of characters that are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from ..._patches.file_change import FileChange, Hunk, Line
from .long_lines import MOST_CHARACTERS, window_starts

# The sign of a line that is shown as unchanged because only its white space differs.
SPACE = "~"


class NumberedLine(NamedTuple):
    """A line with its numbers before and after the change, None on the side that it is not on.

    `sign` is the sign of the diff (two and more characters in a merge's). `text` has no line end; `end` is its carriage
    return, if there is one. `has_newline` is false for the last line of a file without one. `skipped` characters are left
    out before the text, and `cut` after it.
    """

    sign: str
    old: int | None
    new: int | None
    text: str
    end: str = ""
    has_newline: bool = True
    cut: int = 0
    skipped: int = 0

    @property
    def kind(self) -> str:
        """Return " ", "+" or "-": what the line is in the file after the change."""
        return "-" if "-" in self.sign else "+" if "+" in self.sign else " "


class Run(NamedTuple):
    """Consecutive lines: context, or the removed and the added lines of one change."""

    is_change: bool
    lines: Sequence[NumberedLine]

    @property
    def removed(self) -> Sequence[NumberedLine]:
        """Return the removed lines."""
        return [line for line in self.lines if line.kind == "-"]

    @property
    def added(self) -> Sequence[NumberedLine]:
        """Return the added lines."""
        return [line for line in self.lines if line.kind == "+"]


class Gap(NamedTuple):
    """Lines that the diff does not show: before the first hunk, between two, or after the last one.

    The lines *first* to *last* of the base (`last` is None where its end is not known) are `shift` lines further after
    the change.
    """

    first: int
    last: int | None
    shift: int
    section: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is no line in it."""
        return self.last is not None and self.last < self.first


def numbered_lines(hunk: Hunk) -> Iterator[NumberedLine]:
    """Yield the lines of a hunk with their numbers."""
    # A range of 0 lines is after its line (diff(1), "Detailed Unified").
    old = hunk.old_start + (hunk.old_lines == 0)
    new = hunk.new_start + (hunk.new_lines == 0)
    is_combined = len(hunk.old_ranges) > 1
    lines = hunk.lines
    starts = window_starts(lines)
    for at, line in enumerate(lines):
        is_old, is_new = "+" not in line.sign and not is_combined, "-" not in line.sign
        yield numbered(line, old if is_old else None, new if is_new else None, start=starts.get(at, 0))
        old, new = old + is_old, new + is_new


def numbered(line: Line, old: int | None, new: int | None, *, start: int = 0) -> NumberedLine:
    """Return a line of a diff with its numbers, cut where it is long; *start* is where it begins then (bytes)."""
    has_newline = line.content.endswith(b"\n")
    content = line.content.removesuffix(b"\n")
    end = "\r" if content.endswith(b"\r") else ""
    content = content.removesuffix(b"\r")
    if len(content) <= MOST_CHARACTERS:
        return NumberedLine(line.sign, old, new, content.decode("utf-8", "surrogateescape"), end, has_newline)
    text = content[start:].decode("utf-8", "surrogateescape")
    skipped = len(content[:start].decode("utf-8", "surrogateescape"))
    cut = max(len(text) - MOST_CHARACTERS, 0)
    return NumberedLine(line.sign, old, new, text[:MOST_CHARACTERS], end, has_newline, cut, skipped)


def runs_of(lines: Sequence[NumberedLine]) -> list[Run]:
    """Return the lines in runs; a removed line after an added one begins another change."""
    runs: list[Run] = []
    for is_change, group in groupby(lines, key=lambda line: line.kind != " "):
        members = list(group)
        runs.extend(_changes(members) if is_change else [Run(is_change=False, lines=members)])
    return runs


def _changes(lines: Sequence[NumberedLine]) -> Iterator[Run]:
    start = 0
    for at in range(1, len(lines)):
        if lines[at].kind == "-" and lines[at - 1].kind == "+":
            yield Run(is_change=True, lines=lines[start:at])
            start = at
    yield Run(is_change=True, lines=lines[start:])


def gaps_of(change: FileChange, hunks: Sequence[Hunk], *, length: int | None = None) -> list[Gap]:
    """Return the gap before each hunk, and the one after the last; *length* is the number of lines of the base.

    A merge's diff, and a file without a side before the change, have empty gaps.
    """
    gaps, position, shift = [], 1, 0
    for hunk in hunks:
        start = hunk.old_start + (hunk.old_lines == 0)
        gaps.append(Gap(position, start - 1, shift, hunk.section))
        position = start + hunk.old_lines
        shift += hunk.new_lines - hunk.old_lines
    gaps.append(Gap(position, length, shift))
    if change.is_combined or change.old_path is None or change.new_path is None:
        return [Gap(1, 0, 0, gap.section) for gap in gaps]
    return gaps
