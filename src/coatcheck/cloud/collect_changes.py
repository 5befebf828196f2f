"""The changes in an agent's clone: a diff, the changed files, the subject of its last commit, and notes.

Invariants:
- the agent's ``.git`` configures and runs nothing: it is moved away, and the tree is read through a git directory of
  our own in whose configuration no filter, textconv or external diff exists;
- nothing but folders and regular files is opened (`coatcheck.cloud.clean_work_tree`);
- a file that cannot be taken loses no other file, and is named in the notes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from .._values.value import Value
from .._workspaces.git import WorkspaceError
from .._workspaces.mount_points import is_mount_point
from .._workspaces.tree_removal import make_writable
from .._workspaces.workspace import Workspace
from .clean_work_tree import TreeReport, WorkTreeCleaner
from .models import CloudFile
from .result_index import SUBMODULE, Entry, ResultIndex, is_content, slashes
from .tree_walk import Folder, Walk, entries_of, read_head

# A diff beyond this is too large to review; it is also what our own server takes as a body.
MAX_DIFF = 64 * 1024 * 1024
# The service shows parts of changed files; whole ones up to these sizes are enough to look at.
MAX_FILES, MAX_FILE, MAX_SNAPSHOT = 100, 256 * 1024, 2 * 1024 * 1024
# So much content is read from git at once.
MAX_BATCH = 16 * 1024 * 1024


class Changes(Value, frozen=True, kw_only=True):
    """The changes of an agent; `notes` name what is not in the diff, or not as the agent left it."""

    diff: str = ""
    files: tuple[CloudFile, ...] = ()
    subject: str | None = None
    notes: tuple[str, ...] = ()


def collect_changes(workspace: Workspace) -> Changes:
    """Return everything the agent changed, committed or not. Raises `WorkspaceError` and `Stopped`."""
    if any(map(is_mount_point, (workspace.folder, workspace.work))):  # its files may be those of another folder
        raise WorkspaceError("workspace_mounted", "a file system is mounted on the agent's clone")
    make_writable(workspace.folder)
    if workspace.work.is_symlink() or not workspace.work.is_dir():
        raise WorkspaceError("workspace_gone", "the agent removed its own clone")
    make_writable(workspace.work)
    try:
        return _Collector(workspace).collect()
    except OSError as error:
        raise WorkspaceError("workspace_unreadable", f"the agent's clone cannot be read: {error}") from None


class _Change(Value, frozen=True, kw_only=True):
    """A path that differs, with the content before and after; `Entry.mode` is all zeros where there is none."""

    path: bytes
    old: Entry
    new: Entry

    @property
    def contents(self) -> list[str]:
        """The ids of the content before and after: of files and links, not of submodules."""
        return [entry.id for entry in (self.old, self.new) if entry.mode.startswith("1") and entry.mode != SUBMODULE]

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file now."""
        return self.new.mode.startswith("100")


class _Collector:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._aside = Path(tempfile.mkdtemp(prefix="collect-", dir=workspace.folder))
        self._index = ResultIndex(workspace, self._aside)
        self._sizes: dict[str, int] = {}
        self._notes: dict[bytes, str] = {}

    def collect(self) -> Changes:
        git_dir = self._take_git_dir()
        committed = self._agent_entries(git_dir)
        report = self._clean_tree()
        self._index.exclude(report.stuck)
        self._index.check_out(path for path in report.left_out if path not in report.stuck)
        self._index.put({path: Entry(SUBMODULE, head) for path, head in report.submodules.items()})
        self._index.add_everything()
        self._add_committed_although_ignored(committed)
        self._add_skipped(committed, git_dir)
        self._note(report)
        changes = self._without_odd_links(self._changes())
        diff = self._diff(changes)
        files = tuple(self._snapshots(self._kept(changes)))
        return Changes(diff=diff, files=files, subject=self._last_subject(git_dir), notes=self._note_lines())

    # -- the agent's git directory -------------------------------------------------------------------------------------

    def _take_git_dir(self) -> Path | None:
        """Move the agent's ``.git`` out of its tree; return where it is, None where it is not a folder."""
        ours, moved = self._workspace.work / ".git", self._aside / ".git"
        if not os.path.lexists(ours):
            self._notes[b".git"] = "removed by the agent; its commits are not known"
            return None
        if not ours.is_symlink() and ours.is_dir():
            make_writable(ours)
        try:
            ours.rename(moved)
        except OSError as error:
            self._notes[b".git"] = f"not readable, so the agent's commits are not known: {error.strerror}"
            return None
        if moved.is_symlink() or not moved.is_dir():
            self._notes[b".git"] = "not a folder any more; the agent's commits are not known"
            return None
        return moved

    def _objects(self, git_dir: Path) -> Mapping[str, str]:
        return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(git_dir / "objects")}

    def _agent_entries(self, git_dir: Path | None) -> Mapping[bytes, Entry]:
        """Return what the agent's index holds; its objects become readable as well."""
        if git_dir is None:
            return {}
        try:
            make_writable(git_dir / "objects")
            clean_objects(git_dir / "objects", self._workspace)
            return self._index.agent_entries(git_dir, self._objects(git_dir))
        except (OSError, WorkspaceError) as error:
            self._notes[b".git/index"] = f"not readable, so files that git ignores are not in the diff: {error}"
            return {}

    def _last_subject(self, git_dir: Path | None) -> str | None:
        """Return the subject of the agent's last commit, None where it made none."""
        head = read_head(git_dir) if git_dir else None
        if git_dir is None or head is None or head == self._workspace.head:
            return None
        log = ("log", "-1", "--no-show-signature", "--format=%s", "--end-of-options", f"{self._workspace.head}..{head}")
        try:
            subject = self._index.run(*log, environ=self._objects(git_dir))
        except WorkspaceError as error:
            self._notes[b".git/HEAD"] = f"the agent's last commit is not readable: {error}"
            return None
        return subject.decode("utf-8", "replace").strip() or None

    # -- the tree ------------------------------------------------------------------------------------------------------

    def _clean_tree(self) -> TreeReport:
        base = self._index.base
        folders = {path[:end] for path in base for end in slashes(path)}
        submodules = {path for path, entry in base.items() if entry.mode == SUBMODULE} | self._declared_submodules()
        return WorkTreeCleaner(
            self._workspace.work,
            self._aside,
            self._workspace.scope,
            is_submodule=submodules.__contains__,
            is_tracked=lambda path: path in base or path in folders,
            has_size=lambda path, size: path in base and self._size(base[path].id) == size,
        ).clean()

    def _declared_submodules(self) -> set[bytes]:
        """Return the paths in the tree's ``.gitmodules``, where that is a regular file that git understands."""
        path = self._workspace.work / ".gitmodules"
        if not os.path.lexists(path) or not stat.S_ISREG(path.lstat().st_mode):
            return set()
        read = ("config", "--file", str(path), "--no-includes", "-z", "--get-regexp", r"^submodule\..*\.path$")
        with contextlib.suppress(WorkspaceError):  # git's status is 1 where there is none, 128 where it is nonsense
            return {line.partition(b"\n")[2] for line in self._index.run(*read).split(b"\0") if line}
        return set()

    def _add_committed_although_ignored(self, committed: Mapping[bytes, Entry]) -> None:
        """Take what is in the agent's index and still in its tree, but ignored."""
        work = os.fsencode(self._workspace.work)
        ours = self._index.base
        missing = [path for path, entry in committed.items() if path not in ours and entry.mode != SUBMODULE]
        self._index.add([path for path in missing if is_content(os.path.join(work, path))])

    def _add_skipped(self, committed: Mapping[bytes, Entry], git_dir: Path | None) -> None:
        """Take what is not in the tree on purpose (a sparse checkout) as the agent's index has it."""
        work = os.fsencode(self._workspace.work)
        skipped = {path: entry for path, entry in committed.items() if entry.is_skipped and is_absent(work, path)}
        base = self._index.base
        own = {path: entry for path, entry in skipped.items() if path not in base or base[path][:2] != entry[:2]}
        objects = self._objects(git_dir) if git_dir else {}
        files = {path: entry for path, entry in own.items() if entry.mode != SUBMODULE}
        copied = self._index.copy_objects((entry.id for entry in files.values()), objects)
        lost = {path for path, entry in files.items() if entry.id not in copied}
        self._index.left_out.update(dict.fromkeys(lost, "outside the sparse checkout, and not readable"))
        self._index.put({path: entry for path, entry in skipped.items() if path not in lost})

    def _note(self, report: TreeReport) -> None:
        """Note what is left out, and set it to what the start has: nothing is deleted because it is not readable."""
        left_out = {**report.left_out, **self._index.left_out}
        self._index.restore(left_out)
        remarks = {**report.remarks, **self._index.remarks}
        self._index.exclude(())
        ignored = self._index.ignored({**left_out, **remarks})
        left = {path: f"left out: {reason}" for path, reason in left_out.items() if path not in ignored}
        self._notes.update(left)
        self._notes.update({path: remark for path, remark in remarks.items() if path not in ignored})

    def _changes(self) -> list[_Change]:
        """Return every path that differs."""
        command = ("diff", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", self._index.start)
        fields = iter(self._index.run(*command).split(b"\0"))
        changes = []
        for head in filter(None, fields):
            old_mode, new_mode, old, new, _ = head.decode().lstrip(":").split(" ")
            changes.append(_Change(path=next(fields), old=Entry(old_mode, old), new=Entry(new_mode, new)))
        self._measure([id for change in changes for id in change.contents])
        return changes

    def _without_odd_links(self, changes: list[_Change]) -> list[_Change]:
        """Leave out links whose target is not UTF-8: a diff is text in JSON, and git has no binary patch for links."""
        links = [change for change in changes if "120000" in (change.old.mode, change.new.mode)]
        contents = dict(self._contents(id for change in links for id in change.contents))
        odd = {each.path for each in links if not all(is_utf8(contents[id]) for id in each.contents)}
        self._drop(odd, "a link whose target is not UTF-8")
        return [change for change in changes if change.path not in odd]

    def _drop(self, paths: Iterable[bytes], reason: str) -> None:
        paths = list(paths)
        self._index.restore(paths)
        self._notes.update(dict.fromkeys(paths, f"left out: {reason}"))

    # -- the diff ------------------------------------------------------------------------------------------------------

    def _diff(self, changes: Sequence[_Change]) -> str:
        """Return the diff without the largest files where it would be too large; not UTF-8 is a binary patch."""
        self._index.write_attributes(b"".join(b'"%s" -diff\n' % quoted(path) for path in self._not_utf8(changes)))
        budget = MAX_DIFF
        while (diff := self._read_diff()) is None:
            budget //= 2
            self._drop_largest(self._kept(changes), budget)
        return diff.decode("utf-8", "replace")

    def _read_diff(self) -> bytes | None:
        options = (
            "--cached",
            "--binary",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--find-renames",
        )
        return self._index.read_capped("diff", *options, self._index.start, limit=MAX_DIFF)

    def _drop_largest(self, changes: Iterable[_Change], budget: int) -> None:
        """Keep the smallest files, *budget* bytes of them."""
        ordered = sorted(changes, key=self._weight)
        sums = accumulate(self._weight(change) for change in ordered)
        dropped = [change.path for change, total in zip(ordered, sums, strict=True) if total > budget]
        self._drop(dropped or [ordered[-1].path], f"the diff would be larger than {MAX_DIFF // 2**20} MiB")

    def _weight(self, change: _Change) -> int:
        return len(change.path) + sum(self._size(id) for id in change.contents)

    def _kept(self, changes: Iterable[_Change]) -> list[_Change]:
        return [change for change in changes if not self._notes.get(change.path, "").startswith("left out")]

    def _not_utf8(self, changes: Sequence[_Change]) -> Iterator[bytes]:
        ids = {id for change in changes for id in change.contents}
        odd = {id for id, content in self._contents(ids) if not is_utf8(content)}
        odd |= {id for id in ids if self._size(id) > MAX_BATCH}
        return (change.path for change in changes if not odd.isdisjoint(change.contents))

    # -- contents ------------------------------------------------------------------------------------------------------

    def _measure(self, ids: Iterable[str]) -> None:
        asked = list(dict.fromkeys(id for id in ids if id not in self._sizes))
        if asked:
            input = "".join(f"{id}\n" for id in asked).encode()
            answers = self._index.run("cat-file", "--batch-check=%(objectsize)", input=input)
            self._sizes.update(zip(asked, map(int, answers.splitlines()), strict=True))

    def _size(self, id: str) -> int:
        if id not in self._sizes:
            self._measure([id])
        return self._sizes[id]

    def _contents(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Return contents by id, except of those that are larger than `MAX_BATCH`."""
        batch, total = list[str](), 0
        for id in dict.fromkeys(ids):
            if (size := self._size(id)) <= MAX_BATCH:
                if total + size > MAX_BATCH:
                    yield from self._batch(batch)
                    batch, total = [], 0
                batch.append(id)
                total += size
        yield from self._batch(batch)

    def _batch(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        if not ids:
            return
        answer = self._index.run("cat-file", "--batch=%(objectname)", input="".join(f"{id}\n" for id in ids).encode())
        start = 0
        for id in ids:
            start += len(id) + 1
            yield id, answer[start : start + self._size(id)]
            start += self._size(id) + 1

    def _snapshots(self, changes: Iterable[_Change]) -> Iterator[CloudFile]:
        shown = [change for change in changes if change.is_file][:MAX_FILES]
        free, taken = MAX_SNAPSHOT, set[str]()
        for change in shown:
            if (size := self._size(change.new.id)) <= min(MAX_FILE, free):
                free -= size
                taken.add(change.new.id)
        contents = dict(self._contents(taken))
        for change in shown:
            path = change.path.decode("utf-8", "replace")
            content = contents.get(change.new.id)
            yield CloudFile(path=path, missing_reason="too_large") if content is None else _snapshot(path, content)

    def _note_lines(self) -> tuple[str, ...]:
        return tuple(f"{printable(path)}: {self._notes[path]}" for path in sorted(self._notes))


def clean_objects(objects: Path, workspace: Workspace) -> None:
    """Remove from an agent's objects what git must not open (special files, links) and the list of other folders."""

    def enter(folder: Folder, descriptor: int) -> list[bytes]:
        inner = []
        for name, status in entries_of(descriptor):
            if stat.S_ISDIR(status.st_mode):
                inner.append(name)
            elif not stat.S_ISREG(status.st_mode) or folder.path == b"info":
                os.unlink(name, dir_fd=descriptor)
        return inner

    Walk(objects, workspace.scope, enter=enter).run()


def is_absent(root: bytes, path: bytes) -> bool:
    """Whether nothing below *root* has this path, nor one of its folders' paths without being a folder."""
    inner = (os.path.join(root, path[:end]) for end in slashes(path))
    is_replaced = any(os.path.islink(each) or os.path.isfile(each) for each in inner)
    return not is_replaced and not os.path.lexists(os.path.join(root, path))


def printable(path: bytes) -> str:
    """Return a path for a message: bytes that are not UTF-8, and characters that do not print, are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _snapshot(path: str, content: bytes) -> CloudFile:
    if b"\0" in content or not is_utf8(content):
        return CloudFile(path=path, missing_reason="binary")
    return CloudFile(path=path, content=content.decode())


def is_utf8(data: bytes) -> bool:
    """Whether *data* is text in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# A pattern in quotes is unquoted as C does first, and then its wildcards count (gitattributes(5)).
_ESCAPES = {b"\\": rb"\\\\", b'"': rb"\"", b"*": rb"\\*", b"?": rb"\\?", b"[": rb"\\["}


def quoted(path: bytes) -> bytes:
    """Return *path* as the inside of a quoted attributes pattern that means this file alone."""
    parts = (bytes([code]) for code in b"/" + path)
    return b"".join(_ESCAPES.get(part) or (part if 32 <= part[0] < 127 else b"\\%03o" % part[0]) for part in parts)
