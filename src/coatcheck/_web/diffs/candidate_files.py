"""The files of several candidates in one table: who changes which file, and which changes of it are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ..._patches.file_change import FileChange
from ..._patches.parse import Patch
from ...errors import PatchError
from .change_digest import change_digest, changed_content
from .file_section import anchor_of


class FileCell(NamedTuple):
    """What one candidate does to a file. `version` is the same number for the same change, from 1."""

    added: int
    removed: int
    status: str
    is_binary: bool
    version: int


class FileRow(NamedTuple):
    """A file, and what each candidate does to it, None for one that does not change it.

    `compared` are the positions of the candidates whose diffs can be read: the others neither agree nor differ.
    """

    path: str
    anchor: str
    cells: tuple[FileCell | None, ...]
    compared: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        """Whether every candidate makes the same change of it."""
        return len({cell and cell.version for cell in map(self.cells.__getitem__, self.compared)}) == 1

    @property
    def is_shared(self) -> bool:
        """Whether at least two candidates change it."""
        return sum(cell is not None for cell in self.cells) > 1

    @property
    def only(self) -> int | None:
        """Return the position of the only candidate that changes it, None where several do."""
        changed = [position for position, cell in enumerate(self.cells) if cell]
        return changed[0] if len(changed) == 1 and len(self.compared) > 1 else None


class CandidateFiles(NamedTuple):
    """The files of all candidates. `unreadable` are the positions of those whose diff cannot be read, with the reason.

    `shares` has for two positions the number of changed lines in both over those in either, 1.0 for the same lines.
    """

    rows: tuple[FileRow, ...]
    unreadable: dict[int, str]
    shares: Mapping[int, Mapping[int, float]]

    @property
    def same(self) -> tuple[FileRow, ...]:
        """Return the files that all candidates change in the same way."""
        return tuple(row for row in self.rows if row.is_same)

    @property
    def differing(self) -> tuple[FileRow, ...]:
        """Return the files that the candidates do not change in the same way."""
        return tuple(row for row in self.rows if not row.is_same)

    def same_as(self, position: int) -> tuple[int, ...]:
        """Return the positions of the other candidates that make the same changes of the same files."""
        columns = list(zip(*(tuple(cell and cell.version for cell in row.cells) for row in self.rows), strict=True))
        if not columns or not any(columns[position]):
            return ()
        return tuple(at for at, column in enumerate(columns) if at != position and column == columns[position])

    def size_of(self, position: int) -> tuple[int, int, int]:
        """Return how many files a candidate changes, and how many lines it adds and removes."""
        cells = [cell for row in self.rows if (cell := row.cells[position])]
        return len(cells), sum(cell.added for cell in cells), sum(cell.removed for cell in cells)

    def alone(self, position: int) -> int:
        """Return how many files only this candidate changes."""
        return sum(row.only == position for row in self.rows)


def candidate_files(patches: Sequence[Patch | None]) -> CandidateFiles:
    """Compare what *patches* do to each path. Files are in the order of their names."""
    changes, unreadable = [], {}
    for position, patch in enumerate(patches):
        try:
            changes.append(_by_path(patch))
        except PatchError as error:
            changes.append({})
            unreadable[position] = str(error)
    paths = sorted({path for each in changes for path in each})
    compared = tuple(at for at, patch in enumerate(patches) if patch and at not in unreadable)
    rows = (
        FileRow(path, anchor_of(path), _cells([each.get(path, []) for each in changes]), compared) for path in paths
    )
    return CandidateFiles(tuple(rows), unreadable, _shares([changes[position] for position in compared], compared))


def _shares(candidates: Sequence[dict[str, list[FileChange]]], positions: Sequence[int]) -> dict[int, dict[int, float]]:
    """Return what every two candidates share; a file that changes without lines counts as one."""
    lines = [
        Counter(
            (path, line)
            for path, changes in files.items()
            for each in changes
            for line in changed_content(each) or [b""]
        )
        for files in candidates
    ]
    shares: dict[int, dict[int, float]] = {position: {} for position in positions}
    for (left, one), (right, other) in combinations(zip(positions, lines, strict=True), 2):
        either = (one | other).total()
        share = (one & other).total() / either if either else 1.0
        shares[left][right] = shares[right][left] = share
    return {position: dict(sorted(others.items())) for position, others in shares.items()}


def _by_path(patch: Patch | None) -> dict[str, list[FileChange]]:
    changes: dict[str, list[FileChange]] = {}
    for change in patch.files if patch else ():
        changes.setdefault(change.path, []).append(change)
    return changes


def _cells(candidates: Sequence[Sequence[FileChange]]) -> tuple[FileCell | None, ...]:
    versions: dict[bytes, int] = {}
    cells: list[FileCell | None] = []
    for changes in candidates:
        if not changes:
            cells.append(None)
            continue
        version = versions.setdefault(change_digest(changes), len(versions) + 1)
        added, removed = sum(each.added for each in changes), sum(each.removed for each in changes)
        cells.append(FileCell(added, removed, changes[0].status.value, changes[0].is_binary, version))
    return tuple(cells)
