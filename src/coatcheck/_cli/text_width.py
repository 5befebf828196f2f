"""How many columns of a terminal text takes, and text that is cut or wrapped to so many columns.

A wide or full-width character takes two columns and a combining character none (Unicode Standard Annex 11).
"""

from __future__ import annotations

ELLIPSIS = "…"


def columns(text: str) -> int:
    """Return how many columns *text* takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    import unicodedata  # most text is ASCII

    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def shorten(text: str, width: int) -> str:
    """Return *text*, cut to *width* columns where it is longer; an ellipsis marks the cut."""
    if columns(text) <= width:
        return text
    kept, remaining = [], width - 1
    for character in text:
        remaining -= _columns_of(character)
        if remaining < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ELLIPSIS if width > 0 else ""


def padded(text: str, width: int) -> str:
    """Return *text* with blanks after it, *width* columns in all."""
    return text + " " * max(0, width - columns(text))


def wrapped(text: str, width: int) -> list[str]:
    """Return *text* as lines of at most *width* columns, broken at blanks; a word that is wider has a line alone."""
    if columns(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and columns(line) > width:
            lines.append(word)
        else:
            lines[-1] = line
    return lines
