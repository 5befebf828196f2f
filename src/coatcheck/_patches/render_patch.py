"""Write a file's change the way git writes it, forward or backward.

What is written has one spelling of every path, ``a/`` and ``b/`` before it, and no byte between the files: the very
verified path is the path that git reads, for any prefixes, quoting or prose in the diff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PatchError
from . import quoted_names
from .header import PLAIN_CHANGE, BinaryForm, ChangeStatus, Header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_change import FileChange, Hunk, Line

_NEW_FILE_MODE = 0o100644  # the mode of a file whose diff names no mode (apply.c, `patch->new_mode`)


def render(change: FileChange, *, reverse: bool = False) -> bytes:
    """Return *change* as git would write it. Raises `PatchError` for what cannot be turned around."""
    if change.is_combined:
        raise PatchError(f"{change.path}: the diff of a merge cannot be applied or reversed")
    if reverse and change.status is ChangeStatus.COPIED:
        raise PatchError(f"{change.path}: a copy cannot be reversed without the file that it created")
    part = bytes(change)
    plain = PLAIN_CHANGE.match(part)
    if not reverse and plain and plain[1] == change.header.new_path and part.endswith(b"\n"):
        return part  # it is written so already
    return b"".join(_lines(change, _Sides(change.header, reverse=reverse), reverse=reverse))


class _Sides:
    """Both sides of a header, exchanged when going backward."""

    def __init__(self, header: Header, *, reverse: bool) -> None:
        old = header.old_path, header.old_mode, header.old_id
        new = header.new_path, header.new_mode, header.new_id
        (self.old_path, self.old_mode, self.old_id), (self.new_path, self.new_mode, self.new_id) = (
            (new, old) if reverse else (old, new)
        )
        self.header = header


def _lines(change: FileChange, sides: _Sides, *, reverse: bool) -> Iterator[bytes]:
    old, new = sides.old_path or sides.new_path or b"", sides.new_path or sides.old_path or b""
    yield b"diff --git %s %s\n" % (quoted_names.quote(b"a/" + old), quoted_names.quote(b"b/" + new))
    yield from _mode_lines(sides)
    yield from _move_lines(sides)
    yield from _index_line(sides)
    if sides.header.binary is not None:
        yield from _binary_lines(change, old, new, reverse=reverse)
    elif hunks := change.hunks:
        yield b"--- %s\n+++ %s\n" % (_side(b"a/", sides.old_path), _side(b"b/", sides.new_path))
        for hunk in hunks:
            yield from _hunk_lines(hunk, reverse=reverse)


def _side(prefix: bytes, path: bytes | None) -> bytes:
    if path is None:
        return quoted_names.NO_FILE
    # The tab ends a name with blanks, as git writes it (diff.c, needs_tab).
    return quoted_names.quote(prefix + path) + (b"\t" if b" " in path else b"")


def _mode_lines(sides: _Sides) -> Iterator[bytes]:
    if sides.old_path is None:
        yield b"new file mode %06o\n" % (sides.new_mode or _NEW_FILE_MODE)
    elif sides.new_path is None:
        yield b"deleted file mode %06o\n" % (sides.old_mode or _NEW_FILE_MODE)
    elif sides.old_mode != sides.new_mode and sides.old_mode and sides.new_mode:
        yield b"old mode %06o\nnew mode %06o\n" % (sides.old_mode, sides.new_mode)


def _move_lines(sides: _Sides) -> Iterator[bytes]:
    header = sides.header
    if header.dissimilarity is not None:
        yield b"dissimilarity index %d%%\n" % header.dissimilarity
    if sides.old_path is None or sides.new_path is None or sides.old_path == sides.new_path:
        return
    if header.similarity is not None:
        yield b"similarity index %d%%\n" % header.similarity
    word = b"copy" if header.status is ChangeStatus.COPIED else b"rename"
    yield b"%s from %s\n%s to %s\n" % (
        word,
        quoted_names.quote(sides.old_path),
        word,
        quoted_names.quote(sides.new_path),
    )


def _index_line(sides: _Sides) -> Iterator[bytes]:
    if not (sides.old_id and sides.new_id):
        return
    is_same_mode = sides.old_mode == sides.new_mode and sides.old_path and sides.new_path
    mode = b" %06o" % sides.old_mode if is_same_mode and sides.old_mode else b""
    yield b"index %s..%s%s\n" % (sides.old_id.encode(), sides.new_id.encode(), mode)


def _binary_lines(change: FileChange, old: bytes, new: bytes, *, reverse: bool) -> Iterator[bytes]:
    if change.header.binary is BinaryForm.DIFFERS:
        yield b"Binary files %s and %s differ\n" % (quoted_names.quote(b"a/" + old), quoted_names.quote(b"b/" + new))
        return
    parts = change.binary
    if reverse and len(parts) < 2:
        raise PatchError(f"{change.path}: the binary patch has no way back")
    yield b"GIT binary patch\n"
    for part in reversed(parts) if reverse else parts:
        yield b"%s %d\n%s\n" % (part.method.encode(), part.size, part.data.replace(b"\r\n", b"\n"))


def _hunk_lines(hunk: Hunk, *, reverse: bool) -> Iterator[bytes]:
    old, new = (hunk.old_start, hunk.old_lines), (hunk.new_start, hunk.new_lines)
    if reverse:
        old, new = new, old
    section = b" " + hunk.section.encode("utf-8", "surrogateescape") if hunk.section else b""
    yield b"@@ -%s +%s @@%s\n" % (_range(*old), _range(*new), section)
    body = b"".join(_reversed(hunk.lines)) if reverse else bytes(hunk)
    yield body if body.endswith(b"\n") else body + b"\n"


def _range(start: int, lines: int) -> bytes:
    return b"%d" % start if lines == 1 else b"%d,%d" % (start, lines)


def _reversed(lines: tuple[Line, ...]) -> Iterator[bytes]:
    """Turn the signs around; git writes what is removed before what is added."""
    removed: list[bytes] = []
    added: list[bytes] = []
    for line in lines:
        if line.sign == "+":
            removed.append(spell("-", line.content))
        elif line.sign == "-":
            added.append(spell("+", line.content))
        else:
            yield from removed
            yield from added
            removed, added = [], []
            yield spell(" ", line.content)
    yield from removed
    yield from added


def spell(sign: str, content: bytes) -> bytes:
    """Return one line as a diff has it, with git's note where the file has no line feed."""
    line = sign.encode() + content
    return line if content.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
