"""Write a git diff from replaced lines of known files, with three lines of context as git has it.

Replacements must not overlap. Lines are without line feeds; the end of a file is noted as git does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import quoted_names
from .repair_rows import Row, repair_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .base_files import BaseFile

_CONTEXT = 3  # diff.context in git-config(1)
_NOTE = b"\\ No newline at end of file"


class Replacement(NamedTuple):
    """The lines from *start* up to *end* of a file, from 0, become *lines*; *number* is a line of the input."""

    start: int
    end: int
    lines: list[bytes]
    number: int


def change_rows(
    file: BaseFile, old: bytes, new: bytes, replacements: Sequence[Replacement], number: int
) -> Iterator[Row]:
    """Yield the diff of a file that keeps its lines but *replacements*, and is moved where the names differ."""
    yield Row(_git_line(old, new), number)
    if old != new:
        yield Row(b"rename from %s" % quoted_names.quote(old), number)
        yield Row(b"rename to %s" % quoted_names.quote(new), number)
    if not replacements:
        return
    yield Row(b"--- %s" % _name(b"a/", old), number)
    yield Row(b"+++ %s" % _name(b"b/", new), number)
    moved = 0
    for group in _groups(file, sorted(replacements)):
        yield from _hunk(file, group, moved)
        moved += sum(len(each.lines) - (each.end - each.start) for each in group)


def added_rows(path: bytes, lines: Sequence[bytes], number: int) -> Iterator[Row]:
    """Yield the diff that adds a file of *lines*."""
    yield Row(_git_line(path, path), number)
    yield Row(b"new file mode 100644", number)
    if lines:
        yield Row(b"--- /dev/null", number)
        yield Row(b"+++ %s" % _name(b"b/", path), number)
        yield Row(b"@@ -0,0 +%s @@" % range_of(1, len(lines)), number)
        yield from (Row(b"+" + line, number) for line in lines)


def deleted_rows(path: bytes, file: BaseFile, number: int) -> Iterator[Row]:
    """Yield the diff that deletes a file."""
    yield Row(_git_line(path, path), number)
    yield Row(b"deleted file mode %06o" % file.mode, number)
    if file.lines:
        yield Row(b"--- %s" % _name(b"a/", path), number)
        yield Row(b"+++ /dev/null", number)
        yield Row(b"@@ -%s +0,0 @@" % range_of(1, len(file.lines)), number)
        for position in range(len(file.lines)):
            yield from _old_line(file, b"-", position, number)


def range_of(start: int, lines: int) -> bytes:
    """Return one range of a hunk header, as git writes it."""
    return b"%d" % start if lines == 1 else b"%d,%d" % (start, lines)


def _git_line(old: bytes, new: bytes) -> bytes:
    return b"diff --git %s %s" % (quoted_names.quote(b"a/" + old), quoted_names.quote(b"b/" + new))


def _name(prefix: bytes, path: bytes) -> bytes:
    return quoted_names.quote(prefix + path) + (b"\t" if b" " in path else b"")  # diff.c, needs_tab


def _groups(file: BaseFile, replacements: Sequence[Replacement]) -> Iterator[list[Replacement]]:
    """Yield the replacements of each hunk. Raises `PatchError` where two overlap."""
    group: list[Replacement] = []
    for replacement in (_with_last_line(file, each) for each in replacements):
        if group and replacement.start < group[-1].end:
            raise repair_error(
                replacement.number,
                f"this change overlaps the one on line {group[-1].number}",
                remedy="pass one of the two, or a diff of both",
            )
        if group and replacement.start - group[-1].end > 2 * _CONTEXT:
            yield group
            group = []
        group.append(replacement)
    if group:
        yield group


def _with_last_line(file: BaseFile, replacement: Replacement) -> Replacement:
    """Rewrite an addition behind a last line without line feed: that line gets one."""
    last = len(file.lines)
    if replacement.start != last or file.has_final_newline or not last:
        return replacement
    return replacement._replace(start=last - 1, lines=[file.lines[-1], *replacement.lines])


def _hunk(file: BaseFile, group: Sequence[Replacement], moved: int) -> Iterator[Row]:
    start, end = max(group[0].start - _CONTEXT, 0), min(group[-1].end + _CONTEXT, len(file.lines))
    old = end - start
    new = old + sum(len(each.lines) - (each.end - each.start) for each in group)
    first_old, first_new = start + (old > 0), start + moved + (new > 0)
    number = group[0].number
    yield Row(b"@@ -%s +%s @@" % (range_of(first_old, old), range_of(first_new, new)), number)
    position = start
    for each in group:
        for context in range(position, each.start):
            yield from _old_line(file, b" ", context, each.number)
        for removed in range(each.start, each.end):
            yield from _old_line(file, b"-", removed, each.number)
        yield from (Row(b"+" + file.with_line_ends(line), each.number) for line in each.lines)
        position = each.end
    for context in range(position, end):
        yield from _old_line(file, b" ", context, number)


def _old_line(file: BaseFile, sign: bytes, position: int, number: int) -> Iterator[Row]:
    yield Row(sign + file.lines[position], number)
    if position == len(file.lines) - 1 and not file.has_final_newline:
        yield Row(_NOTE, number)
