"""Repair what the strict reader accepts although git did not write it: line ends, blank context, index lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .repair_diff import is_bad_index
from .repair_notes import correct_notes
from .repair_rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .base_files import BaseFile, BaseFiles
    from .file_change import FileChange
    from .repair_rows import Repairs


def tidy(changes: Sequence[FileChange], rows: list[Row], files: BaseFiles | None, repairs: Repairs) -> list[Row]:
    """Return *rows*, in which *changes* are, with git's line ends, context and index lines."""
    written: list[Row] = []
    position = 0
    for change, (start, body, end) in zip(changes, _lines_of(changes), strict=True):
        if change.is_combined or change.is_binary:
            continue
        written += rows[position:start]
        written += _change_rows(change, rows[start:body], rows[body:end], files, repairs)
        position = end
    written += rows[position:]
    return rows if written == rows else written


def _lines_of(changes: Sequence[FileChange]) -> list[tuple[int, int, int]]:
    """Return for each file the positions of its first line, of its first hunk, and behind its last line."""
    data, at, lines = changes[0].diff if changes else b"", 0, 0
    places: list[tuple[int, int, int]] = []
    for change in changes:
        place = []
        for offset in change.offsets:
            lines += data.count(b"\n", at, offset)
            at = offset
            place.append(lines)
        if at == len(data) and not data.endswith(b"\n"):
            place[2] += 1
        places.append((place[0], place[1], place[2]))
    return places


def _change_rows(
    change: FileChange, header: list[Row], hunks: list[Row], files: BaseFiles | None, repairs: Repairs
) -> list[Row]:
    if header and all(row.text.endswith(b"\r") for row in header):
        repairs.add("line ends", header[0].number, f"removed the CR at the end of the lines for {change.path}")
        header, hunks = _without_cr(header), _without_cr(hunks)
    for row in header:
        if is_bad_index(row.text):
            repairs.add("index line", row.number, "removed an index line without two object names")
    kept = [row for row in header if not is_bad_index(row.text)]
    file = files.resolve(change.header.old_path, is_guess=change.header.is_guess) if files is not None else None
    hunks = _with_blanks(change, hunks, repairs)
    if file is None or not hunks:
        return [*kept, *hunks]
    return [*kept, *_as_in_base(file, correct_notes(file, hunks, repairs), repairs)]


def _without_cr(rows: list[Row]) -> list[Row]:
    """Return *rows* without the CR that all of them have; where some have none, only headers and notes lose it."""
    is_whole = all(row.text.endswith(b"\r") for row in rows)
    return [
        Row(row.text.removesuffix(b"\r"), row.number) if is_whole or row.text[:1] in _NO_CONTENT else row
        for row in rows
    ]


_NO_CONTENT = (b"@", b"\\")


def _with_blanks(change: FileChange, hunks: list[Row], repairs: Repairs) -> list[Row]:
    """Return the lines of hunks with a blank in each empty context line."""
    empty = [row for row in hunks if not row.text]
    if not empty:
        return hunks
    repairs.add("context", empty[0].number, f"restored the blank of {len(empty)} empty context lines of {change.path}")
    return [row if row.text else Row(b" ", row.number) for row in hunks]


def _as_in_base(file: BaseFile, hunks: list[Row], repairs: Repairs) -> list[Row]:
    """Return the lines of hunks with CR LF where every line of the file has it, without where none has."""
    content = [row for row in hunks if row.text[:1] not in _NO_CONTENT]
    has_cr = all(row.text.endswith(b"\r") for row in content)
    if file.has_crlf and not any(row.text.endswith(b"\r") for row in content):
        repairs.add("line ends", hunks[0].number, "added the CR that every line of the file has")
        following = [row.text[:1] for row in hunks[1:]] + [b""]
        return [
            row if row.text[:1] in _NO_CONTENT or after == b"\\" else Row(row.text + b"\r", row.number)
            for row, after in zip(hunks, following, strict=True)
        ]
    if file.lines and file.has_lf and has_cr:
        repairs.add("line ends", hunks[0].number, "removed the CR that no line of the file has")
        return [Row(row.text.removesuffix(b"\r"), row.number) for row in hunks]
    return hunks
