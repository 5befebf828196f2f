"""The files of a diff in pages: the first ones with their content, the others as links that the script loads.

Invariant: every file of the diff is on one page, and each page has the number of files on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .file_section import DiffFile, FileView, body_html, section_html

# So many files are on a page, and so many bytes of the diff are in it before the script loads any.
PAGE = 100
INLINE_BYTES = 60_000
# Longer lines count as this: they are cut.
_BYTES_OF_LINE = 500


class FileList(NamedTuple):
    """A page of files. `number` is that of the page, of `pages`; `files` is the number of all."""

    html: str
    number: int
    pages: int
    files: int


def file_list(
    files: Sequence[DiffFile],
    view: FileView,
    *,
    number: int = 1,
    anchor: str | None = None,
    part: int = 0,
    notes_of: Callable[[DiffFile], tuple[str, str]] = lambda _: ("", ""),
) -> FileList:
    """Return page *number*, or the one with the file *anchor*, which is shown from its part *part* on.

    *notes_of* returns the note and the links of a file.
    """
    at = next((position for position, file in enumerate(files) if file.anchor == anchor), None)
    pages = max(-(-len(files) // PAGE), 1)
    number = at // PAGE + 1 if at is not None else min(max(number, 1), pages)
    shown = files[(number - 1) * PAGE : number * PAGE]
    bodies = _bodies(shown, view, anchor, part)
    sections = []
    for file in shown:
        note, links = notes_of(file)
        sections.append(section_html(file, view, body=bodies.get(file.anchor), note=note, links=links))
    return FileList("".join(sections), number, pages, len(files))


def _bodies(files: Sequence[DiffFile], view: FileView, anchor: str | None, part: int) -> dict[str, str]:
    """Return the content of the first files, and of the file *anchor*."""
    bodies: dict[str, str] = {}
    size = 0
    for file in files:
        size += min(file.size, file.text.count(b"\n") * _BYTES_OF_LINE)
        is_first = not bodies or size <= INLINE_BYTES
        if is_first:
            bodies[file.anchor] = body_html(file, view)
        if file.anchor == anchor:
            bodies[file.anchor] = body_html(file, view, part=part)
    return bodies
