"""How big a patch is, in all and per language."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .file_change import FileChange


class Counts(NamedTuple):
    """Files, and lines of them."""

    files: int = 0
    added: int = 0
    removed: int = 0


class PatchStats(NamedTuple):
    """Files, lines, and the same per language.

    A path counts once, however often the diff names it; `by_language` is sorted by changed lines, most first, and
    keeps the files of no known language under None.
    """

    files: int
    added: int
    removed: int
    by_language: Mapping[str | None, Counts]


def count(changes: Iterable[FileChange]) -> PatchStats:
    """Count *changes*."""
    paths: dict[str, tuple[int, int]] = {}
    for change in changes:
        added, removed = paths.get(change.path, (0, 0))
        paths[change.path] = (added + change.added, removed + change.removed)
    added, removed = (sum(counts[side] for counts in paths.values()) for side in (0, 1))
    return PatchStats(len(paths), added, removed, _by_language(paths))


def _by_language(paths: Mapping[str, tuple[int, int]]) -> dict[str | None, Counts]:
    from .languages import language_of

    found: dict[str | None, Counts] = {}
    for path, (added, removed) in paths.items():
        language = language_of(path)
        name = language.name if language else None
        before = found.get(name, Counts())
        found[name] = Counts(before.files + 1, before.added + added, before.removed + removed)
    return dict(sorted(found.items(), key=lambda item: (-item[1].added - item[1].removed, item[0] or "")))
