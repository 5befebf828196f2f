"""The text around the files of a diff: prose is skipped, anything that changes files is an error with its line.

git skips all that it does not recognize between two files, also changes (apply.c, ``find_header``). Here lines that
continue a hunk, hunks without a readable header and other formats than git's and ``diff -u``'s are refused by name.
"""

from __future__ import annotations

import re

from ..errors import PatchError

# Lines that no hunk header counts: context, then a changed line.
_CONTINUED = re.compile(rb"(?P<context>(?:(?: [^\n]*+|\\ [^\n]*+)?\n)*+)(?P<line>[+\-][^\n]*)")
# A line in place of lines that were left out ("...", "# rest unchanged"), and a changed line in the same paragraph.
_ELISION = re.compile(
    rb"(?=[^\s+\-@])[^\n]*(?:\.\.\.|\xe2\x80\xa6|(?i:unchanged|existing|omitted|remaining|the rest|rest of))[^\n]*\n"
    rb"(?:(?!diff |Index: |--- |\+\+\+ |@@)[^\n]+\n)*?[+\-](?![+\- ])"
)
# Separators of mails and MIME parts, and the lines that begin the next file.
_SEPARATOR = re.compile(rb"--(?:[-=\d_ \r]|Apple-|boundary|\Z)|\+\+\+ ")
_LIST_ITEM = re.compile(rb"[+\-] \S")

_UNREADABLE = re.compile(
    rb"^(?:(?P<wide>(?:\xff\xfe|\xfe\xff|\0\0\xfe\xff)?\0{0,3}(?:d\0{1,3}i\0{1,3}f\0{1,3}f|(?:-\0{1,3}){3} ))"
    rb"|(?P<codex>\*\*\* (?:Begin Patch|(?:Update|Add|Delete) File: ))"
    rb"|(?P<context>\*{15}[^*\n]*\n\*\*\* \d)"
    rb"|(?P<blocks><{5,9} (?:SEARCH|ORIGINAL)\b)"
    rb"|(?P<colour>(?:\x1b\[[\d;]*[mK])+(?:diff |--- |\+\+\+ |@@|[-+]))"
    rb"|(?P<normal>\d+(?:,\d+)?[acd]\d+(?:,\d+)?\r?\n[<>] )"
    rb"|(?P<ed>\d+(?:,\d+)?[acd]\r?$)"
    rb"|(?P<submodule>Submodule \S.* [0-9a-f]{4,64}\.{2,3}[0-9a-f]{4,64}(?: \(.*\))?:?\r?$)"
    rb"|(?P<binary>GIT binary patch\r?\n(?:literal|delta) \d)"
    rb"|(?P<header>new file mode (?!100644)[0-7]+\r?\n|old mode [0-7]+\r?\nnew mode [0-7]"
    rb"|(?:rename|copy) from .+\n(?:rename|copy) to .)"
    rb"|(?P<rcs>[ad]\d+ \d+\r?$)"
    rb"|(?P<lines>--- [^\n]+\n\+\+\+ [^\n]+(?:\n(?=[ +\-]|diff |\Z)|\Z)|diff --git [^\n]+\n(?=[ +\-]))"
    rb"|(?P<names>(?:--- [^\n]+\n(?=[+\-](?![+\-]))|\+\+\+ [^\n]+\n(?=[+\- ])))"
    rb"|(?P<hunk>@@))",
    re.MULTILINE,
)
_REASONS = {
    "wide": "this is UTF-16 or UTF-32 text (Windows PowerShell writes > so), not UTF-8",
    "codex": "this is a Codex patch (*** Begin Patch), not a unified diff",
    "context": "this is a context diff (diff -c), not a unified diff",
    "blocks": "this is a search/replace block, not a unified diff",
    "colour": "the diff has colour codes",
    "normal": "this is a normal diff (diff without -u), not a unified diff",
    "ed": "this is an ed script (diff -e), not a unified diff",
    "submodule": "this is a summary of a submodule's commits (git diff --submodule), not a unified diff",
    "binary": "the line diff --git above this binary patch is missing",
    "header": "the line diff --git above this header line is missing",
    "rcs": "this is an RCS script (diff -n), not a unified diff",
    "names": "one of the two file header lines --- and +++ is missing",
    "lines": "the hunk header @@ -START,LINES +START,LINES @@ is missing",
    "hunk": "the hunk header is not @@ -START,LINES +START,LINES @@, or no file header is above it",
}
INTERRUPTED = "this line interrupts a hunk: it begins with none of blank, + and -, and changed lines follow it"
_REMEDY = "use the output of git diff without options"
_WORD_DIFF = "this is a word diff (git diff --word-diff), not a unified diff"


def error_at(data: bytes, at: int, reason: str) -> PatchError:
    """Return the error that names the wrong line of *data*."""
    line = data.count(b"\n", 0, at) + 1
    remedy = "write it with: git diff --output=FILE" if reason == _REASONS["wide"] else _REMEDY
    return PatchError(f"line {line}: {reason}", line=line, remedy=remedy)


def check_end(data: bytes, end: int) -> None:
    """Raise `PatchError` where changed lines follow a hunk that ends at *end*: its header counts too few lines."""
    if data.startswith((b"~\n", b"~\r\n"), end):
        raise error_at(data, end, _WORD_DIFF)
    if _ELISION.match(data, end):
        raise error_at(data, end, INTERRUPTED)
    match = _CONTINUED.match(data, end)
    if match is None or _SEPARATOR.match(match["line"]) or _is_boundary(data, match["line"], match.start()):
        return
    context = match["context"]
    if context and not context.strip(b"\n") and _LIST_ITEM.match(match["line"]):
        return  # a list in the text below the diff
    raise error_at(data, match.start("line"), "the hunk has more lines than its header counts")


def _is_boundary(data: bytes, line: bytes, end: int) -> bool:
    """Whether *line* separates the parts of a mail: a header before *end* declares the boundary (RFC 2046, 5.1.1)."""
    name = line.rstrip(b" \t\r").removeprefix(b"--")
    if not line.startswith(b"--") or not name.strip(b"-"):
        return False
    either = b"|".join(map(re.escape, (name, name.removesuffix(b"--"))))
    header = rb"^(?:content-type:|[ \t])[^\n]*\bboundary=\"?(?:%s)[\"\s;]" % either
    return re.compile(header, re.IGNORECASE | re.MULTILINE).search(data, 0, end) is not None


def check_between(data: bytes, start: int, end: int) -> None:
    """Raise `PatchError` where the text from *start* to *end*, outside of every file, changes files."""
    for match in _UNREADABLE.finditer(data, start, end):
        kind = match.lastgroup or ""
        if kind != "ed" or _is_ed_script(data, match, end):
            raise error_at(data, match.start(), _REASONS[kind])


def _is_ed_script(data: bytes, match: re.Match[bytes], end: int) -> bool:
    """Whether the command deletes lines, or text for it follows that a line ``.`` ends."""
    return match[0].rstrip(b"\r").endswith(b"d") or data.find(b"\n.\n", match.end(), end) >= 0


def reason_in_hunk(data: bytes, at: int) -> str | None:
    """Return what is wrong with the line at *at* of a hunk, if it belongs to a known other format."""
    line = data[at : data.find(b"\n", at) if b"\n" in data[at : at + 4096] else at + 4096]
    if line.startswith(b"\x1b["):
        return _REASONS["colour"]
    if line == b"~" or b"[-" in line or b"{+" in line:
        return _WORD_DIFF
    match = _UNREADABLE.match(data, at)
    kind = match.lastgroup if match else None
    return _REASONS[kind] if kind in ("codex", "context", "blocks") else None
