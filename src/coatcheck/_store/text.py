"""The one rule by which text is stored, on every database.

PostgreSQL holds neither NUL (https://www.postgresql.org/docs/current/datatype-character.html) nor lone surrogates, which
are not UTF-8; SQLite cuts text at a NUL in some functions. Both, and the escape character itself (U+001A, SUBSTITUTE),
are stored as U+001A and four hexadecimal digits.

Invariant: ``unescape(escape(text)) == text`` for every text, and text without these characters is stored unchanged.
"""

from __future__ import annotations

import re

ESCAPE = "\x1a"
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


def escape(text: str) -> str:
    """Return *text* as it is stored."""
    return _UNSAFE.sub(lambda match: f"{ESCAPE}{ord(match[0]):04x}", text)


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if ESCAPE in text else text
