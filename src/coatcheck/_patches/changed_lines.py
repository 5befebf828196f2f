"""The lines of the base that a patch changes.

Invariant: what is no change of lines alone (a new, deleted, renamed or binary file, another mode) changes the whole of its
paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .header import ChangeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .file_change import FileChange
    from .parse import Patch

# Greater than the number of any line.
LAST_LINE = 2**31 - 1


class ChangedLines(NamedTuple):
    """The lines *first* to *last* of a file of the base, counted from 1, with the context of the patch."""

    path: str
    first: int
    last: int


def changed_lines(patch: Patch) -> Sequence[ChangedLines]:
    """Return the lines that a patch changes. Raises `PatchError` where it is unreadable."""
    return [lines for change in patch.files for lines in _lines_of(change)]


def _lines_of(change: FileChange) -> Iterator[ChangedLines]:
    hunks = change.hunks
    is_whole = (
        change.status is not ChangeStatus.MODIFIED
        or change.old_mode != change.new_mode
        or change.is_binary
        or not hunks
    )
    if is_whole or change.old_path != change.new_path:
        yield from (ChangedLines(path, 0, LAST_LINE) for path in change.paths)
    else:
        for hunk in hunks:
            yield ChangedLines(change.path, hunk.old_start, hunk.old_start + max(hunk.old_lines, 1) - 1)
