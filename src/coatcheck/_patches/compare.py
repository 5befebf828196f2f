"""Compare patches: whether they are the same change, how much they share, where they differ.

Only what a patch adds and removes counts. The positions of its hunks, the amount of context, the blobs
and the order of files are no part of the change.
"""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .file_change import FileChange
    from .parse import Patch

# difflib needs up to the product of both lengths: beyond this many pairs of lines (a second or two) a file is shown
# whole, once from each side.
_MOST_PAIRS = 4_000_000


class Overlap(Value, frozen=True, kw_only=True):
    """How much two patches share.

    `share` is the number of changed lines in both over the number in either: 1.0 for the same change, 0.0 for nothing
    in common, 1.0 for two empty patches. A file that changes without lines counts as one line.
    """

    share: float
    both: tuple[str, ...] = ()
    left_only: tuple[str, ...] = ()
    right_only: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "share": "changed lines in both over those in either, 0.0 to 1.0",
        "both": "paths that both touch",
        "left_only": "paths that only the left one touches",
        "right_only": "paths that only the right one touches",
    }


def is_same_change(left: Patch, right: Patch) -> bool:
    """Whether both patches do the same to the same files."""
    return _normal(left) == _normal(right)


def same_changes(patches: Sequence[Patch]) -> tuple[tuple[int, ...], ...]:
    """Group the positions of patches that are the same change, the first of each group in order."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, patch in enumerate(patches):
        groups.setdefault(_normal(patch), []).append(position)
    return tuple(map(tuple, groups.values()))


def overlap(left: Patch, right: Patch) -> Overlap:
    """Measure what two patches share."""
    left_paths, right_paths = _paths(left), _paths(right)
    in_left, in_right = Counter(_atoms(left)), Counter(_atoms(right))
    either = (in_left | in_right).total()
    share = (in_left & in_right).total() / either if either else 1.0
    return Overlap(
        share=share,
        both=tuple(path for path in left_paths if path in right_paths),
        left_only=tuple(path for path in left_paths if path not in right_paths),
        right_only=tuple(path for path in right_paths if path not in left_paths),
    )


def only_one_touches(patches: Sequence[Patch]) -> tuple[tuple[str, ...], ...]:
    """Return for each patch the paths that no other touches."""
    touched = [_paths(patch) for patch in patches]
    counts = Counter(path for paths in touched for path in paths)
    return tuple(tuple(path for path in paths if counts[path] == 1) for paths in touched)


def diff_of_diffs(left: Patch, right: Patch, *, names: tuple[str, str] = ("1", "2")) -> str:
    """Return a unified diff that leads from one patch to the other, file by file; empty for the same change.

    A line starts with two signs: the first is the side, the second is the sign of the patch.
    """
    left_files, right_files = _by_path(left), _by_path(right)
    parts = (
        _diff_of_file(path, left_files.get(path, []), right_files.get(path, []), names)
        for path in dict.fromkeys([*left_files, *right_files])
    )
    return "".join(parts)


def _paths(patch: Patch) -> dict[str, None]:
    return dict.fromkeys(change.path for change in patch.files)


def _facts(change: FileChange) -> tuple[object, ...]:
    """Return what a change does besides its lines."""
    old, new = change.old_mode, change.new_mode
    return (
        change.old_path,
        change.new_path,
        (old, new) if old != new else None,
        tuple(part.data for part in change.binary[:1]),
    )


def _lines(change: FileChange) -> Iterator[tuple[str, bytes]]:
    for hunk in change.hunks:
        for line in hunk.lines:
            if line.sign.strip():
                yield line.sign, line.content


def _normal(patch: Patch) -> tuple[object, ...]:
    changes = sorted(patch.files, key=lambda change: change.path)
    return tuple((_facts(change), tuple(_lines(change))) for change in changes)


def _atoms(patch: Patch) -> Iterator[tuple[object, ...]]:
    for change in patch.files:
        lines: list[tuple[object, ...]] = [(change.path, sign, content) for sign, content in _lines(change)]
        yield from lines or [(change.path, _facts(change))]


def _by_path(patch: Patch) -> dict[str, list[str]]:
    lines_by_path: dict[str, list[str]] = {}
    for change in patch.files:
        lines_by_path.setdefault(change.path, []).extend(_shown(change))
    return lines_by_path


def _shown(change: FileChange) -> Iterator[str]:
    """Show a change without what is the writer's choice: context stays, positions go."""
    if change.status.value != "modified" or change.is_binary:
        moved = (
            f" from {change.old_path}"
            if change.old_path and change.new_path and change.old_path != change.new_path
            else ""
        )
        yield f" [{change.status.value}{moved}{', binary' if change.is_binary else ''}]\n"
    for hunk in change.hunks:
        yield "@@\n"
        yield from (f"{line.sign}{line.text.removesuffix(chr(10))}\n" for line in hunk.lines)


def _diff_of_file(path: str, left_lines: list[str], right_lines: list[str], names: tuple[str, str]) -> str:
    if [line for line in left_lines if line[0] in "+-["] == [line for line in right_lines if line[0] in "+-["] and bool(
        left_lines
    ) is bool(right_lines):
        return ""
    if len(left_lines) * len(right_lines) > _MOST_PAIRS:
        lines = [f"-{line}" for line in left_lines] + [f"+{line}" for line in right_lines]
        return f"--- {names[0]}/{path}\n+++ {names[1]}/{path}\n{''.join(lines)}"
    return "".join(difflib.unified_diff(left_lines, right_lines, f"{names[0]}/{path}", f"{names[1]}/{path}"))
