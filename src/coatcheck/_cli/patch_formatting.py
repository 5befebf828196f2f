"""Format what a patch changes and how attempts compare, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .console import Line, Styled
from .formatting import plural

if TYPE_CHECKING:
    from .._model.comparison import AttemptChange, Comparison
    from .._patches.parse import Patch


def stat_lines(patch: Patch, *, width: int) -> list[Line]:
    """Return what ``git diff --stat`` prints. Raises `PatchError` where the patch cannot be read."""
    from .._patches.diffstat import diffstat, summary
    from .highlighting import highlight_stat

    return [*map(highlight_stat, diffstat(patch.files, width=width)), summary(patch.files)]


def names_of(patch: Patch) -> bytes:
    """Return what ``git diff --name-only`` prints, a moved file by its new name."""
    from .._patches.quoted_names import quote

    paths = dict.fromkeys(change.path.encode("utf-8", "surrogateescape") for change in patch.files)
    return b"".join(quote(path) + b"\n" for path in paths)


def comparison_lines(compared: Comparison, names: Mapping[int, str] | None = None) -> list[Line]:
    """Return the comparison of attempts: equal changes, overlaps, files that only one changes.

    *names* are what to call attempts by their number, where they are no attempts of a task.
    """
    same = [f"{_several(group, names)} are the same change" for group in compared.same]
    pairs = [
        f"{_several((pair.left, pair.right), names)} share {pair.share:.0%} of their changed lines"
        for pair in compared.pairs
        if pair.share < 1
    ]
    only = [f"only {_one(each.number, names)} touches {', '.join(each.only)}" for each in compared.changes if each.only]
    broken = [Styled(f"the diff of {_one(number, names)} cannot be read", "yellow") for number in compared.unreadable]
    return [*same, *pairs, *(only if compared.pairs else []), *broken]


def language_lines(compared: Comparison, names: Mapping[int, str] | None = None) -> list[Line]:
    """Return what each attempt changes per language."""
    return [f"{_one(each.number, names)} changes {_languages(each)}" for each in compared.changes]


def _one(number: int, names: Mapping[int, str] | None) -> str:
    return names[number] if names else f"attempt {number}"


def _several(numbers: Iterable[int], names: Mapping[int, str] | None) -> str:
    return _and(names[number] for number in numbers) if names else f"attempts {_and(numbers)}"


def _languages(change: AttemptChange) -> str:
    counts = change.stats.by_language.items()
    return ", ".join(f"{name or 'other files'} +{each.added}/-{each.removed}" for name, each in counts)


def _and(words: Iterable[object]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def overlap_line(share: float, files: int) -> str:
    """Return how much two attempts share, in a line."""
    return f"{share:.0%} of their changed lines are the same, in {plural(files, 'file')} that both touch"
