"""Let a tree decide between strip levels, for names that may have a prefix that the diff does not show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import path_rules
from .policy import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .file_change import FileChange

# More components than these are not taken off on a guess.
_DEEPEST = 16


def settle(changes: tuple[FileChange, ...], exists: Callable[[str], bool]) -> tuple[FileChange, ...]:
    """Let a tree decide between strip levels for the names that are guesses: the lowest level at which all exist.

    Nothing changes where a file exists under the name that was guessed.
    """
    guessed = [change for change in changes if change.header.is_guess]
    old_paths = [change.old_path for change in guessed if change.old_path is not None]
    if not old_paths or any(map(exists, old_paths)):
        return changes
    for level in range(1, _DEEPEST):
        shorter = [_without(path, level) for path in old_paths]
        if None in shorter:
            return changes
        if all(path is not None and exists(path) for path in shorter):
            return tuple(change.with_strip(level) if change.header.is_guess else change for change in changes)
    return changes


def _without(path: str, level: int) -> str | None:
    parts = path.split("/", level)
    return parts[level] or None if len(parts) > level else None


def paths_of(checkout: str | os.PathLike[str], start: str | None = None) -> Callable[[str], bool]:
    """Return a function that tells whether a path exists in the work tree, or in the commit *start*."""

    def exists(path: str) -> bool:
        if is_wild(path) or "\0" in path:
            return False
        place = Checkout.at(checkout)
        if start is None:
            return os.path.lexists(os.path.join(place.root, path))
        try:
            return bool(place.git("ls-tree", "-z", "--name-only", start, "--", path))
        except GitError:
            return False  # `commit` itself says what is wrong with the start

    from .checkout import Checkout
    from .git import GitError

    return exists


def is_wild(path: str) -> bool:
    """Whether *path* must not even be looked at."""
    return not path_rules.is_ordinary(path) and any(rule in ALWAYS for rule, _ in path_rules.problems(path))
