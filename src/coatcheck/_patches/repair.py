"""Repair a patch that a language model wrote, or that a program damaged on its way.

Guarantees:

- a patch that `Patch.parse` reads and that has none of the damage below is returned as it is, without repairs;
- every change is recorded with its line; what could be meant in several ways is a `PatchError` with its line;
- the content of added and removed lines is kept, but for line ends and colour codes;
- the result is a patch like any other: it is parsed strictly, and `Patch.verify` applies its rules to it;
- the time is proportional to the text and the files it changes.

Reading is strict everywhere else: only `Patch.repair` and ``--repair`` repair a patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from ..errors import PatchError
from . import codex_patch, mail_encoding, repair_text, search_replace
from .base_files import BaseFiles
from .repair_diff import repair_diff
from .repair_lines import tidy
from .repair_rows import RepairedPatch, Repairs, joined, repair_error, rows_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from .file_change import FileChange
    from .repair_rows import Row
    from .strip_level import Naming

__all__ = ["repair"]


class Parsed(Protocol):
    """What the strict parser returns (`Patch`, which imports this module)."""

    @property
    def files(self) -> tuple[FileChange, ...]:
        """The changes, in the order of the text."""
        ...


P = TypeVar("P", bound=Parsed)


def repair(
    data: bytes, parse: Callable[[bytes], P], naming: Callable[[bytes], Naming], base: str | os.PathLike[str] | None
) -> RepairedPatch[P]:
    """Repair *data* as `Patch.repair` documents; *parse* is the strict parser, *naming* returns how it reads names."""
    repairs = Repairs()
    files = None if base is None else BaseFiles(base)
    data = mail_encoding.decoded(repair_text.as_utf8(data, repairs), repairs)
    rows = repair_text.without_byte_order_mark(rows_of(data), repairs)
    rows = repair_text.without_carriage_returns(rows, repairs)
    parsed = _parsed(joined(rows) if repairs.all else data, parse)
    if parsed is None or any(map(_is_cut_short, parsed.files)):
        rows = _converted(rows, files, naming, repairs)
        parsed = _parse(rows, parse)
    elif unfenced := _unfenced(rows, parsed, parse, repairs):
        rows, parsed = unfenced
    tidied = tidy(parsed.files, rows, files, repairs)
    if tidied is not rows:
        parsed = _parse(tidied, parse)
    return RepairedPatch(parsed, tuple(sorted(repairs.all, key=lambda each: each.line)))


def _is_cut_short(change: FileChange) -> bool:
    """Whether a context line follows the last hunk of a file: its header counts too few."""
    end = change.offsets[2]
    return change.diff.startswith(b" ", end) and not change.is_combined


def _parsed(data: bytes, parse: Callable[[bytes], P]) -> P | None:
    try:
        return parse(data)
    except PatchError:
        return None


def _parse(rows: Sequence[Row], parse: Callable[[bytes], P]) -> P:
    """Parse the repaired text; an error names the line of the input."""
    try:
        return parse(joined(rows))
    except PatchError as error:
        if error.line is None or not rows:
            raise
        line = rows[min(error.line, len(rows)) - 1].number
        reason = str(error).partition(": ")[2]
        raise repair_error(line, reason, remedy=error.remedy or "correct this line") from None


def _unfenced(rows: list[Row], parsed: P, parse: Callable[[bytes], P], repairs: Repairs) -> tuple[list[Row], P] | None:
    """Return what is inside of code blocks, if that is a patch of as many files."""
    found = Repairs()
    inside = repair_text.without_fences(rows, found)
    patch = _parsed(joined(inside), parse) if inside is not rows else None
    if patch is None or len(patch.files) != len(parsed.files):
        return None
    repairs.all += found.all
    return inside, patch


def _converted(
    rows: list[Row], files: BaseFiles | None, naming: Callable[[bytes], Naming], repairs: Repairs
) -> list[Row]:
    """Return *rows* as a unified diff."""
    rows = repair_text.without_indentation(repair_text.without_colours(rows, repairs), repairs)
    blocks = next((row for row in rows if search_replace.MARKER.match(row.text)), None)
    if blocks is not None:
        _check_only(search_replace.outside(rows), blocks, "search/replace blocks")
        repairs.add("format", blocks.number, "wrote search/replace blocks as a diff")
        return search_replace.convert(rows, files)
    rows = repair_text.without_fences(rows, repairs)
    codex = next((row for row in rows if codex_patch.MARKER.match(row.text)), None)
    if codex is not None:
        _check_only(rows, codex, "a Codex patch")
        repairs.add("format", codex.number, "wrote a Codex patch as a diff")
        if codex_patch.is_cut_off(rows):
            repairs.add("end", rows[-1].number, "the line *** End Patch is missing: the text may be cut off")
        return codex_patch.convert(rows, files)
    return repair_diff(rows, files, naming(joined(rows)), repairs)


def _check_only(rows: Iterable[Row], other: Row, name: str) -> None:
    """Raise `PatchError` where a text has a unified diff beside another format."""
    for row in rows:
        if row.text.startswith((b"diff --git ", b"@@ -")):
            raise repair_error(
                row.number, f"a unified diff beside {name} (line {other.number})", remedy="pass one format at a time"
            )
