"""Complete the headers and hunks of a unified diff: lines of git's header, hunk headers, counts, line numbers.

A hunk whose header counts its lines stays as it is. What is changed is recorded; what could mean several things is an
error that names the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import PatchError
from . import quoted_names
from .header import read_header
from .repair_hunks import HunkRepair, check_interruption
from .repair_rows import Row, repair_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .base_files import BaseFiles
    from .header import Header
    from .repair_rows import Repairs
    from .strip_level import Naming

_EXTENDED = re.compile(
    rb"(?:old mode|new mode|deleted file mode|new file mode) [0-7]{5,7}\Z"
    rb"|(?:copy from|copy to|rename from|rename to|rename old|rename new) .+"
    rb"|(?:similarity index|dissimilarity index) \d+%\Z|index \S+\.\.\S+"
)
_INDEX = re.compile(rb"index ")
_GOOD_INDEX = re.compile(rb"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: [0-7]{6})?\Z")
_MAIL = re.compile(rb"From [0-9a-f]{40,64} \w{3} \w{3} ")
_MINIMAL_HUNK = b"@@ -1 +1 @@\n-\n+\n"


def is_bad_index(line: bytes) -> bool:
    """Whether *line* is an ``index`` line that git cannot have written."""
    return bool(_INDEX.match(line)) and not _GOOD_INDEX.match(line)


def repair_diff(rows: Sequence[Row], base: BaseFiles | None, naming: Naming, repairs: Repairs) -> list[Row]:
    """Return *rows* as a diff that `Patch.parse` reads, or with what it refuses unchanged. Raises `PatchError`."""
    return _DiffRepair(rows, base, naming, repairs).run()


class _DiffRepair:
    """One pass over the lines. `header` are the lines of the current file's header, `text` those behind its hunks."""

    def __init__(self, rows: Sequence[Row], base: BaseFiles | None, naming: Naming, repairs: Repairs) -> None:
        self.rows = rows
        self.base = base
        self.naming = naming
        self.repairs = repairs
        self.written: list[Row] = []
        self.text: list[Row] = []
        self.hunks: HunkRepair | None = None
        self.at = 0

    def run(self) -> list[Row]:
        while self.at < len(self.rows):
            row = self.rows[self.at]
            if _MAIL.match(row.text):
                self._keep_message()
            elif row.text.startswith((b"diff --cc ", b"diff --combined ")):
                self._keep_until_next_file()
            elif self._is_header():
                self._header()
            elif row.text.startswith(b"@@"):
                self._hunk(row)
            else:
                self.text.append(row)
                self.at += 1
        return [*self.written, *self.text]

    def _flush(self) -> None:
        self.written += self.text
        self.text = []

    def _keep_message(self) -> None:
        """Keep the message of a mail, which may quote a diff."""
        self._flush()
        self.hunks = None
        end = self.at + 1
        while end < len(self.rows) and not _MAIL.match(self.rows[end].text):
            end += 1
            if self.rows[end - 1].text == b"---":
                break
        else:
            end = self.at + 1
        self.written += self.rows[self.at : end]
        self.at = end

    def _keep_until_next_file(self) -> None:
        self._flush()
        self.hunks = None
        end = self.at + 1
        while end < len(self.rows) and not self.rows[end].text.startswith(b"diff --"):
            end += 1
        self.written += self.rows[self.at : end]
        self.at = end

    def _next(self, offset: int = 1) -> bytes:
        position = self.at + offset
        return self.rows[position].text if position < len(self.rows) else b""

    def _is_header(self) -> bool:
        text, following = self.rows[self.at].text, self._next()
        if text.startswith(b"diff --git "):
            return bool(_EXTENDED.match(following)) or following.startswith(_AFTER_GIT_LINE)
        if text.startswith(b"--- "):
            return following.startswith((b"+++ ", b"@@"))
        if text.startswith(b"+++ "):
            return following.startswith(b"@@")
        return bool(_EXTENDED.match(text)) and (bool(_EXTENDED.match(following)) or following.startswith(b"--- "))

    def _header(self) -> None:
        """Read the header of one file, and write it with the lines that it lacks."""
        self._flush()
        start = self.at
        header = [self.rows[start]]
        while self.at + 1 < len(self.rows) and self._continues_header(header, self._next()):
            self.at += 1
            header.append(self.rows[self.at])
        self.at += 1
        header = self._without_bad_index(header)
        following = self.rows[self.at].text if self.at < len(self.rows) else b""
        has_names = any(row.text.startswith((b"--- ", b"+++ ")) for row in header)
        if following.startswith(b"@@") or has_names:
            header = self._with_names(header)
        if not header[0].text.startswith(b"diff --git ") and _EXTENDED.match(header[0].text):
            header = self._with_git_line(header)
        self.written += header
        if following.startswith((b"GIT binary patch", b"Binary files ")):
            self._keep_until_next_file()
        elif following.startswith(b"@@") or has_names:
            self._start_hunks(header)
            if not following.startswith(b"@@"):
                self._hunk(Row(b"@@", header[-1].number))

    @staticmethod
    def _continues_header(header: Sequence[Row], text: bytes) -> bool:
        if any(row.text.startswith(b"+++ ") for row in header):
            return False
        last = header[-1].text
        if text.startswith(b"+++ "):
            return True
        if last.startswith(b"--- "):
            return False
        return bool(_EXTENDED.match(text)) or text.startswith((b"--- ", b"index "))

    def _without_bad_index(self, header: list[Row]) -> list[Row]:
        for row in header:
            if is_bad_index(row.text):
                self.repairs.add("index line", row.number, "removed an index line without two object names")
        return [row for row in header if not is_bad_index(row.text)]

    def _with_names(self, header: list[Row]) -> list[Row]:
        """Add the one of ``---`` and ``+++`` that is missing, or both."""
        by_sign = {row.text[:4]: row for row in header if row.text.startswith((b"--- ", b"+++ "))}
        if len(by_sign) == 2:
            return header
        rest = [row for row in header if row not in by_sign.values()]
        row = header[-1]
        old, new = (by_sign[sign].text[4:] if sign in by_sign else None for sign in (b"--- ", b"+++ "))
        if {old, new} <= {None, quoted_names.NO_FILE}:
            old, new = self._names_of_git_line(rest)
        elif b"new file mode" in {each.text[:13] for each in header} and old is None:
            old = quoted_names.NO_FILE
        elif b"deleted file mode" in {each.text[:17] for each in header} and new is None:
            new = quoted_names.NO_FILE
        old, new = old or _other_side(new or b"", b"b/", b"a/"), new or _other_side(old or b"", b"a/", b"b/")
        missing = " and ".join(word for word, sign in (("---", b"--- "), ("+++", b"+++ ")) if sign not in by_sign)
        self.repairs.add("file header", row.number, f"added the line {missing} with the file's name")
        return [*rest, Row(b"--- " + old, row.number), Row(b"+++ " + new, row.number)]

    def _names_of_git_line(self, header: Sequence[Row]) -> tuple[bytes, bytes]:
        facts = self._read(header)
        if facts is None:
            raise repair_error(
                header[0].number, "the header of this file names no file", remedy="add --- and +++ lines"
            )
        old, new = facts.old_path, facts.new_path
        return (
            quoted_names.NO_FILE if old is None else quoted_names.quote(b"a/" + old),
            quoted_names.NO_FILE if new is None else quoted_names.quote(b"b/" + new),
        )

    def _with_git_line(self, header: list[Row]) -> list[Row]:
        """Add the line ``diff --git`` above lines that only git's header has."""
        row = header[0]
        by_word = {
            word: each.text[len(word) :] for each in header for word in _NAME_WORDS if each.text.startswith(word)
        }
        old = by_word.get(b"rename from ") or by_word.get(b"copy from ")
        new = by_word.get(b"rename to ") or by_word.get(b"copy to ")
        if old and new:
            old, new = b"a/" + old, b"b/" + new
        else:
            old, new = by_word.get(b"--- "), by_word.get(b"+++ ")
        if not old or not new:
            raise repair_error(
                row.number, "the line diff --git is missing, and no line names the file", remedy="add it"
            )
        old = _other_side(new, b"b/", b"a/") if old == quoted_names.NO_FILE else old.partition(b"\t")[0]
        new = _other_side(old, b"a/", b"b/") if new == quoted_names.NO_FILE else new.partition(b"\t")[0]
        self.repairs.add("file header", row.number, "added the line diff --git")
        return [Row(b"diff --git %s %s" % (old, new), row.number), *header]

    def _read(self, header: Sequence[Row]) -> Header | None:
        data = b"".join(row.text + b"\n" for row in header)
        try:
            return read_header(data + _MINIMAL_HUNK, 0, self.naming)
        except PatchError:
            return None

    def _start_hunks(self, header: Sequence[Row]) -> None:
        facts = self._read(header)
        path = facts and (facts.old_path or facts.new_path)
        name = quoted_names.to_text(path) if path else "the file"
        is_new = facts is not None and facts.old_path is None
        file = None
        if facts is not None and not is_new and self.base is not None:
            file = self.base.resolve(facts.old_path, is_guess=facts.is_guess)
        self.hunks = HunkRepair(name, file, self.repairs, is_new=is_new, has_base=self.base is not None)

    def _hunk(self, row: Row) -> None:
        if self.hunks is None:
            raise repair_error(row.number, "a hunk without a file header", remedy="add the lines --- and +++ above it")
        if any(each.text.strip() for each in self.text):
            check_interruption(self.text, may_list=True)
            self.repairs.add("text", self.text[0].number, "left out the text between two hunks")
        self.text = []
        if row.text.startswith(b"@@"):
            self.at += self.at < len(self.rows) and self.rows[self.at] is row
        count, rows = self.hunks.repair(row, self.rows, self.at)
        self.written += rows
        self.at += count


_NAME_WORDS = (b"rename from ", b"rename to ", b"copy from ", b"copy to ", b"--- ", b"+++ ")
_AFTER_GIT_LINE = (b"--- ", b"+++ ", b"@@", b"index ", b"GIT binary patch", b"Binary files ")


def _other_side(name: bytes, prefix: bytes, other: bytes) -> bytes:
    """Return *name* with the prefix of the other side, if it has one."""
    name = name.partition(b"\t")[0]
    if name.startswith(b'"' + prefix):
        return b'"' + other + name[len(prefix) + 1 :]
    return other + name[len(prefix) :] if name.startswith(prefix) else name
