"""How a diff spells paths: C quoting, side prefixes, and which path two spellings mean.

Names are bytes here, as git has them; nothing in this module reads more than one line of a diff.
git's own rules are in its ``quote.c`` (quoting) and ``apply.c`` (``git_header_name``).
"""

from __future__ import annotations

import re

from ..errors import PatchError

NO_FILE = b"/dev/null"

# quote.c: the letters of C, and three octal digits for everything else.
_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"t": b"\t",
    b"n": b"\n",
    b"v": b"\v",
    b"f": b"\f",
    b"r": b"\r",
    b'"': b'"',
    b"\\": b"\\",
}
_LETTERS = {ord(character): b"\\" + letter for letter, character in _ESCAPES.items()}

# Longer names than two of Linux' PATH_MAX (4,096) are not searched for a place to cut, so that a hostile
# header stays linear.
_LONGEST_SEARCHED = 2 * 4096


def unquote(text: bytes) -> tuple[bytes, bytes]:
    """Read one C-quoted name at the start of *text*; return it and what follows the closing quote.

    Raises `PatchError` where the quoting does not end or an escape is none of C's.
    """
    pieces: list[bytes] = []
    at = 1
    while (character := text[at : at + 1]) != b'"':
        if character == b"\\":
            piece, at = _unescape(text, at + 1)
            pieces.append(piece)
            continue
        if not character:
            raise PatchError("a quoted path has no closing quote")
        end = min(stop for stop in (text.find(b"\\", at), text.find(b'"', at), len(text)) if stop >= 0)
        pieces.append(text[at:end])
        at = end
    return b"".join(pieces), text[at + 1 :]


def _unescape(text: bytes, at: int) -> tuple[bytes, int]:
    letter = text[at : at + 1]
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 1
    digits = text[at : at + 3]
    if len(digits) == 3 and digits[0] in b"0123" and all(digit in b"01234567" for digit in digits):
        return bytes((int(digits, 8),)), at + 3
    raise PatchError("a quoted path has an escape that git does not write")


def quote(name: bytes) -> bytes:
    """Spell *name* as git does: as it is, or C-quoted when it holds anything unusual."""
    if not any(byte < 0x20 or byte >= 0x7F or byte in b'"\\' for byte in name):
        return name
    spelled = (
        _LETTERS.get(byte) or (b"\\%03o" % byte if byte < 0x20 or byte >= 0x7F else bytes((byte,))) for byte in name
    )
    return b'"' + b"".join(spelled) + b'"'


def whole_name(text: bytes) -> bytes:
    """Read the name that is all of *text*, as ``rename from`` has it."""
    text = text.removesuffix(b"\r")
    return unquote(text)[0] if text.startswith(b'"') else text


def spelling_before_tab(text: bytes) -> bytes:
    """Return the name of a ``---`` or ``+++`` line as it is spelled: up to a tab, behind which diff writes a time."""
    if text.startswith(b'"'):
        return text[: len(text) - len(unquote(text)[1])]
    return text.partition(b"\t")[0].removesuffix(b"\r")


# What diff writes behind a name: a date and a time, and often a zone (apply.c, diff_timestamp_len).
_TIME = re.compile(rb"[ \t]+(?:\d\d)?\d\d-\d\d-\d\d +\d\d:\d\d:\d\d(?:\.\d+)?(?: +[-+]\d\d:?\d\d)?[ \t\r]*\Z")


def spelling_before_time(text: bytes) -> bytes:
    """Return the name of a plain ``---`` or ``+++`` line, which blanks instead of a tab may part from the time."""
    if not text.startswith(b'"') and (match := _TIME.search(text, max(len(text) - _LONGEST_TIME, 0))):
        text = text[: match.start()].rstrip(b" \t")
    return spelling_before_tab(text)


_LONGEST_TIME = 100


def common_path(old: bytes, new: bytes) -> bytes | None:
    """Return the path that both spellings mean once their prefixes are taken off, None if there is none.

    The same spelling twice has no prefix (``--no-prefix``); otherwise one component may differ (``a/`` and ``b/``,
    ``i/`` and ``w/``, any ``--src-prefix``) or are on one side only.
    """
    if old == new:
        return old
    old_rest, new_rest = old.partition(b"/")[2], new.partition(b"/")[2]
    if old_rest == new_rest:
        return old_rest or None
    if old_rest == new:
        return new
    return old if new_rest == old else None


def split_pair(text: bytes, strip: int | None = None) -> tuple[bytes, bytes] | None:
    """Cut what follows ``diff --git`` into its two names, None where no cut makes both mean one path.

    The line is ambiguous when names have blanks; git writes ``rename`` lines wherever the two differ. With *strip*
    both names must be the same behind so many components (apply.c, ``git_header_name``).
    """
    if text.startswith(b'"'):
        old, rest = unquote(text)
        return old, whole_name(rest.removeprefix(b" "))
    if text.endswith(b'"') and (cut := text.find(b' "')) >= 0:
        return text[:cut], unquote(text[cut + 1 :])[0]
    middle = len(text) // 2
    if _cuts(text, middle, strip):
        return text[:middle], text[middle + 1 :]
    return _search_cut(text, strip) if len(text) <= _LONGEST_SEARCHED else None


def _cuts(text: bytes, at: int, strip: int | None) -> bool:
    if text[at : at + 1] != b" ":
        return False
    old, new = text[:at], text[at + 1 :]
    if strip is None:
        return common_path(old, new) is not None
    old_parts, new_parts = old.split(b"/", strip), new.split(b"/", strip)
    return len(old_parts) == len(new_parts) == strip + 1 and old_parts[-1] == new_parts[-1] != b""


def _search_cut(text: bytes, strip: int | None) -> tuple[bytes, bytes] | None:
    at = text.find(b" ")
    while at >= 0:
        if _cuts(text, at, strip):
            return text[:at], text[at + 1 :]
        at = text.find(b" ", at + 1)
    return None


def other_name(text: bytes, *, old: bytes | None = None, new: bytes | None = None) -> bytes | None:
    """Return the other name of a ``diff --git`` line, given how one is spelled; None where it is not there."""
    text = text.removesuffix(b"\r")
    if old is not None:
        return whole_name(text[len(old) + 1 :]) if text.startswith(old + b" ") else None
    if new is not None:
        return whole_name(text[: -len(new) - 1]) if text.endswith(b" " + new) else None
    return None


def to_text(name: bytes) -> str:
    """Return *name* as people and Python's file functions take it."""
    return name.decode("utf-8", "surrogateescape")
