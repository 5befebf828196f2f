"""The size of a patch: files and lines, in total and per language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .file_change import FileChange


class DiffStats(Value, frozen=True, kw_only=True):
    """The size of a change, in files and lines."""

    files: int = 0
    added: int = 0
    removed: int = 0

    _json: ClassVar[JsonFields] = {
        "files": "files changed",
        "added": "lines added",
        "removed": "lines removed",
    }


class LanguageStats(Value, frozen=True, kw_only=True):
    """The size of a change in one language."""

    language: str | None = None
    files: int = 0
    added: int = 0
    removed: int = 0

    _json: ClassVar[JsonFields] = {
        "language": "its name, as GitHub Linguist calls it; null for files of none",
        "files": "files changed",
        "added": "lines added",
        "removed": "lines removed",
    }


class PatchStats(Value, frozen=True, kw_only=True):
    """The size of a patch, in total and per language.

    A path counts once, however often the diff names it. `languages` are sorted by changed lines, most first.
    """

    files: int = 0
    added: int = 0
    removed: int = 0
    languages: tuple[LanguageStats, ...] = ()

    _json: ClassVar[JsonFields] = {
        "files": "files changed",
        "added": "lines added",
        "removed": "lines removed",
        "languages": "the same per language: language objects",
    }

    @property
    def by_language(self) -> dict[str | None, DiffStats]:
        """Return the sizes by the names of languages; None for files of no known language."""
        return {
            each.language: DiffStats(files=each.files, added=each.added, removed=each.removed)
            for each in self.languages
        }


def count(changes: Iterable[FileChange]) -> PatchStats:
    """Count *changes*."""
    paths: dict[str, tuple[int, int]] = {}
    for change in changes:
        added, removed = paths.get(change.path, (0, 0))
        paths[change.path] = (added + change.added, removed + change.removed)
    languages = sorted(_per_language(paths), key=lambda each: (-each.added - each.removed, each.language or ""))
    added, removed = (sum(lines[side] for lines in paths.values()) for side in (0, 1))
    return PatchStats(files=len(paths), added=added, removed=removed, languages=tuple(languages))


def _per_language(paths: Mapping[str, tuple[int, int]]) -> Iterator[LanguageStats]:
    from .languages import language_of

    lines: dict[str | None, list[tuple[int, int]]] = {}
    for path, counts in paths.items():
        language = language_of(path)
        lines.setdefault(language.name if language else None, []).append(counts)
    for name, counts_of_files in lines.items():
        added, removed = map(sum, zip(*counts_of_files, strict=True))
        yield LanguageStats(language=name, files=len(counts_of_files), added=added, removed=removed)
