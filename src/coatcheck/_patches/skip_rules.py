"""Which files a patch does not change, and why: they have uncommitted changes, or cannot be patched."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from . import path_rules
from .header import BinaryForm, ChangeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .checkout import Checkout, Entry
    from .file_change import FileChange
    from .staging_area import Group
    from .work_tree import Tree

_SUBMODULE = 0o160000

# The kind of each refusal, and what to do about it.
REFUSALS = {
    "submodule": "it is a submodule: update it with git submodule",
    "blocked": "a link, a file or another repository is in the place of a folder",
    "binary": "the diff does not carry the binary content",
    "dirty": "it has uncommitted changes: commit or stash them",
    "filter": "a program of git's settings rewrites it (filter in .gitattributes): apply it with git",
    "same-name": "this file system takes it for another file of nearly the same name",
    "absent": "it is not in the work tree (deleted here, or not checked out)",
    "untracked": "an untracked file is in its place: move it away",
    "already": "it already has the change of the patch",
    "unstaged": "it already has the change of the patch, but not staged: git add it",
}

# Those that an earlier application of the same patch leaves behind.
OCCUPIED = frozenset({"dirty", "absent", "untracked"})


class Refusals:
    """Reads a checkout once, then checks each change."""

    def __init__(
        self,
        checkout: Checkout,
        tree: Tree,
        entries: Mapping[str, Entry],
        changed: set[str],
        groups: list[Group],
        *,
        index: bool,
    ) -> None:
        self._root = checkout.root
        self._tree = tree
        self._entries = entries
        self._changed = changed
        self._has_index = index
        self._filtered = checkout.filtered([path for group in groups for path in group.paths])
        changes = [change for group in groups for change in group.changes]
        self._removed = _removed(changes)
        self._folded = _folded(self._entries.keys() - self._removed, changes) if checkout.ignores_case else {}
        self._obstacles: dict[str, bool] = {}
        self._rules: tuple[Callable[[FileChange, tuple[str, ...]], str | None], ...] = (
            self._submodule,
            self._blocked,
            self._binary,
            self._dirty,
            self._same_name,
            self._missing,
            self._in_the_way,
        )

    def of(self, group: Group) -> str | None:
        """Return why *group* is skipped, None where it is not."""
        for change in group.changes:
            for rule in self._rules:
                if kind := rule(change, change.paths):
                    return kind
        return None

    def _submodule(self, change: FileChange, both: tuple[str, ...]) -> str | None:
        known = (self._entries[path].mode for path in both if path in self._entries)
        return "submodule" if change.is_submodule or _SUBMODULE in known else None

    def _blocked(self, _: FileChange, both: tuple[str, ...]) -> str | None:
        return (
            "blocked"
            if any(self._is_obstacle(folder) for path in both for folder in path_rules.parents(path))
            else None
        )

    @staticmethod
    def _binary(change: FileChange, _: tuple[str, ...]) -> str | None:
        return "binary" if change.header.binary is BinaryForm.DIFFERS else None

    def _dirty(self, _: FileChange, both: tuple[str, ...]) -> str | None:
        if not self._changed.isdisjoint(both):
            return (
                "absent" if any(path in self._entries and self._tree.lstat(path) is None for path in both) else "dirty"
            )
        return None if self._filtered.isdisjoint(both) else "filter"

    def _same_name(self, change: FileChange, _: tuple[str, ...]) -> str | None:
        new = change.new_path
        return "same-name" if new is not None and len(self._folded.get(path_rules.folded(new), ())) > 1 else None

    def _missing(self, change: FileChange, _: tuple[str, ...]) -> str | None:
        """Find the file to change. The merge reports a file that is not tracked."""
        old = change.old_path
        if old is None or (facts := self._tree.lstat(old)) is None:
            return "absent" if old is not None and old in self._entries and not self._is_sparse(old) else None
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)):
            return "blocked"
        return None if old in self._entries else "untracked"

    def _is_sparse(self, path: str) -> bool:
        """Whether git takes the file from the index, as ``git apply --index`` does in a sparse checkout."""
        return self._has_index and self._entries[path].tag in ("S", "s")

    def _in_the_way(self, change: FileChange, _: tuple[str, ...]) -> str | None:
        new = change.new_path
        if new is None or new in self._entries or (facts := self._tree.lstat(new)) is None:
            return None
        if not stat.S_ISDIR(facts.st_mode):
            return "untracked"
        return None if self._is_emptied(new) else "blocked"

    def _is_emptied(self, folder: str) -> bool:
        """Whether the patch removes every file below *folder*."""
        top = os.path.join(self._root, folder)
        paths = (os.path.join(where, name) for where, _, names in os.walk(top) for name in names)
        return all(os.path.relpath(path, self._root) in self._removed for path in paths)

    def _is_obstacle(self, folder: str) -> bool:
        """Whether something other than a plain folder of this repository is there."""
        if folder not in self._obstacles:
            facts = self._tree.lstat(folder)
            is_folder = facts is None or stat.S_ISDIR(facts.st_mode) or folder in self._removed
            is_other_repository = os.path.lexists(os.path.join(self._root, folder, ".git"))
            self._obstacles[folder] = not is_folder or is_other_repository
        return self._obstacles[folder]


def _removed(changes: list[FileChange]) -> set[str]:
    """Return the paths that the patch takes away, by deleting or by moving."""
    moved = (change for change in changes if change.status is not ChangeStatus.COPIED)
    return {each.old_path for each in moved if each.old_path is not None and each.old_path != each.new_path}


def _folded(kept: set[str], changes: list[FileChange]) -> dict[str, set[str]]:
    """Group the names that a file system which ignores case takes for one."""
    names: dict[str, set[str]] = {}
    for path in kept | {change.new_path for change in changes if change.new_path is not None}:
        names.setdefault(path_rules.folded(path), set()).add(path)
    return names
