"""Choose the strip level from the files of a tree, for names that may have a prefix that the diff does not show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import PatchError
from .path_rules import is_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .file_change import FileChange

# At most this many components are removed as a guess.
_DEEPEST = 16


def settle(changes: tuple[FileChange, ...], exists: Callable[[str], bool]) -> tuple[FileChange, ...]:
    """Return *changes* with the strip level at which the files exist, for names whose prefix the diff does not show.

    The names as read are right where one of them exists. A diff that only adds files is read as ``git apply`` does.
    """
    guessed = [change for change in changes if change.header.is_guess]
    old_paths = [change.old_path for change in guessed if change.old_path is not None]
    if not old_paths:
        is_only_added = bool(guessed) and all(change.old_path is None for change in changes)
        return tuple(_added_as_git_does(changes)) if is_only_added else changes
    if any(map(exists, old_paths)):
        return changes
    for level in range(_DEEPEST):
        stripped = {id(change): _stripped(change, level) for change in guessed}
        paths = [change.old_path for change in stripped.values() if change and change.old_path is not None]
        if None not in stripped.values() and all(map(exists, paths)):
            return tuple(stripped.get(id(change)) or change for change in changes)
    return changes


def _added_as_git_does(changes: tuple[FileChange, ...]) -> Iterator[FileChange]:
    """Strip one component, and none from the first name without a folder on (apply.c, ``guess_p_value``)."""
    level = 1
    for change in changes:
        if "/" not in (_stripped(change, 0) or change).path:
            level = 0
        yield (
            (_stripped(change, level) or change) if change.header.is_guess and change.header.form == "plain" else change
        )


def _stripped(change: FileChange, level: int) -> FileChange | None:
    """Return *change* with *level* components taken off its names, None where they have too few."""
    stripped = change.with_strip(level)
    try:
        return stripped if stripped.path else None
    except PatchError:
        return None


def paths_of(checkout: str | os.PathLike[str], start: str | None = None) -> Callable[[str], bool]:
    """Return a function that returns whether a path exists in the work tree, or in the commit *start*."""

    def exists(path: str) -> bool:
        if not is_inside(path) or "\0" in path:
            return False
        place = Checkout.at(checkout)
        if start is None:
            return os.path.lexists(os.path.join(place.root, path))
        try:
            return bool(place.git("ls-tree", "-z", "--name-only", start, "--", path))
        except GitError:
            return False  # `commit` reports what is wrong with the start

    from .checkout import Checkout
    from .git import GitError

    return exists
