"""Read the patch format of Codex's ``apply_patch`` and write it as a git diff.

The format is documented at https://github.com/openai/codex/tree/main/codex-rs/apply-patch.
Differences from Codex: lines are compared exactly, and a chunk that fits several places is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from . import quoted_names
from .repair_rows import Row, repair_error
from .write_changes import Replacement, added_rows, change_rows, deleted_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .base_files import BaseFile, BaseFiles

NEEDS_BASE = "pass the checkout as base=, or run coatcheck apply --repair in it"
MORE_CONTEXT = "add lines around the change until it fits one place"

_SECTIONS = "begin each file with *** Add File: PATH, *** Update File: PATH or *** Delete File: PATH"

_BEGIN, _END = b"*** Begin Patch", b"*** End Patch"
_FILE = re.compile(rb"\*\*\* (?P<verb>Add|Delete|Update) File: (?P<path>.+)")
_MOVE = re.compile(rb"\*\*\* Move to: (?P<path>.+)")
_END_OF_FILE = b"*** End of File"
MARKER = re.compile(rb"\*\*\* (?:Begin Patch|(?:Add|Delete|Update) File: )")


class _Section(NamedTuple):
    """The part of one file: the verb, its path, and the lines below."""

    verb: bytes
    path: bytes
    row: Row
    body: list[Row]


class _Chunk:
    """Lines that change together: context lines that locate it, the old lines, and the replacements in them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.anchors: list[bytes] = []
        self.signed: list[Row] = []
        self.is_at_end = False

    @property
    def old(self) -> list[bytes]:
        """Return the lines that must be in the file."""
        return [row.text[1:] for row in self.signed if not row.text.startswith(b"+")]

    def without_last_blanks(self) -> _Chunk:
        """Leave out the empty lines between the chunk and the next one: context that nothing changes."""
        while self.signed and not self.signed[-1].text:
            self.signed.pop()
        return self

    def replacements(self, start: int) -> Iterator[Replacement]:
        """Yield the replacements of the chunk, whose old lines begin at *start*."""
        position, first, added, number = start, start, list[bytes](), self.number
        for row in (*self.signed, Row(b" ", 0)):
            if row.text.startswith(b"+"):
                added.append(row.text[1:])
            elif row.text.startswith(b"-"):
                position += 1
            else:
                if added or position > first:
                    yield Replacement(first, position, added, number)
                position += 1
                first, added = position, []
                continue
            number = row.number


def convert(rows: Sequence[Row], base: BaseFiles | None) -> list[Row]:
    """Return the git diff of the patches in *rows*; text around them is left out. Raises `PatchError`."""
    sections = list(_sections(rows))
    if not sections:
        raise repair_error(_first(rows), "the Codex patch names no file", remedy=_SECTIONS)
    return [row for section in sections for row in _section_rows(section, base)]


def is_cut_off(rows: Sequence[Row]) -> bool:
    """Whether no ``*** End Patch`` follows the last ``*** Begin Patch``."""
    marks = [text for row in rows if (text := row.text.rstrip()) in (_BEGIN, _END)]
    return marks[-1:] == [_BEGIN]


def _first(rows: Sequence[Row]) -> int:
    return next(row.number for row in rows if MARKER.match(row.text))


def _check_begin(row: Row) -> None:
    """Raise `PatchError` for a line between ``*** Begin Patch`` and the first file that is not blank."""
    if row.text.strip():
        raise repair_error(row.number, "this line of a Codex patch belongs to no file", remedy=_SECTIONS)


def _sections(rows: Sequence[Row]) -> Iterator[_Section]:
    section: _Section | None = None
    is_begun = False
    for row in rows:
        text = row.text.rstrip()
        match = _FILE.match(text)
        if match is None and text not in (_BEGIN, _END):
            if section is not None:
                section.body.append(row)
            elif is_begun:
                _check_begin(row)
            continue
        is_begun = text == _BEGIN
        if section is not None:
            yield section
        section = _Section(match["verb"], match["path"], row, []) if match else None
    if section is not None:
        yield section


def _section_rows(section: _Section, base: BaseFiles | None) -> Iterator[Row]:
    number = section.row.number
    if section.verb == b"Add":
        yield from added_rows(section.path, list(_added_lines(section)), number)
        return
    file = _file(section, base)
    if section.verb == b"Delete":
        _check_empty(section.body)
        yield from deleted_rows(section.path, file, number)
        return
    body = section.body
    move = _MOVE.match(body[0].text.rstrip()) if body else None
    chunks = list(_chunks(body[1:] if move else body))
    if not chunks and move is None:
        raise repair_error(number, "the section changes nothing", remedy="leave it out")
    yield from change_rows(
        file, section.path, move["path"] if move else section.path, _located(chunks, file, section.path), number
    )


def _file(section: _Section, base: BaseFiles | None) -> BaseFile:
    path = quoted_names.to_text(section.path)
    if base is None:
        raise repair_error(
            section.row.number, f"a Codex patch has no line numbers, and {path} is not known", remedy=NEEDS_BASE
        )
    file = base.get(path)
    if file is None:
        raise repair_error(section.row.number, f"there is no file {path} to change", remedy="correct its path")
    return file


def _added_lines(section: _Section) -> Iterator[bytes]:
    body = section.body
    while body and not body[-1].text.strip():
        body = body[:-1]
    for row in body:
        if not row.text.startswith(b"+"):
            raise repair_error(row.number, "a line of an added file does not begin with +", remedy="add the +")
        yield row.text[1:]


def _check_empty(body: Sequence[Row]) -> None:
    for row in body:
        if row.text.strip():
            raise repair_error(row.number, "a deleted file has no lines in a Codex patch", remedy="remove the line")


def _chunks(rows: Sequence[Row]) -> Iterator[_Chunk]:
    chunk: _Chunk | None = None
    for row in rows:
        if row.text.startswith(b"@@"):
            if chunk is not None and chunk.signed:
                yield chunk.without_last_blanks()
                chunk = None
            chunk = chunk or _Chunk(row.number)
            chunk.anchors += filter(None, [row.text[2:].removesuffix(b"@@").strip()])
            continue
        chunk = chunk or _Chunk(row.number)
        if row.text.rstrip() == _END_OF_FILE:
            chunk.is_at_end = True
        elif row.text[:1] in _SIGNS:
            chunk.signed.append(row)
        else:
            raise repair_error(
                row.number, "a changed line begins with a blank, + or -", remedy="add its first character"
            )
    if chunk is not None and chunk.signed:
        yield chunk.without_last_blanks()


_SIGNS = (b"", b" ", b"+", b"-")


def _located(chunks: Sequence[_Chunk], file: BaseFile, path: bytes) -> list[Replacement]:
    replacements: list[Replacement] = []
    position = 0
    for chunk in chunks:
        start = _place(chunk, file, position, quoted_names.to_text(path))
        replacements += chunk.replacements(start)
        position = start + len(chunk.old)
    return replacements


def _place(chunk: _Chunk, file: BaseFile, position: int, path: str) -> int:
    old = chunk.old
    if not old:
        return _end_of_file(chunk, file)
    places = file.places(old, start=position, line=chunk.number)
    if chunk.is_at_end:
        places = [place for place in (len(file.lines) - len(old),) if file.places(old, start=max(place, 0)) == [place]]
    if len(places) > 1:
        places = _behind_anchors(chunk, file, places, position)
    return only_place(places, path, chunk.number)


def only_place(places: Sequence[int], path: str, number: int) -> int:
    """Return the one place. Raises `PatchError` naming the places where there are several, or none."""
    if not places:
        raise repair_error(
            number, f"the lines to change are not in {path}, or not behind the change before", remedy="correct them"
        )
    if len(places) > 1:
        lines = ", ".join(str(place + 1) for place in places)
        raise repair_error(number, f"the change fits several places of {path}: lines {lines}", remedy=MORE_CONTEXT)
    return places[0]


def _end_of_file(chunk: _Chunk, file: BaseFile) -> int:
    """Return where lines without old ones are added: at the end of the file, unless an anchor contradicts it."""
    if chunk.anchors:
        raise repair_error(
            chunk.number, "only added lines follow the line behind @@, so their place is ambiguous", remedy=MORE_CONTEXT
        )
    return len(file.lines)


def _behind_anchors(chunk: _Chunk, file: BaseFile, places: list[int], position: int) -> list[int]:
    """Return the first place behind the line that the ``@@`` line names, if that line is in the file once."""
    found = False
    for anchor in chunk.anchors:
        lines = [each for each in _lines_like(file, anchor) if each >= position]
        if len(lines) != 1:
            return places
        position, found = lines[0] + 1, True
    return [place for place in places if place >= position][:1] if found else places


def _lines_like(file: BaseFile, anchor: bytes) -> list[int]:
    return [number for number, line in enumerate(file.keys) if line.strip() == anchor]
