"""Text as HTML: escaped, with characters made visible that a reader would not see or that would move other text.

Invariant: the HTML of any text has no markup of its own, no control character, no bidirectional control, and is valid
UTF-8; the tab is kept.
"""

from __future__ import annotations

from functools import lru_cache

from ..._patches.hidden_characters import name_of, split_harmful, visible_form

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# Most parts of lines are tokens that occur often.
_CACHED = 4096


@lru_cache(maxsize=_CACHED)
def _html_of_short(text: str) -> str:
    return _html(text)


def to_html(text: str) -> str:
    """Return *text* as HTML; each harmful character is in a ``<span class=hid>`` with its name as title."""
    return _html_of_short(text) if len(text) < 80 else _html(text)


def to_attribute(text: str) -> str:
    """Return *text* for an attribute in double quotes, harmful characters as they are written in Python."""
    parts = split_harmful(text)
    return "".join(visible_form(part) if at % 2 else part.translate(_ESCAPES) for at, part in enumerate(parts))


def _html(text: str) -> str:
    if text.isascii() and text.replace("\t", " ").isprintable():
        return text.translate(_ESCAPES)
    parts = split_harmful(text)
    return "".join(_mark(part) if at % 2 else part.translate(_ESCAPES) for at, part in enumerate(parts))


def _mark(character: str) -> str:
    code = ord(character)
    title = f"byte {visible_form(character)[2:]}, not UTF-8" if 0xDC80 <= code <= 0xDCFF else name_of(character)
    return f'<span class="hid" title="{title}">{visible_form(character)}</span>'
