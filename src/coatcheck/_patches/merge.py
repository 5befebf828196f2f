"""Merge what does not fit: the patch was made from a base, and the tree has moved on since.

The base is the commit that the task started from, or else the blob that the diff names; the patched base and the tree
are merged by ``git merge-file``. Nothing is fetched: without the base in the repository there is no merge.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from .checkout import Checkout, Entry
from .fit import misfits
from .git import GitError, git
from .header import ChangeStatus
from .stage import Group, Stage
from .tree import read_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .change import FileChange

# What stands in the way, in the words of git status.
CONFLICTS = {
    "misfit": "the patch does not fit, and merging was not asked for",
    "no base": "the patch does not fit, and the version it was made for is not in this repository",
    "other line ends": "the patch and the file have different line ends (CR LF and LF)",
    "both modified": "the patch and this tree change the same lines",
    "both added": "the patch and this tree add the file, differently",
    "deleted by us": "this tree deleted the file that the patch changes",
    "deleted by them": "the patch deletes the file, and this tree changed it",
    "binary": "the file is binary or a symbolic link, and changed here too",
    "line ends": "the file's line ends are mixed, so a merge would change lines that nobody touched",
    "series": "the patch changes the file several times, and not all of it fits",
}

# The base comes from a service: a commit or a branch, and one word of git's batch.
_NAME = re.compile(r"[\w./-]+", re.ASCII)
_BLOB = re.compile(rb"[0-9a-f]{40,64} (blob|tree|commit|tag) (\d+)")

# git merge-file tells the number of conflicts, 127 at most; an error is 255 (its manual, "EXIT STATUS").
_MOST_CONFLICTS = 127


class Merged(NamedTuple):
    """What became of a group: "applied", "merged", "skipped" or "conflicted", and why."""

    status: str
    kind: str = ""
    detail: str = ""
    has_markers: bool = False


def _conflict(kind: str, *, has_markers: bool = False) -> Merged:
    return Merged("conflicted", kind, CONFLICTS[kind], has_markers)


def merge(
    groups: list[Group],
    checkout: Checkout,
    stage: Stage,
    entries: Mapping[str, Entry],
    *,
    three_way: bool,
    markers: bool,
    base: str | None,
) -> list[Merged]:
    """Merge *groups*, which do not fit, into *stage*; return what became of each, in order."""
    if not three_way:
        return [_conflict(_plain_kind(group, entries)) for group in groups]
    return _Merge(groups, checkout, stage, entries, markers=markers, base=base).run()


def _plain_kind(group: Group, entries: Mapping[str, Entry]) -> str:
    (change, *others) = group.changes
    if others:
        return "series"
    return _kind_without_merge(change, entries) or "misfit"


def _kind_without_merge(change: FileChange, entries: Mapping[str, Entry]) -> str | None:
    if change.old_path is not None and change.old_path not in entries:
        return "deleted by us"
    if change.new_path is not None and change.new_path != change.old_path and change.new_path in entries:
        return "both added"
    return None


class _Merge:
    def __init__(
        self,
        groups: list[Group],
        checkout: Checkout,
        stage: Stage,
        entries: Mapping[str, Entry],
        *,
        markers: bool,
        base: str | None,
    ) -> None:
        self.groups = groups
        self.checkout = checkout
        self.stage = stage
        self.entries = entries
        self.markers = markers
        self.base = base
        # Outside of every repository as far as git can see: blobs have no line ends to convert.
        self.theirs = Stage(
            f"{stage.root}.theirs",
            environment={"GIT_CEILING_DIRECTORIES": os.path.dirname(stage.root)},
            settings=("core.autocrlf=false",),
        )
        self.scratch = f"{stage.root}.scratch"
        os.mkdir(self.scratch)

    def run(self) -> list[Merged]:
        single = [group.changes[0] for group in self.groups if len(group.changes) == 1]
        bases = self._bases(single)
        for path, data in bases.items():
            self.theirs.write(path, data)
        usable = [group for group in self.groups if self._has_base(group, bases)]
        patched, _ = self.theirs.apply(usable)
        fitting = {id(group) for group in patched}
        return [self._merge_group(group, bases, is_patched=id(group) in fitting) for group in self.groups]

    @staticmethod
    def _has_base(group: Group, bases: Mapping[str, bytes]) -> bool:
        (change, *others) = group.changes
        return not others and (change.old_path is None or change.old_path in bases)

    def _bases(self, changes: list[FileChange]) -> dict[str, bytes]:
        """Return the file that each change was made for, by its old path."""
        found: dict[str, bytes] = {}
        asked = {change.old_path: change for change in changes if change.old_path and "\n" not in change.old_path}
        if self.base is not None and _NAME.fullmatch(self.base):
            found = self._blobs({path: f"{self.base}:{path}" for path in asked})
        named = {path: change.old_id for path, change in asked.items() if path not in found and change.old_id}
        return found | self._blobs({path: blob for path, blob in named.items() if blob})

    def _blobs(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Return the blobs that are here, of those that *names* says."""
        wanted = "".join(f"{name}\n" for name in names.values()).encode("utf-8", "surrogateescape")
        answer = self.checkout.git("cat-file", "--batch", stdin=wanted) if names else b""
        found, at = {}, 0
        for path in names:
            end = answer.index(b"\n", at)
            facts = _BLOB.fullmatch(answer, at, end)
            at = end + 1
            if facts:  # anything else repeats the name, which is a stranger's, and says what is wrong with it
                size = int(facts[2])
                if facts[1] == b"blob":
                    found[path] = answer[at : at + size]
                at += size + 1
        return found

    def _merge_group(self, group: Group, bases: Mapping[str, bytes], *, is_patched: bool) -> Merged:
        (change, *others) = group.changes
        if others:
            return _conflict("series")
        if kind := _kind_without_merge(change, self.entries):
            return self._already(change) or _conflict(kind)
        if not is_patched:
            return _conflict(self._kind_without_base(change))
        if change.old_path is None:
            return self._already(change) or _conflict("both added")
        return self._merge_change(change, bases[change.old_path])

    def _kind_without_base(self, change: FileChange) -> str:
        if change.old_path is None:
            return "misfit"
        data, hunks = read_plain(self.stage.path(change.old_path)) or b"", change.hunks
        return "other line ends" if hunks and not any(misfits(data, hunks)) else "no base"

    def _already(self, change: FileChange) -> Merged | None:
        """Tell whether the file is here as the patch wants it, however it came."""
        if change.new_path is None:
            return Merged("skipped", "already") if change.old_path not in self.entries else None
        if change.old_path is not None and change.old_path in self.entries and change.status is not ChangeStatus.COPIED:
            return None
        theirs, ours = read_plain(self.theirs.path(change.new_path)), self._ours(change.new_path)
        return Merged("skipped", "already") if theirs is not None and theirs == ours else None

    def _ours(self, path: str) -> bytes | None:
        entry = self.entries.get(path)
        return self._blobs({path: entry.id}).get(path) if entry else None

    def _merge_change(self, change: FileChange, base: bytes) -> Merged:
        old, new = change.old_path or "", change.new_path
        ours = self._ours(old)
        if new is None:
            return _conflict("deleted by them")
        if ours is None or os.path.islink(self.stage.path(old)) or self._is_special(change):
            return _conflict("binary")
        theirs = read_plain(self.theirs.path(new)) or b""
        if theirs == ours:
            return Merged("skipped", "already") if old == new else self._write(change, ours, Merged("merged"))
        return self._merge_text(change, ours, base, theirs)

    @staticmethod
    def _is_special(change: FileChange) -> bool:
        return change.is_binary or change.is_symlink

    def _merge_text(self, change: FileChange, ours: bytes, base: bytes, theirs: bytes) -> Merged:
        if b"\0" in ours:
            return _conflict("binary")
        files = []
        for name, data in (("yours", ours), ("base", base), ("patch", theirs)):
            files.append(os.path.join(self.scratch, name))
            with open(files[-1], "wb") as file:
                file.write(data)
        labels = [word for name in ("yours", "base", "patch") for word in ("-L", name)]
        arguments = ("merge-file", "-p", *labels, *files)
        try:
            merged = git(*arguments, folder=self.scratch)
        except GitError:
            return self._mark(change, arguments)
        if merged == ours and change.old_path == change.new_path:
            return Merged("skipped", "already")
        return self._write(change, merged, Merged("merged"))

    def _mark(self, change: FileChange, arguments: tuple[str, ...]) -> Merged:
        result = _conflict("both modified", has_markers=self.markers)
        if not self.markers:
            return result
        return self._write(change, git(*arguments, folder=self.scratch, accept=range(1, _MOST_CONFLICTS + 1)), result)

    def _write(self, change: FileChange, merged: bytes, result: Merged) -> Merged:
        """Stage the merged file with the line ends that the work tree has."""
        old, new = change.old_path or "", change.new_path or ""
        here = read_plain(self.stage.path(old))
        ours = self._ours(old)
        if here is None or ours is None or here not in (ours, ours.replace(b"\n", b"\r\n")):
            return _conflict("line ends")
        if here != ours:
            merged = merged.replace(b"\n", b"\r\n")
        is_program = bool((change.new_mode or self.entries[old].mode) & 0o100)
        if change.status is not ChangeStatus.COPIED:
            self.stage.drop(old)
        self.stage.write(new, merged, is_program=is_program)
        return result
