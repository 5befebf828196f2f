"""The difference between the results of two patches: from base + left to base + right, as a patch.

A file that only one of them changes differs by that change. In a file that both change, only the lines of the base that
either changes are compared, so the base is needed for context alone: without it, its lines are those in the hunks of both.
Invariants:
- where both were made on different versions of a file, or in several steps, the difference of their diffs is returned
  instead (`Method.DIFFS`);
- a path that either patch changes is in the result, unless both do the same to it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from ..._patches.compare import diff_of_diffs
from ..._patches.file_change import FileChange
from ..._patches.parse import Patch
from ..._patches.render_patch import render
from ...errors import PatchError
from .base_files import BaseReader, base_lines
from .binary_diff import binary_diff
from .change_digest import change_digest
from .merged_edits import KnownLines, edits_of, known_lines, merged_lines
from .written_diff import write_diff


class Method(enum.Enum):
    """How the difference of a file was computed."""

    BASE = "both results, from the base"
    HUNKS = "both results, from the hunks of both; the base is not at hand"
    LEFT = "only the left one changes the file"
    RIGHT = "only the right one changes the file"
    DIFFS = "the two diffs, line by line; they were made on different versions of the file"


class FileDifference(NamedTuple):
    """The difference in one path. `diff` is a diff of one file, or for `Method.DIFFS` a diff of two diffs."""

    path: str
    method: Method
    diff: bytes


def interdiff(left: Patch, right: Patch, reader: BaseReader | None = None) -> list[FileDifference]:
    """Return the differences, in the order of the paths in *left* and then *right*.

    Raises `PatchError` where a patch cannot be read.
    """
    left_files, right_files = _by_path(left), _by_path(right)
    differences = []
    for path in dict.fromkeys([*left_files, *right_files]):
        difference = _difference(path, left_files.get(path, ()), right_files.get(path, ()), reader)
        if difference is not None:
            differences.append(difference)
    return differences


def _by_path(patch: Patch) -> dict[str, list[FileChange]]:
    """Return the changes by the path that the file has in the base, a new file's by its path."""
    files: dict[str, list[FileChange]] = {}
    for change in patch.files:
        files.setdefault(change.old_path or change.path, []).append(change)
    return files


def _difference(
    path: str, left: Sequence[FileChange], right: Sequence[FileChange], reader: BaseReader | None
) -> FileDifference | None:
    try:
        if not left or not right:
            diff = b"".join(render(change, reverse=bool(left)) for change in left or right)
            return FileDifference(path, Method.LEFT if left else Method.RIGHT, diff)
        if len(left) == len(right) == 1:
            return _of_both(path, left[0], right[0], reader)
    except PatchError:  # what cannot be reversed
        pass
    return _of_diffs(path, left, right)


def _of_both(path: str, left: FileChange, right: FileChange, reader: BaseReader | None) -> FileDifference | None:
    if change_digest([left]) == change_digest([right]):
        return None
    if left.is_binary and right.is_binary:
        diff = binary_diff(left, right, reader)
        return FileDifference(path, Method.HUNKS if reader is None else Method.BASE, diff)
    known, method = _known(left, right, reader)
    if known is None:
        return _of_diffs(path, [left], [right])
    lines = merged_lines(edits_of(left), edits_of(right), known)
    diff = write_diff(left, right, lines, known)
    return FileDifference(path, method, diff) if diff else None


def _known(left: FileChange, right: FileChange, reader: BaseReader | None) -> tuple[KnownLines | None, Method]:
    """Return the lines of the base, None where the two are not changes of lines of one file."""
    if any(change.is_binary or change.is_combined or change.is_submodule for change in (left, right)):
        return None, Method.DIFFS
    if (left.old_path is None) != (right.old_path is None):
        return None, Method.DIFFS
    bases = [base_lines(change, reader) for change in (left, right)]
    if bases[0] is not None and bases[0] == bases[1]:
        return dict(enumerate(bases[0])), Method.BASE
    return known_lines(left, right), Method.HUNKS


def _of_diffs(path: str, left: Sequence[FileChange], right: Sequence[FileChange]) -> FileDifference | None:
    sides = [b"".join(bytes(change) for change in changes) for changes in (left, right)]
    text = diff_of_diffs(Patch(sides[0]), Patch(sides[1]))
    if not text and sides[0] == sides[1]:
        return None
    return FileDifference(path, Method.DIFFS, text.encode("utf-8", "surrogateescape"))
