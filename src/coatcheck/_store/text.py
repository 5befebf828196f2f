"""The one rule by which text is stored, on every database.

PostgreSQL holds neither NUL (https://www.postgresql.org/docs/current/datatype-character.html) nor lone surrogates, which
are not UTF-8; SQLite cuts text at a NUL in some functions. Both, and the escape character itself (U+001A, SUBSTITUTE),
are stored as U+001A and four hexadecimal digits.

Invariant: ``unescape(escape(text)) == text`` for every text, and text without these characters is stored unchanged.
"""

from __future__ import annotations

NUL, ESCAPE = "\0", "\x1a"


def escape(text: str) -> str:
    """Return *text* as it is stored."""
    return text if _is_storable(text) else "".join(map(_escaped, text))


def _is_storable(text: str) -> bool:
    if NUL in text or ESCAPE in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _escaped(character: str) -> str:
    return character if _is_storable(character) else f"{ESCAPE}{ord(character):04x}"


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    if ESCAPE not in text:
        return text
    first, *rest = text.split(ESCAPE)
    return first + "".join(chr(int(part[:4], 16)) + part[4:] for part in rest)
