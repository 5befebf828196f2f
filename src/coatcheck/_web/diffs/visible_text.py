"""Text as HTML: escaped, with characters made visible that a reader would not see or that would move other text.

Invariant: the HTML of any text has no markup but that of this module, no control character, no bidirectional control, and is valid
UTF-8; the tab is kept.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..._patches.hidden_characters import name_of, split_harmful, visible_form

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# Combining marks after the third on one letter: no language writes as many, and together they cover other lines.
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"(?<=[{_MARKS}]{{3}})([{_MARKS}]+)")
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
    parts = split_harmful(_STACKED.sub(lambda marks: "".join(map(visible_form, marks[0])), text))
    return "".join(visible_form(part) if at % 2 else part.translate(_ESCAPES) for at, part in enumerate(parts))


def _html(text: str) -> str:
    if text.isascii() and text.replace("\t", " ").isprintable():
        return text.translate(_ESCAPES)
    parts = split_harmful(text)
    return "".join(_mark(part) if at % 2 else _escape(part) for at, part in enumerate(parts))


def _escape(text: str) -> str:
    """Return *text* escaped; marks that would be drawn over other lines are written as escapes."""
    if text.isascii():
        return text.translate(_ESCAPES)
    parts = _STACKED.split(text)
    return "".join(_marks(part) if at % 2 else part.translate(_ESCAPES) for at, part in enumerate(parts))


def _marks(characters: str) -> str:
    return "".join(map(_mark, characters))


def _mark(character: str) -> str:
    code = ord(character)
    title = f"byte {visible_form(character)[2:]}, not UTF-8" if 0xDC80 <= code <= 0xDCFF else name_of(character)
    return f'<span class="hid" title="{title}">{visible_form(character)}</span>'
