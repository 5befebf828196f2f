"""Agreement of candidates: which make the same change, and which change the same lines. Pure.

The same change is the same added and removed lines in the same files (`_patches.compare`), or the same tree where the
patches were applied: a renamed file is also one that is deleted and one that is added.
Lines are those of the base, so only candidates on one base are compared for overlaps. The time is that of sorting the
changes of each file, and of the pairs that overlap.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from .._patches.compare import same_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .._patches.file_change import FileChange, Hunk
    from .candidates import Candidate

# An interval that every change of the file overlaps: one without lines (binary, mode, added or deleted).
WHOLE_FILE = (0, 2**62)


class Agreement(NamedTuple):
    """The names of the other candidates that make the same change, and of those that change the same lines."""

    same_as: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()


class Interval(NamedTuple):
    """A run of changed lines of a file of the base.

    Lines count twice, so that the place after line n is 2n + 1: a removed line n is 2n to 2n.
    """

    first: int
    last: int
    name: str


def find_agreement(
    candidates: Sequence[Candidate], *, base: str | None = None, trees: Mapping[str, str] | None = None
) -> Mapping[str, Agreement]:
    """Return the agreement of each candidate that has a patch, by name; names are in the order of *candidates*.

    *base* is the commit of those that report none, *trees* are the ids of the trees that patches make, by name.
    """
    known = [candidate for candidate in candidates if candidate.patch]
    same = _same(known, trees or {})
    overlapping = _overlaps(known, base)
    return {
        candidate.name: Agreement(
            tuple(other.name for other in known if other is not candidate and other.name in same[candidate.name]),
            tuple(other.name for other in known if other.name in overlapping[candidate.name]),
        )
        for candidate in known
    }


def _same(candidates: Sequence[Candidate], trees: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    """Return for each candidate the names of those that make the same change, itself included."""
    groups = same_changes([candidate.patch for candidate in candidates if candidate.patch])
    names = [frozenset(candidates[at].name for at in group) for group in groups]
    by_tree: dict[str, set[str]] = defaultdict(set)
    for group in names:
        for tree in {trees[name] for name in group if name in trees}:
            by_tree[tree] |= group
    joined = [group.union(*(by_tree[trees[name]] for name in group if name in trees)) for group in names]
    return {name: group for names_of_group, group in zip(names, joined, strict=True) for name in names_of_group}


def _overlaps(candidates: Iterable[Candidate], base: str | None) -> Mapping[str, set[str]]:
    """Return for each candidate the names of the others that change the same lines."""
    by_file: dict[tuple[str | None, str], list[Interval]] = defaultdict(list)
    for candidate in candidates:
        for change in candidate.patch.files if candidate.patch else ():
            for first, last in changed_lines(change):
                path = change.old_path or change.path
                by_file[candidate.base or base, path].append(Interval(first, last, candidate.name))
    overlapping: dict[str, set[str]] = defaultdict(set)
    for intervals in by_file.values():
        for left, right in _pairs(sorted(intervals)):
            overlapping[left].add(right)
            overlapping[right].add(left)
    return overlapping


def _pairs(intervals: Iterable[Interval]) -> Iterator[tuple[str, str]]:
    """Yield the names of every two of the sorted *intervals* that overlap and are of different candidates."""
    open_intervals: list[Interval] = []
    for interval in intervals:
        open_intervals = [each for each in open_intervals if each.last >= interval.first]
        for each in open_intervals:
            if each.name != interval.name:
                yield each.name, interval.name
        open_intervals.append(interval)


def changed_lines(change: FileChange) -> Iterator[tuple[int, int]]:
    """Yield the intervals of the base that *change* removes, or inserts at; the whole file where there are no lines."""
    is_whole = change.old_path is None or change.new_path is None or change.is_binary or not change.hunks
    if is_whole:
        yield WHOLE_FILE
        return
    for hunk in change.hunks:
        yield from _runs(hunk)


def _runs(hunk: Hunk) -> Iterator[tuple[int, int]]:
    """Yield the runs of removed lines, and the places of insertions without any."""
    # A range of 0 lines is after its line (diff(1), "Detailed Unified").
    line = hunk.old_start + (hunk.old_lines == 0)
    first_removed: int | None = None
    has_added = False
    for sign in [*(each.sign for each in hunk.lines), " "]:
        if sign == "-":
            first_removed = line if first_removed is None else first_removed
            line += 1
        elif sign == "+":
            has_added = True
        else:
            if first_removed is not None:
                yield 2 * first_removed, 2 * (line - 1)
            elif has_added:
                yield 2 * line - 1, 2 * line - 1
            first_removed, has_added = None, False
            line += 1
