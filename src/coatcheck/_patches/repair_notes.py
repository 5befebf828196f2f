r"""Correct the notes ``\ No newline at end of file`` in the hunks of a file whose content is known."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from .repair_rows import Row

if TYPE_CHECKING:
    from .base_files import BaseFile
    from .repair_rows import Repairs

NOTE = b"\\ No newline at end of file"
_OLD_RANGE = re.compile(rb"@@ -(\d{1,18})(?:,(\d{1,18}))? ")


def correct_notes(file: BaseFile, rows: list[Row], repairs: Repairs) -> list[Row]:
    """Return the *rows* of a file's hunks with the notes that are right for its old content."""
    starts = [at for at, row in enumerate(rows) if row.text.startswith(b"@@")]
    corrected = rows[: starts[0]] if starts else list(rows)
    for start, end in pairwise([*starts, len(rows)]):
        corrected += _corrected(file, rows[start:end], repairs)
    return corrected


def _corrected(file: BaseFile, hunk: list[Row], repairs: Repairs) -> list[Row]:
    old = [at for at, row in enumerate(hunk) if at and row.text[:1] not in (b"+", b"\\")]
    if not old:
        return hunk
    last = old[-1]
    has_note = hunk[last + 1].text.startswith(b"\\") if last + 1 < len(hunk) else False
    if has_note and file.has_final_newline:
        repairs.add("no newline", hunk[last + 1].number, "removed a note: the file ends with a line feed")
        return [row for row in hunk if not row.text.startswith(b"\\")]
    if has_note or file.has_final_newline or not _is_last_line(file, hunk, last):
        return hunk
    repairs.add("no newline", hunk[last].number, "noted that the file does not end with a line feed")
    return _noted(hunk, last)


def _is_last_line(file: BaseFile, hunk: list[Row], last: int) -> bool:
    """Whether the old lines of the hunk end with the last line of the file."""
    match = _OLD_RANGE.match(hunk[0].text)
    end = int(match[1]) - 1 + int(match[2] or b"1") if match else 0
    return end == len(file.lines) and hunk[last].text[1:] == file.lines[-1]


def _noted(hunk: list[Row], last: int) -> list[Row]:
    """Return the hunk with a note behind its old line *last*; context before added lines is replaced, to end the line."""
    row = hunk[last]
    note = Row(NOTE, row.number)
    if row.text.startswith(b"-") or last == len(hunk) - 1:
        return [*hunk[: last + 1], note, *hunk[last + 1 :]]
    pair = [Row(b"-" + row.text[1:], row.number), note, Row(b"+" + row.text[1:], row.number)]
    return [*hunk[:last], *pair, *hunk[last + 1 :]]
