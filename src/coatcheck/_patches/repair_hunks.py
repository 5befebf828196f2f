"""Repair the hunks of one file of a diff: their headers, counts, line numbers and context.

A hunk is only placed where its header or its context places it. Where the file is known, the version of the
hunk whose old lines are in the file is chosen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .codex_patch import MORE_CONTEXT, NEEDS_BASE, only_place
from .diff_text import INTERRUPTED
from .repair_notes import NOTE
from .repair_rows import Row, repair_error
from .write_changes import range_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .base_files import BaseFile
    from .repair_rows import Repairs

HUNK_HEADER = re.compile(rb"@@ -(\d{1,18})(?:,(\d{1,18}))? \+(\d{1,18})(?:,(\d{1,18}))? @@(.*)\Z")
# Line numbers with other blanks or signs around them than git writes.
_LOOSE_HEADER = re.compile(rb"@@+ *-(\d{1,18})(?:, ?(\d{1,18}))?[ ,]+\+(\d{1,18})(?:, ?(\d{1,18}))? *@*(.*)\Z")
_BARE_HEADER = re.compile(rb"@@+(?:[^@A-Za-z]*@@+)?[-+\d,. ]*(?P<section>.*?)(?:@@)?\Z")
_LOOSE_NOTE = re.compile(rb"\\? *No newline at end of file\s*\Z", re.IGNORECASE)
_VERSION = re.compile(rb"\d+\.\d+[\w.() -]*\Z")  # what git format-patch writes below `-- `
_LIST_ITEM = re.compile(rb"[+\-*] \S")
_MOST_RESTORED = 3  # git writes three lines of context


def is_hunk_line(text: bytes) -> bool:
    """Whether *text* can be a line of a hunk."""
    return text[:1] in (b"", b" ", b"+", b"-", b"\\")


class _Hunk:
    """A hunk in repair: ranges (None where the header has none), the text behind ``@@``, and the lines."""

    def __init__(self, row: Row) -> None:
        self.row = row
        match = HUNK_HEADER.match(row.text) or _LOOSE_HEADER.match(row.text)
        self.is_exact = HUNK_HEADER.match(row.text) is not None
        self.numbers = tuple(int(each or b"1") for each in match.groups()[:4]) if match else None
        bare = _BARE_HEADER.match(row.text)
        self.section = match[5] if match else (bare["section"] if bare else b"")
        self.lines: list[Row] = []

    def counts(self) -> tuple[int, int]:
        """Return the number of old and of new lines."""
        return counts_of(self.lines)

    def header(self, old_start: int, new_start: int) -> Row:
        """Return the header with the counts of the lines."""
        old, new = self.counts()
        section = self.section.strip()
        tail = b" " + section if section else b""
        return Row(b"@@ -%s +%s @@%s" % (range_of(old_start, old), range_of(new_start, new), tail), self.row.number)


def counts_of(lines: Sequence[Row]) -> tuple[int, int]:
    """Return the number of old and of new lines in the lines of a hunk."""
    old = sum(1 for row in lines if row.text[:1] not in (b"+", b"\\"))
    new = sum(1 for row in lines if row.text[:1] not in (b"-", b"\\"))
    return old, new


class HunkRepair:
    """The hunks of one file, in order. *file* is its content before the change, None where it is not known."""

    def __init__(self, name: str, file: BaseFile | None, repairs: Repairs, *, is_new: bool, has_base: bool) -> None:
        self.name = name
        self.file = file
        self.repairs = repairs
        self.is_new = is_new
        self.has_base = has_base
        self.position = 0  # where the old lines of the next hunk can begin, from 0
        self.moved = 0  # how many lines the hunks so far have added

    def repair(self, row: Row, rows: Sequence[Row], at: int) -> tuple[int, list[Row]]:
        """Return how many of *rows* from *at* belong to the hunk with the header *row*, and its lines."""
        hunk = _Hunk(row)
        if hunk.numbers is not None and hunk.is_exact:
            length = counted_length(rows, at, hunk.numbers[1], hunk.numbers[3])
            if length is not None:
                hunk.lines = list(rows[at : at + length])
                self._advance(hunk, hunk.numbers[0])
                return length, [row, *hunk.lines]
        length = _run_length(rows, at, self.file)
        check_interruption(_paragraph(rows, at + length), may_list=False)
        lines = self._completed(rows[at : at + length])
        stripped = _without_last_blanks(lines)
        if not any(each.text[:1] in (b"+", b"-") for each in stripped):
            raise repair_error(row.number, "the hunk changes nothing", remedy="leave it out")
        self._check_list(stripped)
        hunk.lines = stripped
        if hunk.numbers is None:
            return length, self._numbered(hunk)
        return length, self._recounted(hunk, hunk.numbers, len(lines) - len(stripped))

    def _completed(self, lines: Sequence[Row]) -> list[Row]:
        """Return *lines* with the first character of each, and the note in git's words."""
        completed: list[Row] = []
        for row in lines:
            if _LOOSE_NOTE.match(row.text):
                if row.text != NOTE:
                    self.repairs.add("no newline", row.number, f"wrote {NOTE.decode()} as git does")
                completed.append(Row(NOTE, row.number))
            elif is_hunk_line(row.text):
                completed.append(row)
            else:
                self.repairs.add("context", row.number, "added the blank before a context line")
                completed.append(Row(b" " + row.text, row.number))
        return completed

    def _check_list(self, lines: Sequence[Row]) -> None:
        """Raise `PatchError` where the last lines may be a list in the text below the hunk."""
        at = len(lines)
        while at and (_LIST_ITEM.match(lines[at - 1].text) or not lines[at - 1].text):
            at -= 1
        while at < len(lines) and lines[at].text:
            at += 1
        if 0 < at < len(lines) and self.file is None:
            raise repair_error(
                lines[at + 1].number,
                "this may be a line of the hunk or a list below it",
                remedy="remove the text below",
            )

    def _recounted(self, hunk: _Hunk, numbers: tuple[int, ...], blanks: int) -> list[Row]:
        """Return a hunk that has line numbers, with the counts of its lines."""
        old_start, old_declared, new_start, new_declared = numbers
        hunk.lines = self._fitting(hunk.lines, blanks, (old_declared, new_declared))
        old, new = hunk.counts()
        if not old and old_declared and old_start and not self.is_new:
            raise repair_error(
                hunk.row.number,
                "only added lines, and the header counts old ones: the place is ambiguous",
                remedy=MORE_CONTEXT,
            )
        if not new and new_declared:
            new_start = max(new_start - 1, 0)
        if self.is_new:
            old_start = 0
        if (old, new) != (old_declared, new_declared):
            self.repairs.add(
                "count", hunk.row.number, f"counted the lines of the hunk again: {old} before, {new} after"
            )
        elif not hunk.is_exact:
            self.repairs.add("hunk header", hunk.row.number, "wrote the hunk header as git does")
        self._advance(hunk, old_start)
        return [hunk.header(old_start, new_start), *hunk.lines]

    def _numbered(self, hunk: _Hunk) -> list[Row]:
        """Return a hunk whose header has no line numbers, with those of the one place that it fits."""
        old = [row.text[1:] for row in hunk.lines if row.text[:1] not in (b"+", b"\\")]
        start = 0 if self.is_new else self._place(hunk, old)
        self.repairs.add("line numbers", hunk.row.number, f"found the hunk at line {start + 1} of {self.name}")
        count, new = hunk.counts()
        old_start, new_start = start + (count > 0), start + self.moved + (new > 0)
        self._advance(hunk, old_start)
        return [hunk.header(old_start, new_start), *hunk.lines]

    def _place(self, hunk: _Hunk, old: list[bytes]) -> int:
        number = hunk.row.number
        if not self.has_base:
            raise repair_error(
                number, "the hunk has no line numbers, and no base to find its lines in", remedy=NEEDS_BASE
            )
        if self.file is None:
            raise repair_error(
                number, f"the hunk has no line numbers, and there is no file {self.name}", remedy="correct its path"
            )
        if not old:
            if self.file.lines:
                raise repair_error(
                    number, "a hunk of added lines without line numbers fits everywhere", remedy=MORE_CONTEXT
                )
            return 0
        for variant in _variants(hunk.lines, self.file):
            old = [row.text[1:] for row in variant if row.text[:1] not in (b"+", b"\\")]
            places = self.file.places(old, start=self.position, line=number)
            if places:
                hunk.lines = variant
                return only_place(places, self.name, number)
        return only_place([], self.name, number)

    def _fitting(self, lines: list[Row], blanks: int, declared: tuple[int, int]) -> list[Row]:
        """Return the lines with as many blank context lines at the end as are in the file, if the header counts more."""
        file = self.file
        if file is None:
            return lines
        old, new = counts_of(lines)
        missing = min(declared[0] - old, declared[1] - new, _MOST_RESTORED)
        number = lines[-1].number
        for extra in (max(missing, 0), 0, *range(1, blanks + 1)):
            longer = [*lines, *(Row(b" ", number) for _ in range(extra))]
            for variant in _variants(longer, file):
                texts = [row.text[1:] for row in variant if row.text[:1] not in (b"+", b"\\")]
                if file.places(texts, line=number):
                    if extra and extra > blanks:
                        self.repairs.add("context", number, f"added {extra} blank context lines at the end of the hunk")
                    return variant
        return lines

    def _advance(self, hunk: _Hunk, old_start: int) -> None:
        old, new = hunk.counts()
        self.position = old_start - 1 + old if old else old_start
        self.moved += new - old


def counted_length(rows: Sequence[Row], at: int, old: int, new: int) -> int | None:
    """Return how many rows the counts of a header cover, None where the rows differ or continue behind them."""
    start, has_change = at, False
    while old > 0 or new > 0:
        if at >= len(rows):
            return None
        sign = rows[at].text[:1]
        if sign in (b"", b" "):
            old, new = old - 1, new - 1
        elif sign == b"-":
            old, has_change = old - 1, True
        elif sign == b"+":
            new, has_change = new - 1, True
        elif not rows[at].text.startswith(b"\\ "):
            return None
        if old < 0 or new < 0:
            return None
        at += 1
    if at < len(rows) and rows[at].text.startswith(b"\\ "):
        at += 1
    return at - start if has_change and _ends(rows, at) else None


def _ends(rows: Sequence[Row], at: int) -> bool:
    """Whether no line of a hunk follows: only blank lines, a text, a signature, or the next header."""
    start = at
    while at < len(rows) and not rows[at].text:
        at += 1
    has_blank = at > start
    if at < len(rows) and rows[at].text[:1] in (b" ", b"\\"):
        return has_blank and not _has_change(rows, at)
    if at >= len(rows) or not is_hunk_line(rows[at].text):
        return at >= len(rows) or not _LOOSE_NOTE.match(rows[at].text)
    return _is_end(rows, at) or (has_blank and _LIST_ITEM.match(rows[at].text) is not None)


def _has_change(rows: Sequence[Row], at: int) -> bool:
    """Whether an added or removed line follows behind context lines."""
    while at < len(rows) and rows[at].text[:1] in (b"", b" ", b"\\"):
        at += 1
    return at < len(rows) and rows[at].text[:1] in (b"+", b"-") and not _is_end(rows, at)


def _is_end(rows: Sequence[Row], at: int) -> bool:
    """Whether a header or a mail's signature begins at *at*."""
    text = rows[at].text
    following = rows[at + 1].text if at + 1 < len(rows) else b""
    if text in (b"-- ", b"--"):
        return not following or bool(_VERSION.match(following))
    if text.startswith(b"--- ") and following.startswith(b"+++ "):
        return at + 2 < len(rows) and rows[at + 2].text.startswith(b"@@")
    return False


def _run_length(rows: Sequence[Row], at: int, file: BaseFile | None) -> int:
    """Return how many rows from *at* can be lines of one hunk."""
    start = at
    while at < len(rows) and not _is_end(rows, at):
        text = rows[at].text
        if not is_hunk_line(text) and not (at > start and _LOOSE_NOTE.match(text)) and not _is_context(text, file):
            break
        at += 1
    return at - start


def check_interruption(text: Sequence[Row], *, may_list: bool) -> None:
    """Raise `PatchError` where *text* behind the lines of a hunk has changed lines, which would be lost.

    With *may_list* lines such as ``- item`` are a list.
    """
    changed = (row.text for row in text if row.text[:1] in (b"+", b"-") and row.text[:2] not in (b"++", b"--"))
    if any(not (may_list and _LIST_ITEM.match(line)) for line in changed):
        raise repair_error(text[0].number, INTERRUPTED, remedy="write out the lines that it stands for")


def _paragraph(rows: Sequence[Row], at: int) -> Sequence[Row]:
    """Return the text from *at* until an empty line or the next header."""
    end = at
    while end < len(rows) and rows[end].text.strip() and not rows[end].text.startswith((b"@@", b"diff ", b"--- ")):
        end += 1
    return rows[at:end]


def _is_context(text: bytes, file: BaseFile | None) -> bool:
    """Whether *text* is a line of the file, whose leading blank was lost."""
    return file is not None and not text.startswith((b"@@", b"diff ")) and bool(file.places_of_line(text))


def _without_last_blanks(lines: list[Row]) -> list[Row]:
    end = len(lines)
    while end and not lines[end - 1].text.strip(b" "):
        end -= 1
    kept = lines[:end]
    # A line of one blank is context; only wholly empty lines may be none.
    while end < len(lines) and lines[end].text == b" ":
        kept.append(lines[end])
        end += 1
    return kept


def _variants(lines: list[Row], file: BaseFile) -> Iterator[list[Row]]:
    """Yield the lines as they are, and with a blank before each context line that is in the file unchanged."""
    yield lines
    unindented = [
        Row(b" " + row.text, row.number)
        if row.text[:1] == b" " and not file.places_of_line(row.text[1:]) and file.places_of_line(row.text)
        else row
        for row in lines
    ]
    if unindented != lines:
        yield unindented
