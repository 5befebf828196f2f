"""Pygments' lexers for files, and the tokens of a text line by line.

Invariants:
- the tokens of a text, joined, are the text; a text for which that does not hold has no tokens;
- reading tokens takes bounded time: a text that is long, or has long lines, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

# pygments reads 0.8 MB/s of Python, and of no common language less (2026-11, one core). Its rules are regular
# expressions, some of which take quadratic time on hostile text, so the text of one call is bounded.
MAX_CALL = 20_000
MAX_LINE = 1_000

# Linguist's name of a language -> pygments' name, where they differ.
LEXERS: Mapping[str, str] = {"Vim Script": "vim", "HTML+ERB": "erb", "Jupyter Notebook": "json", "Shell": "bash"}


class Lexer(Protocol):
    """The part of a pygments lexer that is used."""

    def get_tokens_unprocessed(self, text: str) -> Iterable[tuple[int, object, str]]:
        """Yield position, kind and text of every token."""
        ...


def lexer_of(path: str) -> Lexer | None:
    """Return the lexer for the file at *path*, None where there is none."""
    from .languages import language_of

    language = language_of(path)
    return lexer_for(language.name) if language else None


def lexer_for(language: str) -> Lexer | None:
    """Return the lexer for a language by its Linguist name, None where there is none."""
    # Importing it takes 30 ms with a lexer; its types are in a package of their own.
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    for name in filter(None, (LEXERS.get(language), language)):
        try:
            lexer: Lexer = get_lexer_by_name(name.lower())
        except ClassNotFound:
            continue
        return lexer
    return None


def token_lines(
    text: str, lexer: Lexer | None, style_of: Callable[[str], str], *, most: int = MAX_CALL
) -> list[list[tuple[str, str]]]:
    """Return (style, text) pairs line by line; an empty list where *text* has no tokens.

    *style_of* returns the style for the name of a token's kind, such as ``Token.Keyword``.
    """
    if lexer is None or len(text) > most or max(map(len, text.split("\n"))) > MAX_LINE:
        return []
    styles: dict[object, str] = {}
    lines: list[list[tuple[str, str]]] = [[]]
    for _, kind, value in lexer.get_tokens_unprocessed(text):
        style = styles.get(kind)
        if style is None:
            style = styles[kind] = style_of(str(kind))
        first, *others = value.split("\n")
        lines[-1].append((style, first))
        lines.extend([(style, each)] for each in others)
    return lines if "\n".join("".join(part for _, part in line) for line in lines) == text else []


def style_by_prefix(kind: str, styles: Mapping[str, str]) -> str:
    """Return the style of the first prefix in *styles* that *kind* has, empty where it has none."""
    return next((style for prefix, style in styles.items() if kind.startswith(prefix)), "")
