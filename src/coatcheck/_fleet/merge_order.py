"""The order in which changes of one repository are merged.

The changes are taken best first; one that overlaps with a change before it waits until all others are in the order (first
fit). The order is an estimate from line numbers: `merge_trial.py` applies the changes with git.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from .._patches.changed_lines import ChangedLines
from .overlap import OverlapIndex, widened

T = TypeVar("T")


class Change(NamedTuple, Generic[T]):
    """A change to order; a smaller `rank` is better."""

    item: T
    lines: Sequence[ChangedLines]
    rank: tuple[int, ...] = ()


class Ordered(NamedTuple, Generic[T]):
    """A change in the order; `overlaps` is a change before it that changes the same lines."""

    item: T
    overlaps: T | None = None


def merge_order(changes: Iterable[Change[T]]) -> Sequence[Ordered[T]]:
    """Return changes in the order in which they are merged: those that overlap with an earlier one are the last."""
    index, fitting = OverlapIndex(), list[Ordered[T]]()
    waiting: list[Ordered[T]] = []
    for change in sorted(changes, key=lambda each: each.rank):
        lines = widened(change.lines)
        overlapping = index.find(lines)
        if overlapping is None:
            index.add(lines, len(fitting))
            fitting.append(Ordered(change.item))
        else:
            waiting.append(Ordered(change.item, fitting[overlapping].item))
    return [*fitting, *waiting]
