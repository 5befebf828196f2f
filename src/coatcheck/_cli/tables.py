"""Rows of text as a table that fits the width.

Invariants:

- a line is never wider than the width, except for a single word that is: nothing is cut and nothing is left out;
- where a table is too wide its widest column is wrapped; where that column would become narrower than `MIN_COLUMN`, each
  row is a block: the first cell, then each other cell on lines of their own after the name of its column;
- without a terminal the width is not limited (None), and each row is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from .console import Line, Styled, clean
from .text_width import columns, padded, wrapped

Row: TypeAlias = Sequence[str]

GAP = 2
MIN_COLUMN = 24


def table(header: Row, rows: Iterable[Row], *, width: int | None) -> list[Line]:
    """Return *rows* under *header* in at most *width* columns."""
    cells = [tuple(clean(cell) for cell in row) for row in (header, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    excess = 0 if width is None else sum(widths) + GAP * (len(widths) - 1) - width
    if excess > 0:
        widest = max(range(1, len(widths)), key=lambda place: widths[place])
        widths[widest] -= excess
        if widths[widest] < max(MIN_COLUMN, columns(header[widest])):
            return _blocks(cells[0], cells[1:], width or 0)
    lines = [line for row in cells for line in _row(row, widths)]
    return [Styled(lines[0], "bold"), *lines[1:]]


def _row(row: Row, widths: Sequence[int]) -> list[str]:
    """Return the lines of a row, each cell wrapped to the width of its column."""
    wraps = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    height = max(map(len, wraps))
    lines = [[*wrap, *([""] * (height - len(wrap)))] for wrap in wraps]
    return [_joined(cells, widths) for cells in zip(*lines, strict=True)]


def _joined(cells: Row, widths: Sequence[int]) -> str:
    return (" " * GAP).join(padded(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _blocks(header: Row, rows: Iterable[Row], width: int) -> list[Line]:
    names = [columns(name) for name in header[1:]]
    indent = max(names) + 2 * GAP
    lines: list[Line] = []
    for first, *others in rows:
        lines += [*([""] if lines else []), Styled(first, "bold")]
        for name, cell in zip(header[1:], others, strict=True):
            for place, text in enumerate(wrapped(cell, max(1, width - indent)) if cell else ()):
                label = name if place == 0 else ""
                lines.append(f"{' ' * GAP}{padded(label, indent - GAP)}{text}")
    return lines
