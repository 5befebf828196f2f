r"""Where the files and hunks of a diff begin and end: one pass, no copies.

* The line counts of a hunk's header define its length; its lines have no fixed form: a removed ``-- x`` looks like a
  header, a mail signature looks like a removed line.
* A hunk is first guessed to reach to the next line that no hunk can hold (``@@ -``, ``diff --git``). Its header and
  the number of lines in between then determine the counts: with N lines, N - old were added and N - new removed.
* The guess is verified (every line's first byte, every sign counted) wherever other text could be in between, and
  everywhere on request. Where it does not hold, the hunk is walked line by line, and the walk decides.

Each byte is read at most a fixed number of times, for any input.
"""

from __future__ import annotations

import re

from ..errors import PatchError
from .diff_text import check_between, check_end, error_at, reason_in_hunk
from .header import PLAIN_CHANGE, BinaryForm, Header, read_header
from .strip_level import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would be most of what importing this costs
    from collections.abc import Iterator

    from .strip_level import Naming

_NUMBER = rb"\d{1,18}"  # more digits are no line number, and Python is slow to read very long ones
_RANGE = rb"(" + _NUMBER + rb")(?:,(" + _NUMBER + rb"))?"
_HUNK = re.compile(rb"@@ -" + _RANGE + rb" \+" + _RANGE + rb" @@([^\n]*)(?:\n|\Z)")
# The same with nothing kept but the two counts, which is read in two thirds of the time.
_COUNTS = re.compile(rb"@@ -\d{1,18}(?:,(\d{1,18}))? \+\d{1,18}(?:,(\d{1,18}))? @@.*+(?:\n|\Z)")
_COMBINED_HUNK = re.compile(rb"(@{3,}) ((?:-\d{1,18}(?:,\d{1,18})? )+)\+" + _RANGE + rb" @{3,}([^\n]*)(?:\n|\Z)")

_NEXT_HUNK = re.compile(rb"\n@@ -")
# `\ No newline at end of file`, in the language of the program that wrote the diff.
_NOTE = b"\n\\ "
# One byte is searched five times as fast as a pattern, as long as it is rare (``bench/patches.py``); a hunk with more
# of them than this (annotations, addresses) is searched by the pattern.
_STRAY_SIGNS = 16
_BLANK = 0x20
_BODY = re.compile(rb"(?:[ +\-].*+\n|\n|\\ .*+\n)*+")  # this form is matched twice as fast as with `[^\n]*`

# A file, a mail or a hunk begins a line; a byte order mark, which editors and PowerShell write before a text, may be before it.
_START = re.compile(
    rb"(?:^|(?<=^\xef\xbb\xbf))(?:diff --git |diff --(?:cc|combined) |--- [^\n]*\n\+\+\+ [^\n]*\n(?=@@ -)"
    rb"|Binary files [^\n]* differ\r?$|(?P<mail>From [0-9a-f]{40,64} \w{3} \w{3} [^\n]*\n)|(?P<hunk>@@ -\d))",
    re.MULTILINE,
)
# A header of `diff -u` that is certainly right: two names, at most one of them no file (`/dev/null` or a time of 0).
_PLAIN_PAIR = re.compile(rb'--- (?!/dev/null)[^"\s].*+\n\+\+\+ (?!/dev/null)[^"\s].*+\n(?=@@ -)')
_HEADER_LINE = re.compile(
    rb"(?:@@ -|--- |\+\+\+ |old mode|new mode|deleted file|new file|copy |rename |similarity |dissimilarity |index "
    rb"|GIT binary patch|Binary files )"
)
_MAIL = re.compile(rb"\n(?:\xef\xbb\xbf)?From [0-9a-f]{40,64} \w{3} \w{3} ")
_END_OF_MESSAGE = re.compile(rb"\n---\r?\n")

# base85 in lines that begin with their length (binary.c); an empty line ends each of the two parts.
_BINARY_PART = re.compile(rb"(literal|delta) (\d{1,18})\r?\n((?:[A-Za-z][!-~]+\r?\n)*+)(?:\r?\n|\Z)")


class Span:
    """One hunk: its ranges, and where its lines are in the data. `old` has one range for each parent."""

    __slots__ = ("added", "body", "end", "new", "old", "removed", "section")

    def __init__(
        self, match: re.Match[bytes], old: tuple[tuple[int, int], ...], new: tuple[int, int], section: bytes
    ) -> None:
        self.body = match.end()
        self.old = old
        self.new = new
        self.section = section
        self.end = self.added = self.removed = 0


def scan(data: bytes, *, prove: bool, naming: Naming = DEFAULT) -> Iterator[tuple[int, int, int, int]]:
    """Yield start, end, added and removed lines of each file. Raises `PatchError` with the line."""
    measure = _prove_hunks if prove else _guess_hunks
    is_default = naming.is_default
    start = _next_file(data, 0)
    while start >= 0:
        if is_default and (match := PLAIN_CHANGE.match(data, start)):
            end, added, removed = measure(data, match.end())
        elif is_default and (match := _PLAIN_PAIR.match(data, start)) and not _has_epoch(data, start, match.end()):
            end, added, removed = _prove_hunks(data, match.end())
        else:
            end, added, removed = _measure_file(data, start, prove=prove, naming=naming)
        yield start, end, added, removed
        start = _following(data, end)


def _has_epoch(data: bytes, start: int, end: int) -> bool:
    return data.find(b"19", start, end) >= 0


def _following(data: bytes, end: int) -> int:
    """Return where the next file begins, -1 where none does."""
    if data.startswith(b"diff --git ", end) and not _is_text(data, end):
        return end
    if _PLAIN_PAIR.match(data, end):
        return end
    check_end(data, end)
    return _next_file(data, end)


def spans(data: bytes, header: Header, end: int) -> Iterator[Span]:
    """Yield the hunks of one file, proved."""
    at = header.body
    read = _combined_span if header.form == "combined" else _span
    while at < end and header.binary is None:
        span = read(data, at)
        yield span
        at = span.end


def binary_parts(data: bytes, header: Header) -> Iterator[tuple[str, int, int, int]]:
    """Yield method, size, start and end of the parts of a binary patch: forward, then backward if it is there."""
    at = header.body
    while match := _BINARY_PART.match(data, at):
        yield match[1].decode(), int(match[2]), match.start(3), match.end(3)
        at = match.end()


def _next_file(data: bytes, at: int) -> int:
    searched = at
    while match := _START.search(data, at):
        if match["mail"]:
            check_between(data, searched, match.start())
            at = searched = _after_message(data, match)
        elif match["hunk"]:
            check_between(data, searched, match.start())
            raise error_at(data, match.start(), "a hunk without a file header")
        elif _is_text(data, match.start()):
            at = match.end()
        else:
            check_between(data, searched, match.start())
            return match.start()
    check_between(data, searched, len(data))
    return -1


def _is_text(data: bytes, start: int) -> bool:
    """Whether the line only begins like ``diff --git``: git reads it as text where no header line follows."""
    if not data.startswith(b"diff --git ", start):
        return False
    following = data.find(b"\n", start) + 1 or len(data)
    return not _HEADER_LINE.match(data, following)


def _after_message(data: bytes, mail: re.Match[bytes]) -> int:
    """Return where the message of a format-patch mail ends: it may quote a diff."""
    following = _MAIL.search(data, mail.end())
    end = _END_OF_MESSAGE.search(data, mail.end(), following.start() + 1 if following else len(data))
    return end.end() if end else mail.end()


def _measure_file(data: bytes, start: int, *, prove: bool, naming: Naming) -> tuple[int, int, int]:
    try:
        header = read_header(data, start, naming)
    except PatchError as error:
        if error.line is not None:
            raise
        raise error_at(data, start, str(error)) from None
    if header.form == "combined":
        return _measure_combined(data, header)
    if header.binary is BinaryForm.PATCH:
        return _binary_end(data, header), 0, 0
    measure = _prove_hunks if prove or header.form != "git" else _guess_hunks
    end, added, removed = measure(data, header.body)
    if end == header.body and header.has_names:
        raise error_at(data, end, "the header announces hunks, and none follows")
    return end, added, removed


def _binary_end(data: bytes, header: Header) -> int:
    end = header.body
    for _ in range(2):
        if match := _BINARY_PART.match(data, end):
            end = match.end()
    if end == header.body:
        raise error_at(data, end, "the binary patch cannot be read")
    return end


def _prove_hunks(data: bytes, at: int) -> tuple[int, int, int]:
    added = removed = 0
    while match := _COUNTS.match(data, at):
        old, new = match.groups(b"1")
        at, plus, minus = _proved(data, match.end(), int(old), int(new))
        added += plus
        removed += minus
    return _behind_hunks(data, at), added, removed


def _guess_hunks(data: bytes, at: int) -> tuple[int, int, int]:
    """Return end, added and removed lines as the headers count them. One function: most of the time is spent here."""
    added = removed = 0
    while match := _COUNTS.match(data, at):
        old_lines, new_lines = match.groups(b"1")
        body, old, new = match.end(), int(old_lines), int(new_lines)
        at = data.find(b"@", body)
        if not data.startswith(b"\n@@ -", at - 1):
            at = _next_hunk(data, at)
        last = data.rfind(b"\n", body - 1, at - 1) + 1
        sign = data[last]
        if at < 0 or (sign != _BLANK and (sign not in b"+-\\" or sign == data[last + 1])):
            at = _surer_end(data, body, at, last)
        lines = data.count(b"\n", body, at)
        if data.find(b"\\", body, at) >= 0:
            lines -= data.count(_NOTE, body - 1, at)
        plus, minus = lines - old, lines - new
        if not (0 <= plus <= new and minus >= 0 and plus + minus):
            at, plus, minus = _proved(data, body, old, new)
        added += plus
        removed += minus
    return _behind_hunks(data, at), added, removed


def _behind_hunks(data: bytes, at: int) -> int:
    if data.startswith(b"@@", at):
        raise error_at(data, at, "the hunk header is not @@ -START,LINES +START,LINES @@")
    return at


def _surer_end(data: bytes, body: int, hunk: int, last: int) -> int:
    """Return where the hunk ends if *last*, the line before the next *hunk*, is not of it; *body* where that is unknown."""
    end = hunk
    if hunk < 0 or data.startswith(b"+++ ", last):  # the next hunk is the first one of another file
        end = data.find(b"\ndiff --git ", body - 1, len(data) if hunk < 0 else hunk) + 1
        last = data.rfind(b"\n", body - 1, end - 1) + 1
    # A mail, a log or another tool's header ends otherwise than a hunk does.
    if end <= body or data[last] not in b" +-\\" or data.startswith((b"--", b"+++ "), last):
        return body
    return end


def _proved(data: bytes, body: int, old: int, new: int) -> tuple[int, int, int]:
    """Return end, added and removed lines of one hunk, from every line's first byte."""
    match = _BODY.match(data, body)
    end = match.end() if match else body
    if data.startswith(b"@@ -", end) and (header := _swallowed_header(data, body, end)):
        end = header
    lines = _lines(data, body, end)
    added, removed = lines - old, lines - new
    if data.count(b"\n+", body - 1, end) == added and data.count(b"\n-", body - 1, end) == removed and added + removed:
        return _after_note(data, end), added, removed  # a note at the end of the text may have no line feed
    return _walk(data, body, old, new)


def _swallowed_header(data: bytes, body: int, end: int) -> int:
    """Return where ``---`` and ``+++`` of the next file begin, if they are the last two lines before *end*; else 0."""
    last = data.rfind(b"\n", body - 1, end - 1) + 1
    if not data.startswith(b"+++ ", last):
        return 0
    start = data.rfind(b"\n", body - 1, last - 1) + 1
    return start if data.startswith(b"--- ", start) else 0


def _lines(data: bytes, body: int, end: int) -> int:
    notes = data.count(_NOTE, body - 1, end) if data.find(b"\\", body, end) >= 0 else 0
    return data.count(b"\n", body, end) - notes


def _next_hunk(data: bytes, at: int) -> int:
    for _ in range(_STRAY_SIGNS):
        if at < 0 or data.startswith(b"\n@@ -", at - 1):
            return at
        at = data.find(b"@", at + 1)
    match = _NEXT_HUNK.search(data, at - 1) if at >= 0 else None
    return match.start() + 1 if match else -1


def _walk(data: bytes, at: int, old: int, new: int) -> tuple[int, int, int]:
    body = at
    added = removed = 0
    size = len(data)
    while old > 0 or new > 0:
        sign = data[at : at + 1]
        if sign == b"+":
            new, added = new - 1, added + 1
        elif sign == b"-":
            old, removed = old - 1, removed + 1
        elif sign in _CONTEXT and at < size:
            old, new = old - 1, new - 1
        elif sign != b"\\":
            reason = f"the hunk ends {max(old, new)} lines too early" if at < size else _CUT_OFF
            raise error_at(data, at, reason_in_hunk(data, at) or reason)
        if old < 0 or new < 0:
            raise error_at(data, at, "the hunk has other lines than its header counts")
        at = data.find(b"\n", at) + 1 or size
    if not added and not removed:
        raise error_at(data, body, "the hunk changes nothing")
    return _after_note(data, at), added, removed


_CONTEXT = (b" ", b"\n")  # GNU diff and mailers take the blank off an empty context line
_CUT_OFF = "the diff ends in the middle of a hunk"


def _after_note(data: bytes, at: int) -> int:
    return data.find(b"\n", at) + 1 or len(data) if data.startswith(b"\\ ", at) else at


def _span(data: bytes, at: int) -> Span:
    match = _HUNK.match(data, at)
    if match is None:
        raise error_at(data, at, "the hunk header is not @@ -START,LINES +START,LINES @@")
    old_start, old_lines, new_start, new_lines, _ = match.groups(b"1")
    old, new = (int(old_start), int(old_lines)), (int(new_start), int(new_lines))
    span = Span(match, (old,), new, match[5].removesuffix(b"\r").removeprefix(b" "))
    span.end, span.added, span.removed = _proved(data, span.body, old[1], new[1])
    return span


def _measure_combined(data: bytes, header: Header) -> tuple[int, int, int]:
    at, added, removed = header.body, 0, 0
    while header.binary is None and data.startswith(b"@@@", at):
        span = _combined_span(data, at)
        at, added, removed = span.end, added + span.added, removed + span.removed
    return at, added, removed


def _combined_span(data: bytes, at: int) -> Span:
    match = _COMBINED_HUNK.match(data, at)
    if match is None or match[2].count(b"-") != len(match[1]) - 1:
        raise error_at(data, at, "the hunk header of the combined diff cannot be read")
    old = tuple(_range(text) for text in match[2].split())
    span = Span(match, old, (int(match[3]), int(match[4] or b"1")), match[5].removeprefix(b" "))
    _walk_combined(data, span)
    return span


def _range(text: bytes) -> tuple[int, int]:
    start, comma, lines = text[1:].partition(b",")
    return int(start), int(lines) if comma else 1


def _walk_combined(data: bytes, span: Span) -> None:
    """Find the end: a line counts for each parent that has it, and for the result unless a parent lost it."""
    at, parents = span.body, len(span.old)
    left = [lines for _, lines in span.old]
    new = span.new[1]
    while new > 0 or any(count > 0 for count in left):
        signs = data[at : at + parents]
        if data.startswith(b"\\ ", at):
            at = data.find(b"\n", at) + 1 or len(data)
            continue
        if len(signs) < parents or signs.strip(b" +-"):
            raise error_at(data, at, "the hunk of the combined diff ends too early")
        is_lost = b"-" in signs
        new -= not is_lost
        left = [count - (sign == (0x2D if is_lost else 0x20)) for count, sign in zip(left, signs, strict=True)]
        span.removed += is_lost
        span.added += not is_lost and b"+" in signs
        at = data.find(b"\n", at) + 1 or len(data)
    span.end = _after_note(data, at)
