"""A unified diff of one file, written from compared lines of which some are not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..._patches.file_change import FileChange
from ..._patches.quoted_names import NO_FILE, quote
from ..._patches.render_patch import spell
from .merged_edits import Equal, KnownLines, Region

# As many lines of context as git writes.
CONTEXT = 3

_FILE_MODE = 0o100644


class _Hunk:
    """Lines of a hunk, and where it begins on both sides, from 0."""

    def __init__(self, old: int, new: int, context: Iterable[bytes]) -> None:
        self.old, self.new = old, new
        self.lines = [(" ", content) for content in context]
        self.equal_at_end = 0

    def add(self, sign: str, content: bytes) -> None:
        """Add a line."""
        self.equal_at_end = self.equal_at_end + 1 if sign == " " else 0
        self.lines.append((sign, content))

    def text(self) -> bytes:
        """Return the hunk without context that is not needed at its end."""
        lines = self.lines[: len(self.lines) - max(self.equal_at_end - CONTEXT, 0)]
        old = sum(sign != "+" for sign, _ in lines)
        new = sum(sign != "-" for sign, _ in lines)
        head = b"@@ -%d,%d +%d,%d @@\n" % (self.old + (old > 0), old, self.new + (new > 0), new)
        return head + b"".join(spell(sign, content) for sign, content in lines)


def write_diff(left: FileChange, right: FileChange, parts: Iterable[Equal | Region], known: KnownLines) -> bytes:
    """Return the diff from the result of *left* to that of *right*, empty where they are the same."""
    hunks = list(_hunks(_steps(parts, known)))
    names = Names.of(left, right)
    header = b"".join(names.lines())
    if not hunks:
        return b"diff --git %s %s\n%s" % (*names.quoted, header) if header else b""
    sides = b"--- %s\n+++ %s\n" % (names.old_side, names.new_side)
    body = b"".join(hunk.text() for hunk in hunks)
    return b"diff --git %s %s\n%s%s%s" % (*names.quoted, header, sides, body)


class Names(NamedTuple):
    """The names and modes that the file has after *left* and after *right*, None where it is deleted."""

    old: bytes | None
    new: bytes | None
    old_mode: int | None
    new_mode: int | None

    @classmethod
    def of(cls, left: FileChange, right: FileChange) -> Names:
        base_mode = left.old_mode or right.old_mode
        old_mode, new_mode = left.new_mode or base_mode, right.new_mode or base_mode
        return cls(left.header.new_path, right.header.new_path, old_mode, new_mode)

    @property
    def quoted(self) -> tuple[bytes, bytes]:
        """Return both names of the ``diff --git`` line."""
        return quote(b"a/" + (self.old or self.new or b"")), quote(b"b/" + (self.new or self.old or b""))

    @property
    def old_side(self) -> bytes:
        """Return the name in the ``---`` line."""
        return NO_FILE if self.old is None else quote(b"a/" + self.old) + _tab(self.old)

    @property
    def new_side(self) -> bytes:
        """Return the name in the ``+++`` line."""
        return NO_FILE if self.new is None else quote(b"b/" + self.new) + _tab(self.new)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines about names and modes."""
        if self.old is None and self.new is not None:
            yield b"new file mode %06o\n" % (self.new_mode or _FILE_MODE)
        elif self.new is None and self.old is not None:
            yield b"deleted file mode %06o\n" % (self.old_mode or _FILE_MODE)
        elif self.old is not None and self.new is not None:
            if self.old_mode and self.new_mode and self.old_mode != self.new_mode:
                yield b"old mode %06o\nnew mode %06o\n" % (self.old_mode, self.new_mode)
            if self.old != self.new:
                yield b"rename from %s\nrename to %s\n" % (quote(self.old), quote(self.new))


def _tab(name: bytes) -> bytes:
    return b"\t" if b" " in name else b""


def _steps(parts: Iterable[Equal | Region], known: KnownLines) -> Iterator[tuple[str, bytes] | int]:
    """Yield lines with their signs, and numbers of lines that are not needed or not known."""
    for part in parts:
        if isinstance(part, Region):
            yield from part.lines
            continue
        near = range(part.start, part.start + CONTEXT)
        if part.end is None:
            yield from (_step(known, position) for position in near)
            continue
        first = range(part.start, min(near.stop, part.end))
        last = range(max(part.end - CONTEXT, first.stop), part.end)
        yield from (_step(known, position) for position in first)
        if last.start > first.stop:
            yield last.start - first.stop
        yield from (_step(known, position) for position in last)


def _step(known: KnownLines, position: int) -> tuple[str, bytes] | int:
    return (" ", known[position]) if position in known else 1


def _hunks(steps: Iterable[tuple[str, bytes] | int]) -> Iterator[_Hunk]:
    """Yield hunks with at most `CONTEXT` lines before and after each change."""
    hunk: _Hunk | None = None
    before: list[bytes] = []
    old = new = 0
    for step in steps:
        if isinstance(step, int):
            if hunk:
                yield hunk
            hunk, before, old, new = None, [], old + step, new + step
            continue
        sign, content = step
        if hunk is None and sign != " ":
            hunk = _Hunk(old - len(before), new - len(before), before)
        if hunk is not None:
            hunk.add(sign, content)
        old, new = old + (sign != "+"), new + (sign != "-")
        before = [*before, content][-CONTEXT:] if sign == " " else []
        if hunk and hunk.equal_at_end > 2 * CONTEXT:
            yield hunk
            hunk = None
    if hunk:
        yield hunk
