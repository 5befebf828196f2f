"""Text as Markdown that shows exactly that text: no markup, no HTML, no formula, no control character of it has an effect.

Notebooks render the results of ``_repr_markdown_`` as HTML, with MathJax.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TICKS = re.compile(r"`{3,}")
_RUNS = re.compile(r"`+")
# A bar ends the cell of a table also in a code span, escaped or not by a backslash before it.
_BAR = "\N{DIVIDES}"
# ASCII punctuation may be escaped by a backslash (CommonMark 0.31, section 2.4); HTML and formulas need entities.
_PUNCTUATION = re.compile(r"([!#()*+\-.\[\\\]_`{|}~:^=/@])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def fenced(text: str, word: str = "") -> str:
    """Return *text* as a code block, with a fence that is longer than any in it."""
    ticks = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    return f"{ticks}{word}\n{text.removesuffix(chr(10))}\n{ticks}"


def one_line(text: str) -> str:
    """Return *text* on one line."""
    return " ".join(text.split())


def escaped(text: str) -> str:
    """Return *text* on one line, shown as it is wherever Markdown stands.

    Text that MathJax may take for a formula is a code span, which MathJax skips; it looks at the rendered page, where
    escapes are gone (https://docs.mathjax.org/en/latest/input/tex/delimiters.html).
    """
    text = one_line(text)
    if "$" in text or "\\" in text:
        return code_span(text)
    text = _PUNCTUATION.sub(r"\\\1", text)
    return "".join(_ENTITIES.get(character, character) for character in text)


def code_span(text: str) -> str:
    """Return *text* on one line as a code span, in which nothing has an effect."""
    text = one_line(text)
    ticks = "`" * (1 + max((len(run) for run in _RUNS.findall(text)), default=0))
    return f"{ticks} {text.replace('|', _BAR)} {ticks}"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table of *rows*, whose cells are Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
