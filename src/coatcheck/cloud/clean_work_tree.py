"""Make an agent's work tree safe to be read by git, and report what git shall not read.

It is done when no process of the agent runs any more. Afterwards the tree holds folders, regular files and links, all
of them readable, within git's limits, and no ``.git``: what git would open (``.gitignore``, a ``HEAD`` in an inner
folder) is a regular file, so no git command blocks on it or is configured by it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .._workspaces.cancellation import CancelScope
from .._workspaces.mount_points import mount_points
from .._workspaces.tree_removal import OPEN_FOLDER
from .result_index import MAX_CONTENT
from .tree_walk import Folder, Walk, entries_of, read_head, read_regular

# Linux opens no path of 4,096 bytes (PATH_MAX), and git writes no tree deeper than 2,048 (core.maxTreeDepth).
MAX_PATH, MAX_DEPTH = 4000, 2000
# A repository in the checkout that is larger than this is another project that was read, not the agent's work.
MAX_NESTED_FILES, MAX_NESTED_SIZE = 1000, 4 * 1024 * 1024

KINDS: Mapping[Callable[[int], bool], str] = {
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@dataclass
class TreeReport:
    """What was found: paths that git shall not or cannot take, remarks on others, and the commits of submodules.

    `stuck` are paths that could not be moved out of the tree.
    """

    left_out: dict[bytes, str] = field(default_factory=dict)
    remarks: dict[bytes, str] = field(default_factory=dict)
    submodules: dict[bytes, str] = field(default_factory=dict)
    stuck: list[bytes] = field(default_factory=list)


class WorkTreeCleaner:
    """The work tree *work*; what git must not read is moved to *aside*, on the same file system.

    *is_submodule* and *is_tracked* (a file, or a folder with such files) concern the commit that the agent started
    from; *has_size* returns whether a path has this size there.
    """

    def __init__(
        self,
        work: Path,
        aside: Path,
        scope: CancelScope,
        *,
        is_submodule: Callable[[bytes], bool],
        is_tracked: Callable[[bytes], bool],
        has_size: Callable[[bytes, int], bool],
    ) -> None:
        self._work, self._aside, self._scope = work, aside, scope
        self._is_submodule, self._is_tracked, self._has_size = is_submodule, is_tracked, has_size
        self._device = work.lstat().st_dev
        self._mounts = mount_points(work)
        self._moved = 0
        self.report = TreeReport()

    def clean(self) -> TreeReport:
        """Make the tree safe. Raises `OSError` where it cannot be opened at all, and `Stopped`."""
        self._out = os.open(self._aside, OPEN_FOLDER)
        try:
            Walk(self._work, self._scope, enter=self._enter, leave=self._leave, refuse=self._refuse).run()
        finally:
            os.close(self._out)
        return self.report

    def _enter(self, folder: Folder, descriptor: int) -> list[bytes]:
        try:
            entries = entries_of(descriptor)
        except OSError as error:
            self._refuse(folder.path, error)
            return []
        names = {name for name, _ in entries}
        if folder.path and self._is_submodule(folder.path) and self._note_submodule(folder, names, descriptor):
            return []
        inner = [name for name, status in entries if self._is_inner(folder, name, status, descriptor)]
        return inner[::-1]

    def _is_inner(self, folder: Folder, name: bytes, status: os.stat_result, descriptor: int) -> bool:
        """Deal with one entry; return whether it is a folder to descend into."""
        path = folder.join(name)
        if name == b".git":
            folder.is_repository = True
            folder.is_linked = stat.S_ISREG(status.st_mode) and b"/worktrees/" in self._pointer(folder.path)
            self._move(path, name, descriptor)
        elif len(path) > MAX_PATH or path.count(b"/") >= MAX_DEPTH:
            self._leave_out(path, "its path is too long", name, descriptor)
        elif stat.S_ISDIR(status.st_mode):
            if status.st_dev == self._device and path not in self._mounts:
                return True
            self._leave_out(path, "a mounted file system", name, descriptor)
        elif stat.S_ISREG(status.st_mode):
            self._check_file(folder, path, name, status, descriptor)
        elif not stat.S_ISLNK(status.st_mode):
            kind = next((word for test, word in KINDS.items() if test(status.st_mode)), "a special file")
            self._leave_out(path, kind, name, descriptor)
        return False

    def _check_file(self, folder: Folder, path: bytes, name: bytes, status: os.stat_result, descriptor: int) -> None:
        if status.st_size > MAX_CONTENT and not self._has_size(path, status.st_size):
            self._leave_out(path, f"larger than {MAX_CONTENT // 2**20} MiB", name, descriptor)
            return
        folder.files += 1
        folder.size += status.st_size
        if not status.st_mode & stat.S_IRUSR:
            with contextlib.suppress(OSError):
                os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_IRUSR, dir_fd=descriptor)
        if not os.access(name, os.R_OK, dir_fd=descriptor):
            self._leave_out(path, "it cannot be read", name, descriptor)

    def _note_submodule(self, folder: Folder, names: set[bytes], descriptor: int) -> bool:
        """Take the commit that is checked out in a submodule; return False for one that is none yet."""
        head = self._submodule_head(folder.path) if b".git" in names else None
        if head is None and not self._is_tracked(folder.path):
            return False
        if names - {b".git"}:
            self.report.remarks[folder.path] = "a submodule: only its commit is in the diff"
        if head is not None:
            self.report.submodules[folder.path] = head
        if b".git" in names:
            self._move(folder.join(b".git"), b".git", descriptor)
        return True

    def _submodule_head(self, path: bytes) -> str | None:
        """Return the commit that is checked out in a submodule; its ``.git`` is a folder, or a file that names one."""
        where = Path(os.fsdecode(os.path.join(os.fsencode(self._work), path)))
        pointer = self._pointer(path)
        if not pointer:
            return read_head(where / ".git")
        target = os.fsdecode(pointer.removeprefix(b"gitdir: ").strip())
        inside = os.path.relpath(os.path.normpath(where / target), self._work / ".git")
        return None if inside.startswith("..") or "\0" in inside else read_head(self._aside / ".git" / inside)

    def _pointer(self, path: bytes) -> bytes:
        """Return the content of a ``.git`` that is a file and names a folder, b"" for anything else."""
        return read_regular(self._work, path + b"/.git", limit=4096) or b""

    def _leave(self, folder: Folder, parent: Folder, descriptor: int) -> None:
        is_large = folder.files > MAX_NESTED_FILES or folder.size > MAX_NESTED_SIZE
        if folder.is_repository and not self._is_tracked(folder.path):
            if is_large or folder.is_linked:
                reason = "a working tree of git worktree" if folder.is_linked else "a large repository"
                self._leave_out(folder.path, reason, folder.path.rpartition(b"/")[2], descriptor)
                return
            self.report.remarks[folder.path] = "a repository: its files are in the diff, its history is not"
        parent.files += folder.files
        parent.size += folder.size

    def _refuse(self, path: bytes, error: OSError) -> None:
        self.report.left_out[path] = f"it cannot be read: {error.strerror or error}"
        self.report.stuck.append(path)

    def _leave_out(self, path: bytes, reason: str, name: bytes, descriptor: int) -> None:
        for inner in [known for known in self.report.left_out if known.startswith(path + b"/")]:
            del self.report.left_out[inner]
        for inner in [known for known in self.report.remarks if known.startswith(path + b"/")]:
            del self.report.remarks[inner]
        self.report.left_out[path] = reason
        self._move(path, name, descriptor)

    def _move(self, path: bytes, name: bytes, descriptor: int) -> None:
        """Move an entry out of the tree; one that may not be moved is excluded by its path."""
        self._moved += 1
        try:
            os.rename(name, str(self._moved), src_dir_fd=descriptor, dst_dir_fd=self._out)
        except OSError:
            self.report.stuck.append(path)
