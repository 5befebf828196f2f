"""Attempts side by side: which are the same change, how much they overlap, what only one of them touches."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from .._patches.compare import Overlap
from .._patches.patch_stats import LanguageStats, PatchStats
from .._values.value import JsonFields, Value
from ..errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._patches.parse import Patch
    from .outcome import Attempt


class AttemptChange(Value, frozen=True, kw_only=True):
    """What one attempt changes. `only` are the paths that no other attempt touches."""

    number: int
    files: int = 0
    added: int = 0
    removed: int = 0
    languages: tuple[LanguageStats, ...] = ()
    only: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "number": "the attempt",
        **PatchStats._json,  # noqa: SLF001 - the fields of the same names
        "only": "paths that no other attempt touches",
    }

    @property
    def stats(self) -> PatchStats:
        """Return the size of the change."""
        return PatchStats(files=self.files, added=self.added, removed=self.removed, languages=self.languages)


class AttemptPair(Value, frozen=True, kw_only=True):
    """What two attempts share, by their numbers.

    `share` is the number of changed lines in both over the number in either: 1.0 for the same change.
    """

    left: int
    right: int
    share: float
    both: tuple[str, ...] = ()
    left_only: tuple[str, ...] = ()
    right_only: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "left": "an attempt",
        "right": "another",
        **Overlap._json,  # noqa: SLF001 - the fields of the same names
    }


class Comparison(Value, frozen=True, kw_only=True):
    """Attempts side by side; those without a diff are left out.

    `same` groups the numbers of attempts that are the same change, though they may be written differently; only
    groups of two and more are named. `unreadable` are the attempts whose diff cannot be read.
    """

    changes: tuple[AttemptChange, ...] = ()
    same: tuple[tuple[int, ...], ...] = ()
    pairs: tuple[AttemptPair, ...] = ()
    unreadable: tuple[int, ...] = ()

    _json: ClassVar[JsonFields] = {
        "changes": "attempt change objects, of attempts with a diff",
        "same": "groups of attempts that are the same change",
        "pairs": "pair objects, of every two attempts with a diff",
        "unreadable": "attempts whose diff cannot be read",
    }

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it: a table, with the paths of files escaped."""
        from .._export.notebook import of_comparison

        return of_comparison(self)


def compare_attempts(attempts: Iterable[Attempt]) -> Comparison:
    """Compare what attempts changed: sizes, equal changes, overlaps, files that only one touches."""
    from .._patches import compare

    patches, unreadable = _readable(attempts)
    numbers, known = list(patches), list(patches.values())
    groups = compare.same_changes(known)
    changes = (
        _change(number, patch.stats, only)
        for (number, patch), only in zip(patches.items(), compare.only_one_touches(known), strict=True)
    )
    return Comparison(
        changes=tuple(changes),
        same=tuple(tuple(numbers[at] for at in group) for group in groups if len(group) > 1),
        pairs=tuple(_pair(patches, *pair) for pair in combinations(numbers, 2)),
        unreadable=unreadable,
    )


def _change(number: int, stats: PatchStats, only: tuple[str, ...]) -> AttemptChange:
    return AttemptChange(
        number=number,
        files=stats.files,
        added=stats.added,
        removed=stats.removed,
        languages=stats.languages,
        only=only,
    )


def _pair(patches: dict[int, Patch], left: int, right: int) -> AttemptPair:
    from .._patches.compare import overlap

    shared = overlap(patches[left], patches[right])
    return AttemptPair(
        left=left,
        right=right,
        share=shared.share,
        both=shared.both,
        left_only=shared.left_only,
        right_only=shared.right_only,
    )


def _readable(attempts: Iterable[Attempt]) -> tuple[dict[int, Patch], tuple[int, ...]]:
    """Return the patches by number, and the numbers of those that are none."""
    patches: dict[int, Patch] = {}
    unreadable: list[int] = []
    for attempt in attempts:
        patch = attempt.outcome.patch if attempt.outcome else None
        if not patch:
            continue
        try:
            patches[attempt.number] = type(patch).parse(bytes(patch))
        except PatchError:
            unreadable.append(attempt.number)
    return patches, tuple(unreadable)
