"""Read search/replace blocks and write them as a git diff.

A block is the form that aider documents at https://aider.chat/docs/more/edit-formats.html: a line with the path, the
lines to find between ``<<<<<<< SEARCH`` and ``=======``, and the lines that replace them up to ``>>>>>>> REPLACE``.
An empty search adds a file. Lines are compared exactly, and must be in the file once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from . import quoted_names
from .codex_patch import NEEDS_BASE, only_place
from .repair_rows import Row, repair_error
from .write_changes import Replacement, added_rows, change_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .base_files import BaseFile, BaseFiles

MARKER = re.compile(rb"<{5,9} (?:SEARCH|ORIGINAL)>?\s*\Z")
_MIDDLE = re.compile(rb"={5,9}\s*\Z")
_END = re.compile(rb">{5,9} (?:REPLACE|UPDATED)\s*\Z")
_FENCE = re.compile(rb"\s*(?:`{3,}|~{3,})")
# What is written around a path: Markdown's bold, code and heading marks, and a colon.
_DECORATION = b"*`#: \t\r"
# The path is on one of so many lines above the block, an opening fence included.
_LINES_ABOVE = 3


class _Block(NamedTuple):
    path: bytes
    search: list[bytes]
    replace: list[bytes]
    number: int


def convert(rows: Sequence[Row], base: BaseFiles | None) -> list[Row]:
    """Return the git diff of the blocks in *rows*; text around them is left out. Raises `PatchError`."""
    by_path: dict[bytes, list[_Block]] = {}
    for block in _blocks(rows, base):
        by_path.setdefault(block.path, []).append(block)
    return [row for path, blocks in by_path.items() for row in _file_rows(path, blocks, base)]


def outside(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the lines that are in no block."""
    is_inside = False
    for row in rows:
        if MARKER.match(row.text):
            is_inside = True
        if not is_inside:
            yield row
        elif _END.match(row.text):
            is_inside = False


def _blocks(rows: Sequence[Row], base: BaseFiles | None) -> Iterator[_Block]:
    at, path = 0, b""
    end = 0
    while at < len(rows):
        if not MARKER.match(rows[at].text):
            at += 1
            continue
        path = _path_above(rows, at, end, base) or path
        if not path:
            raise repair_error(
                rows[at].number, "the search/replace block names no file", remedy="put its path on the line above"
            )
        middle = _find(_MIDDLE, rows, at, "=======")
        end = _find(_END, rows, middle, ">>>>>>> REPLACE")
        _check_middle(rows, middle, end)
        search, replace = (
            [row.text for row in rows[start + 1 : stop]] for start, stop in ((at, middle), (middle, end))
        )
        yield _Block(path, search, replace, rows[at].number)
        at = end = end + 1


def _find(pattern: re.Pattern[bytes], rows: Sequence[Row], start: int, marker: str) -> int:
    """Return the line of the next marker. Raises `PatchError` where another block or the end precedes it."""
    for at in range(start + 1, len(rows)):
        if pattern.match(rows[at].text):
            return at
        if MARKER.match(rows[at].text):
            break
    raise repair_error(rows[start].number, f"the line {marker} of this block is missing", remedy="add it")


def _check_middle(rows: Sequence[Row], middle: int, end: int) -> None:
    for row in rows[middle + 1 : end]:
        if _MIDDLE.match(row.text):
            raise repair_error(
                row.number,
                "a second line ======= in this block, so its parts are ambiguous",
                remedy="pass a unified diff",
            )


def _path_above(rows: Sequence[Row], at: int, end: int, base: BaseFiles | None) -> bytes:
    """Return the path on the lines above a block, empty where they have none; only a path in *base* may have blanks."""
    for row in reversed(rows[max(at - _LINES_ABOVE, end) : at]):
        text = row.text.strip(_DECORATION)
        if _FENCE.match(row.text):  # the word behind the language may be the path
            text = row.text.split()[-1].lstrip(b"`~")
            text = text if b"/" in text or b"." in text else b""
        if text:
            is_known = base is not None and base.get(quoted_names.to_text(text)) is not None
            return text if b" " not in text or is_known else b""
    return b""


def _file_rows(path: bytes, blocks: Sequence[_Block], base: BaseFiles | None) -> Iterator[Row]:
    name, number = quoted_names.to_text(path), blocks[0].number
    file = base.get(name) if base is not None else None
    if file is None or (not file.lines and len(blocks) == 1):
        if len(blocks) == 1 and not any(blocks[0].search) and file is None:
            yield from added_rows(path, blocks[0].replace, number)
            return
        if base is None:
            raise repair_error(
                number, f"a search/replace block has no line numbers, and {name} is not known", remedy=NEEDS_BASE
            )
        if file is None:
            raise repair_error(number, f"there is no file {name} to change", remedy="correct its path")
    yield from change_rows(file, path, path, [_replacement(block, file, name) for block in blocks], number)


def _replacement(block: _Block, file: BaseFile, name: str) -> Replacement:
    if not block.search and not file.lines:
        return Replacement(0, 0, block.replace, block.number)
    if not any(block.search):
        raise repair_error(
            block.number,
            f"the search is empty, and {name} exists, so the place is ambiguous",
            remedy="search for a line",
        )
    start = only_place(file.places(block.search, line=block.number), name, block.number)
    search, replace = file.keys_of(block.search), file.keys_of(block.replace)
    first = _common(search, replace)
    last = _common(search[first:][::-1], replace[first:][::-1])
    if first == len(search) == len(replace):
        raise repair_error(block.number, "the block changes nothing", remedy="leave it out")
    return Replacement(
        start + first, start + len(search) - last, block.replace[first : len(replace) - last], block.number
    )


def _common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    """Return how many lines both begin with."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
