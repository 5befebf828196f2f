"""A place beside the work tree where git applies a patch, before anything of it is seen.

git reads and writes there what it would read and write in the work tree: the same files (linked, not copied), the same
``.gitattributes`` above them, the same settings; only programs are switched off. What a patch does to that place does
not matter: files are taken out of it by the verified names, never by a listing.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ..errors import PatchConflictError
from .disk_errors import UNCHANGED, git_could_not_write
from .git import GitError, git, is_damage
from .header import ChangeStatus
from .path_rules import parents
from .render_patch import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .checkout import Entry
    from .file_change import FileChange, Hunk
    from .work_tree import Tree

# git names every file that does not fit at once; more rounds than these mean that something else is wrong.
_ROUNDS = 4


# So many files are shared between two gits: on two cores they take half the time of one, which waits for the file
# system to make every file anew (5,000 files, in turns: 1.1 s and 2.2 s on ext4, 0.07 s and 0.13 s in memory).
_MANY = 500
_CONTEXT = (b" ", b"\n")  # GNU diff takes the blank off an empty context line


class Group:
    """Changes that share paths (a rename, a series, a type change), and so are applied together or not at all."""

    __slots__ = ("changes", "paths")

    def __init__(self, changes: list[FileChange], paths: list[str]) -> None:
        self.changes = changes
        self.paths = paths


# Our index is one whole file, also where the user's is split.
ONE_FILE = ("core.splitIndex=false", "index.sparse=false", "core.untrackedCache=false")


class StagingArea:
    """The folder *root*, created and filled here. *environment* selects the repository for git.

    With `fill_index`, git changes an index of the stage together with the files, as ``git apply --index`` does.
    """

    def __init__(self, root: str, *, environment: Mapping[str, str], settings: Sequence[str]) -> None:
        self.root = root
        self._index = ""
        self._environment = environment
        self._settings = settings
        self._folders: set[str] = set()
        os.mkdir(root)

    def path(self, name: str) -> str:
        """Return where the file called *name* is staged."""
        return os.path.join(self.root, name)

    def place(self, name: str) -> str:
        """Return the same, and make the folders above it."""
        folder, _, _ = name.rpartition("/")
        if folder not in self._folders:
            os.makedirs(self.path(folder), exist_ok=True)
            self._folders.add(folder)
        return self.path(name)

    def take(self, tree: Tree, names: Iterable[str]) -> None:
        """Stage what *tree* has under *names*."""
        for name in names:
            facts = tree.lstat(name)
            if facts is not None and not stat.S_ISDIR(facts.st_mode) and not os.path.lexists(self.path(name)):
                tree.save(name, self.place(name))

    def write(self, name: str, data: bytes, *, is_program: bool = False) -> None:
        """Stage *data* as the file *name*, as git would create it."""
        self.drop(name)
        descriptor = os.open(self.place(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o777 if is_program else 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    def drop(self, name: str) -> None:
        """Remove the staged file *name*, if it is there."""
        if os.path.lexists(self.path(name)):
            os.unlink(self.path(name))

    def fill_index(self, entries: Mapping[str, Entry]) -> None:
        """Start an index with *entries*, and note the size and time of the files that are staged."""
        self._index = f"{self.root}.index"
        lines = (f"{entry.mode:06o} {entry.id}\t".encode() + os.fsencode(path) for path, entry in entries.items())
        self.git("update-index", "--add", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))
        self.git("update-index", "-q", "--refresh", accept=(0, 1))

    @property
    def has_index(self) -> bool:
        """Whether git changes an index of the stage too."""
        return bool(self._index)

    def entries(self) -> dict[str, tuple[int, str]]:
        """Return mode and blob of what the stage's index has, by path."""
        records = self.git("ls-files", "--stage", "-z").split(b"\0")[:-1]
        parts = [(record[:6], *record[7:].split(b" ", 1)) for record in records]
        return {os.fsdecode(rest.partition(b"\t")[2]): (int(mode, 8), blob.decode()) for mode, blob, rest in parts}

    def convert(self, data: bytes, name: str) -> bytes:
        """Return what git writes into the work tree for a blob with *data* at the path *name*."""
        return self.git("cat-file", "--filters", f"--path={name}", self.blob(data))

    def blob(self, data: bytes) -> str:
        """Keep *data* as a blob and return its name."""
        return self.git("hash-object", "-w", "--stdin", "--no-filters", stdin=data).decode().strip()

    def git(self, *arguments: str, stdin: bytes = b"", accept: Sequence[int] = (0,)) -> bytes:
        """Run git in the stage. Raises `PatchConflictError` where it could not write."""
        environment, settings = self._environment, self._settings
        if self._index:
            environment = {**environment, "GIT_INDEX_FILE": self._index}
            settings = (*settings, *ONE_FILE)
        try:
            return git(
                *arguments, folder=self.root, stdin=stdin, settings=settings, environment=environment, accept=accept
            )
        except GitError as error:
            if reason := git_could_not_write(error):
                raise PatchConflictError(f"the patch could not be written: {reason}", remedy=UNCHANGED) from None
            raise

    def apply(self, groups: list[Group]) -> tuple[list[Group], list[Group]]:
        """Apply all of *groups* that fit; return those that did, and those that did not."""
        if self._index:
            return self._sort(groups, "--index")
        if len(groups) < _MANY or not all(_is_alone(group) for group in groups):
            return self._sort(groups)
        middle = len(groups) // 2
        return self._apply_halves(groups[:middle], groups[middle:])

    def _apply_halves(self, one: list[Group], other: list[Group]) -> tuple[list[Group], list[Group]]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(self._sort, other)
            fitting, failed = self._sort(one)
        return fitting + later.result()[0], failed + later.result()[1]

    def having(self, groups: list[Group], *options: str) -> list[Group]:
        """Return those of *groups* that are applied already: taking them back would fit. Nothing is written.

        With the option ``--cached``, git reads the index of the repository.
        """
        sure, unsure = split_by_context(groups)
        unsure = [group for group in unsure if not _removes_without_context(group)]
        options = ("--reverse", "--check", *options)
        return self._try_groups(sure, *options)[0] + self._try_groups(unsure, *options, "--unidiff-zero")[0]

    def _sort(self, groups: list[Group], *options: str) -> tuple[list[Group], list[Group]]:
        """Apply hunks without context as ``--unidiff-zero`` does, also those about whole files that do not fit so."""
        sure, unsure = split_by_context(groups)
        fitting, failed = self._try_groups(sure, *options)
        unsure += [group for group in failed if has_hunk_without_context(group)]
        failed = [group for group in failed if group not in unsure]
        others, misfits = self._try_groups(unsure, *options, "--unidiff-zero")
        return fitting + others, failed + misfits

    def _try_groups(self, groups: list[Group], *options: str) -> tuple[list[Group], list[Group]]:
        failed: list[Group] = []
        for _ in range(_ROUNDS):
            output = self._try(groups, *options) if groups else ""
            if not output:
                return groups, failed
            named = _named(output, groups)
            failed += named
            groups = [group for group in groups if group not in named]
            if not named:
                break
        misfits = [group for group in groups if self._try([group], *options, "--check")]
        fitting = [group for group in groups if group not in misfits]
        if fitting and self._try(fitting, *options):
            return [], failed + groups
        return fitting, failed + misfits

    def _try(self, groups: list[Group], *options: str) -> str:
        """Run git apply, which does all or nothing; return what it complained about."""
        patch = b"".join(render(change) for group in groups for change in group.changes)
        try:
            self.git("apply", *options, "-", stdin=patch)
        except GitError as error:
            if is_damage(error.stderr):
                raise
            return error.stderr or str(error)
        return ""


def _is_alone(group: Group) -> bool:
    """Whether git does the same to *group* with any other groups.

    It does when no folder is created or removed, the rules for line ends are the same, and there is context (`split_by_context`).
    """
    (change, *others) = group.changes
    if others or change.status is not ChangeStatus.MODIFIED or change.path.endswith(".gitattributes"):
        return False
    return b"\n " in bytes(change)


def split_by_context(groups: Iterable[Group]) -> tuple[list[Group], list[Group]]:
    """Return the groups that git applies as they are, and those that need ``--unidiff-zero``.

    A hunk that neither begins nor ends with context is about a whole file (then it is the only one and begins at
    line 1) or from ``diff -U0``: without the option git puts its lines at the end of the file.
    """
    sure: list[Group] = []
    unsure: list[Group] = []
    for group in groups:
        (unsure if any(map(_needs_unidiff_zero, group.changes)) else sure).append(group)
    return sure, unsure


def _needs_unidiff_zero(change: FileChange) -> bool:
    if change.old_path is None or change.new_path is None:
        return False
    hunks = change.hunks
    return any(
        not _has_outer_context(hunk)
        and (len(hunks) > 1 or hunk.old_start > 1 or hunk.new_start > 1 or not hunk.old_lines)
        for hunk in hunks
    )


def has_hunk_without_context(group: Group) -> bool:
    """Whether a hunk that changes a file neither begins nor ends with context."""
    return any(
        change.old_path is not None and change.new_path is not None and not _has_outer_context(hunk)
        for change in group.changes
        for hunk in change.hunks
    )


def _removes_without_context(group: Group) -> bool:
    """Whether taking the group back inserts lines without context, which fits anywhere."""
    hunks = [hunk for change in group.changes for hunk in change.hunks]
    return any(not hunk.added and not _has_context(hunk) for hunk in hunks)


def _has_outer_context(hunk: Hunk) -> bool:
    """Whether the first or the last line is context; lines between two changes can be (``--inter-hunk-context``)."""
    part = bytes(hunk)
    last = part.rfind(b"\n", 0, -1) + 1
    if part.startswith(b"\\", last):
        last = part.rfind(b"\n", 0, last - 1) + 1
    return part.startswith(_CONTEXT) or part.startswith(_CONTEXT, last)


def _has_context(hunk: Hunk) -> bool:
    part = bytes(hunk)
    return part.startswith(_CONTEXT) or b"\n " in part or b"\n\n" in part


def _named(output: str, groups: list[Group]) -> list[Group]:
    """Return the groups that git's complaint names: ``error: PATH: patch does not apply`` and the like."""
    by_path = {path: group for group in groups for path in group.paths}
    groups_by_id: dict[int, Group] = {}
    for line in output.splitlines():
        words = line.removeprefix("error: ").removeprefix("patch failed: ").split(": ")
        for end in range(len(words), 0, -1):
            name = ": ".join(words[:end])
            if group := by_path.get(name) or by_path.get(name.rpartition(":")[0]):
                groups_by_id[id(group)] = group
                break
    return list(groups_by_id.values())


def groups_of(changes: Sequence[FileChange]) -> list[Group]:
    """Put changes together that share a path, or of which one is a folder of the other, in the diff's order."""
    everything = {path for change in changes for path in change.paths}
    by_path: dict[str, Group] = {}
    for change in changes:
        paths = change.paths
        above = [folder for path in paths for folder in parents(path) if folder in everything]
        met = dict.fromkeys(group for path in (*paths, *above) if (group := by_path.get(path)))
        merged = next(iter(met), None) or Group([], [])
        for other in list(met)[1:]:
            merged.changes += other.changes
            merged.paths += other.paths
        merged.changes.append(change)
        merged.paths = list(dict.fromkeys([*merged.paths, *paths]))
        by_path |= dict.fromkeys([*merged.paths, *above], merged)
    return list(dict.fromkeys(by_path.values()))
