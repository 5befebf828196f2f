"""Which candidates change a file in the same way, as a note beside its heading."""

from __future__ import annotations

from collections.abc import Sequence

from .candidate_files import FileRow
from .links import DiffLinks
from .visible_text import to_attribute


def note_html(row: FileRow | None, number: int) -> str:
    """Return the note about a file of candidate *number*, empty where there is one candidate or nothing is known."""
    if row is None or len(row.compared) < 2 or number - 1 not in row.compared:
        return ""
    if row.only == number - 1:
        return f'<span class="alone">only candidate {number} changes this file</span>'
    return f'<span class="fact">{_note(row, number)}</span>'


def links_html(row: FileRow | None, number: int, links: DiffLinks) -> str:
    """Return links to the differences from the candidates that change the file in another way."""
    if row is None or number - 1 not in row.compared or row.is_same or row.only is not None:
        return ""
    own = row.cells[number - 1]
    others = [at for at, cell in enumerate(row.cells, 1) if cell and own and cell.version != own.version]
    urls = ((at, f"{links.page(against=str(at), only=None)}#{row.anchor}") for at in others)
    html = " ".join(f'<a href="{to_attribute(url)}">Difference from {at}</a>' for at, url in urls)
    return f"<span data-swap>{html}</span> " if html else ""


def _note(row: FileRow, number: int) -> str:
    """Return in words how the other candidates change the file."""
    own = row.cells[number - 1]
    if row.is_same:
        return (
            "the same in both candidates"
            if len(row.compared) == 2
            else f"the same in all {len(row.compared)} candidates"
        )
    cells = list(enumerate(row.cells, 1))
    same = [at for at, cell in cells if cell and own and cell.version == own.version and at != number]
    other = [at for at, cell in cells if cell and (own is None or cell.version != own.version)]
    without = [at for at, cell in cells if cell is None and at - 1 in row.compared]
    parts = [
        f"the same in {_and(same)}" if same else "",
        f"different in {_and(other)}" if other else "",
        f"not changed by {_and(without)}" if without else "",
    ]
    return ", ".join(filter(None, parts))


def _and(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
