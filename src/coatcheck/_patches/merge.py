"""Merge what does not fit: the patch was made from a base, and the tree has moved on since.

The base is the commit that the task started from, or else the blob that the diff names; the patched base and the tree
are merged by ``git merge-file``, all three in git's normalized form, and the result is written as git checks a file out
(``text``, ``eol``, ``ident``, ``working-tree-encoding``). The attribute ``merge`` decides as in gitattributes(5):
``-merge`` and ``binary`` files are never merged, ``union`` keeps both sides, and a file whose driver is a program is
refused by the driver's name. Nothing is fetched: without the base in the repository there is no merge.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from .checkout import Checkout, Entry
from .git import GitError, git
from .header import ChangeStatus
from .staging_area import Group, StagingArea, has_hunk_without_context
from .work_tree import read_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .apply_results import FileStatus
    from .file_change import FileChange
    from .git_index import Stages

# The kinds of conflict, in the terms of git status.
CONFLICTS = {
    "misfit": "the patch does not fit, and merging was not requested",
    "no base": "the patch does not fit, and its base version is not in this repository",
    "other line ends": "the patch and the file have different line ends (CR LF and LF)",
    "both modified": "the patch and this tree change the same lines",
    "both added": "the patch and this tree add the file, differently",
    "deleted by us": "this tree deleted the file that the patch changes",
    "deleted by them": "the patch deletes the file, and this tree changed it",
    "binary": "the file is binary or a symbolic link, and changed here too",
    "no merge": "the file changed here too, and its attributes forbid a merge (-merge or binary)",
    "merge driver": "the file changed here too, and a program of git's settings merges it",
    "line ends": "the file's line ends are mixed, so a merge would change lines that neither side changed",
    "series": "the patch changes the file several times, and not all of it fits",
}

_NO_CHANGE = "the hunk at line {line} of the diff changes nothing, which git refuses as a corrupt patch"
_WRONG_BASE = "the patch does not fit its base version"

# ll-merge.c, ll_merge_drv: the drivers that git brings along.
_TEXT, _BINARY, _UNION = "text", "binary", "union"
# xdiff-interface.c, FIRST_FEW_BYTES: a file with a NUL byte there is binary.
_FIRST_BYTES = 8000

# The patched base is a blob: nothing of the user's converts it, and the blob of a .gitattributes decides nothing.
_BLOB_ATTRIBUTES = "* -text -ident !eol !filter !working-tree-encoding\n"

# The base comes from a service: a commit or a branch, and one argument of git's batch.
_NAME = re.compile(r"[\w./-]+", re.ASCII)

# git merge-file returns the number of conflicts, 127 at most; an error is 255 (its manual, "EXIT STATUS").
_MOST_CONFLICTS = 127


class Merged(NamedTuple):
    """What became of a group: "applied", "merged", "skipped" or "conflicted", and why; `stages` are for the index."""

    status: FileStatus
    kind: str = ""
    detail: str = ""
    has_markers: bool = False
    stages: Mapping[str, Stages] | None = None


def _conflict(kind: str, detail: str = "", *, has_markers: bool = False) -> Merged:
    return Merged("conflicted", kind, detail or CONFLICTS[kind], has_markers)


def _kind_without_merge(change: FileChange, entries: Mapping[str, Entry]) -> str | None:
    if change.old_path is not None and change.old_path not in entries:
        return "deleted by us"
    if change.new_path is not None and change.new_path != change.old_path and change.new_path in entries:
        return "both added"
    return None


class Merge:
    """Merges changes into *stage*; reads attributes and bases when they are first needed."""

    def __init__(
        self,
        checkout: Checkout,
        stage: StagingArea,
        entries: Mapping[str, Entry],
        *,
        three_way: bool,
        markers: bool,
        base: str | None,
    ) -> None:
        self.checkout = checkout
        self.stage = stage
        self.entries = entries
        self.three_way = three_way
        self.markers = markers
        self.base = base
        self.scratch = f"{stage.root}.scratch"
        self._attributes: dict[str, dict[str, str]] = {}

    def unmergeable(self, groups: list[Group]) -> list[Group]:
        """Return the groups that are not to be merged line by line, and whose file is not their base version.

        ``git apply --3way`` does not change those either, even where the lines fit.
        """
        if not self.three_way:
            return []
        self._read_attributes(groups)
        return self._on_other_versions(
            [group for group in groups if not self._is_mergeable(self._driver(group.changes[0]))]
        )

    def numbered_for_base(self, groups: list[Group]) -> list[Group]:
        """Return the groups with hunks without context whose file is not their base version, where that is known.

        Such a hunk has only line numbers, which are those of the base: ``git apply --3way`` merges it as well.
        """
        return self._on_other_versions(list(filter(has_hunk_without_context, groups))) if self.three_way else []

    def _on_other_versions(self, suspects: list[Group]) -> list[Group]:
        single = [group.changes[0] for group in suspects if len(group.changes) == 1]
        bases = self._bases(single) if single else {}
        moved_on = {path for path, data in bases.items() if path in self.entries and self._ours(path) != data}
        return [group for group in suspects if group.changes[0].old_path in moved_on]

    def run(self, groups: list[Group]) -> list[Merged]:
        """Merge *groups*, which do not fit; return the result of each, in order."""
        if not groups:
            return []
        if not self.three_way:
            return [self._without_merge(group) for group in groups]
        theirs = self._theirs()
        self._read_attributes(groups)
        single = [group.changes[0] for group in groups if len(group.changes) == 1]
        bases = self._bases(single)
        for path, data in bases.items():
            theirs.write(path, data)
        usable = [group for group in groups if self._has_base(group, bases)]
        patched, _ = theirs.apply(usable)
        fitting = {id(group) for group in patched}
        return [self._merge_group(group, bases, theirs, is_patched=id(group) in fitting) for group in groups]

    def _without_merge(self, group: Group) -> Merged:
        (change, *others) = group.changes
        if others:
            return _conflict("series")
        if kind := _kind_without_merge(change, self.entries):
            return _conflict(kind)
        return self._unreadable(change) or _conflict("misfit")

    def _read_attributes(self, groups: list[Group]) -> None:
        paths = dict.fromkeys(path for group in groups for path in group.paths if path not in self._attributes)
        self._attributes |= self.checkout.attributes(paths, "merge", "conflict-marker-size")

    def _driver(self, change: FileChange) -> str:
        """Return the merge driver of the file, as git finds it (ll-merge.c, find_ll_merge_driver)."""
        value = self._attributes.get(change.path, {}).get("merge", "unspecified")
        if value == "unspecified":
            value = self.checkout.configuration.get("merge.default", _TEXT)
        name = {"set": _TEXT, "unset": _BINARY}.get(value, value)
        return name if name in (*self.checkout.merge_drivers, _BINARY, _UNION) else _TEXT

    def _is_mergeable(self, driver: str) -> bool:
        return driver in (_TEXT, _UNION) and driver not in self.checkout.merge_drivers

    def _theirs(self) -> StagingArea:
        """Return a stage for blobs, in a separate repository."""
        repository = f"{self.stage.root}.blobs"
        for folder in ("objects", "refs", "info"):
            os.makedirs(os.path.join(repository, folder))
        for name, text in (("HEAD", "ref: refs/heads/none\n"), ("info/attributes", _BLOB_ATTRIBUTES)):
            with open(os.path.join(repository, name), "w", encoding="ascii") as file:
                file.write(text)
        os.mkdir(self.scratch)
        root = f"{self.stage.root}.theirs"
        environment = {"GIT_DIR": repository, "GIT_WORK_TREE": root}
        return StagingArea(root, environment=environment, settings=("core.autocrlf=false", "core.bare=false"))

    @staticmethod
    def _has_base(group: Group, bases: Mapping[str, bytes]) -> bool:
        (change, *others) = group.changes
        return not others and (change.old_path is None or change.old_path in bases)

    def _bases(self, changes: list[FileChange]) -> dict[str, bytes]:
        """Return the base version of each changed file, by its old path."""
        contents: dict[str, bytes] = {}
        changes_by_path = {
            change.old_path: change for change in changes if change.old_path and "\n" not in change.old_path
        }
        if self.base is not None and _NAME.fullmatch(self.base):
            contents = self.checkout.blobs({path: f"{self.base}:{path}" for path in changes_by_path})
        named = {
            path: change.old_id for path, change in changes_by_path.items() if path not in contents and change.old_id
        }
        return contents | self.checkout.blobs({path: blob for path, blob in named.items() if blob})

    def _merge_group(
        self, group: Group, bases: Mapping[str, bytes], theirs: StagingArea, *, is_patched: bool
    ) -> Merged:
        (change, *others) = group.changes
        if others:
            return _conflict("series")
        patched = read_plain(theirs.path(change.new_path)) if change.new_path is not None else None
        if kind := _kind_without_merge(change, self.entries):
            return self._already(change, patched) or _conflict(kind)
        if change.old_path is None:
            return (is_patched and self._already(change, patched)) or _conflict(
                "both added" if is_patched else "misfit"
            )
        if not is_patched:
            return self._unreadable(change) or self._without_base(change, bases)
        return self._merge_change(change, bases[change.old_path], patched)

    def _unreadable(self, change: FileChange) -> Merged | None:
        """Return why git cannot fit the change into any version, None where it might."""
        hunks = change.hunks
        if empty := [hunk for hunk in hunks if not hunk.added and not hunk.removed]:
            return _conflict("misfit", _NO_CHANGE.format(line=empty[0].line - 1))
        here = read_plain(self.stage.path(change.old_path or ""))
        sides = [hunk.old_side for hunk in hunks]
        if here is None or not sides or all(side in here for side in sides):
            return None
        plain = here.replace(b"\r\n", b"\n")
        fits = all(side.replace(b"\r\n", b"\n") in plain for side in sides)
        return _conflict("other line ends") if fits else None

    @staticmethod
    def _without_base(change: FileChange, bases: Mapping[str, bytes]) -> Merged:
        return _conflict("misfit", _WRONG_BASE) if change.old_path in bases else _conflict("no base")

    def _already(self, change: FileChange, patched: bytes | None) -> Merged | None:
        """Return whether the file already has the change of the patch."""
        if change.new_path is None:
            return Merged("skipped", "already") if change.old_path not in self.entries else None
        if change.old_path is not None and change.old_path in self.entries and change.status is not ChangeStatus.COPIED:
            return None
        ours = self._ours(change.new_path)
        return Merged("skipped", "already") if patched is not None and patched == ours else None

    def _ours(self, path: str) -> bytes | None:
        entry = self.entries.get(path)
        return self.checkout.blobs({path: entry.id}).get(path) if entry else None

    def _merge_change(self, change: FileChange, base: bytes, patched: bytes | None) -> Merged:
        old, new = change.old_path or "", change.new_path
        ours = self._ours(old)
        if new is None:
            return _conflict("deleted by them")
        if ours is None or os.path.islink(self.stage.path(old)) or change.is_binary or change.is_symlink:
            return _conflict("binary")
        sides = _Sides(base, ours, patched or b"")
        if sides.theirs == ours:
            return Merged("skipped", "already") if old == new else self._write(change, ours, sides, Merged("merged"))
        driver = self._driver(change)
        if not self._is_mergeable(driver) and driver not in self.checkout.merge_drivers:
            return _conflict("no merge")
        if not self._is_mergeable(driver):
            return _conflict("merge driver", f"{CONFLICTS['merge driver']} (merge={driver}): apply it with git")
        return self._merge_text(change, sides, ("--union",) if driver == _UNION else ())

    def _merge_text(self, change: FileChange, sides: _Sides, options: tuple[str, ...]) -> Merged:
        if any(b"\0" in side[:_FIRST_BYTES] for side in sides):
            return _conflict("binary")
        arguments = ("merge-file", "-p", *options, *self._marker_size(change), *self._written(sides))
        try:
            merged = git(*arguments, folder=self.scratch)
        except GitError:
            return self._mark(change, sides, arguments)
        if merged == sides.ours and change.old_path == change.new_path:
            return Merged("skipped", "already")
        return self._write(change, merged, sides, Merged("merged"))

    def _marker_size(self, change: FileChange) -> tuple[str, ...]:
        size = self._attributes.get(change.path, {}).get("conflict-marker-size", "")
        return (f"--marker-size={size}",) if size.isascii() and size.isdecimal() and int(size) else ()

    def _written(self, sides: _Sides) -> list[str]:
        """Write the sides for ``git merge-file``; return their labels and names."""
        files = []
        for name, data in (("yours", sides.ours), ("base", sides.base), ("patch", sides.theirs)):
            files.append(os.path.join(self.scratch, name))
            with open(files[-1], "wb") as file:
                file.write(data)
        return [word for name in ("yours", "base", "patch") for word in ("-L", name)] + files

    def _mark(self, change: FileChange, sides: _Sides, arguments: tuple[str, ...]) -> Merged:
        result = _conflict("both modified", has_markers=self.markers)
        if not self.markers:
            return result
        merged = git(*arguments, folder=self.scratch, accept=range(1, _MOST_CONFLICTS + 1))
        return self._write(change, merged, sides, result)

    def _write(self, change: FileChange, merged: bytes, sides: _Sides, result: Merged) -> Merged:
        """Stage the merged file in the form that the work tree has."""
        old, new = change.old_path or "", change.new_path or ""
        written = self._in_tree_form(old, new, sides.ours, merged)
        if written is None:
            return _conflict("line ends")
        mode = change.new_mode or self.entries[old].mode
        if change.status is not ChangeStatus.COPIED:
            self.stage.drop(old)
        self.stage.write(new, written, is_program=bool(mode & 0o100))
        return result._replace(stages=self._stages(change, mode, merged, sides, result))

    def _in_tree_form(self, old: str, new: str, ours: bytes, merged: bytes) -> bytes | None:
        """Return *merged* as git writes it, or with the line ends that the file has; None where those are mixed."""
        here = read_plain(self.stage.path(old)) or b""
        if here == self.stage.convert(ours, old):
            return self.stage.convert(merged, new)
        if here == ours:
            return merged
        if here == ours.replace(b"\n", b"\r\n"):
            return merged.replace(b"\n", b"\r\n")
        if here.replace(b"\r\n", b"\n") == ours:
            return None
        return self.stage.convert(merged, new)

    def _stages(
        self, change: FileChange, mode: int, merged: bytes, sides: _Sides, result: Merged
    ) -> dict[str, Stages] | None:
        """Return what git's index gets: the merged file, or the three sides of a conflict."""
        if not self.stage.has_index:
            return None
        old, new = change.old_path or "", change.new_path or ""
        gone: dict[str, Stages] = {old: {}} if old != new and change.status is not ChangeStatus.COPIED else {}
        if not result.has_markers:
            return {**gone, new: {0: (mode, self.stage.blob(merged))}}
        ours = self.entries[old]
        return {
            **gone,
            new: {
                1: (ours.mode, self.stage.blob(sides.base)),
                2: (ours.mode, ours.id),
                3: (mode, self.stage.blob(sides.theirs)),
            },
        }


class _Sides(NamedTuple):
    """A file in three versions, as blobs."""

    base: bytes
    ours: bytes
    theirs: bytes
