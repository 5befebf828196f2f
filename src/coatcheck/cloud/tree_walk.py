"""Read an agent's folder without following a link and without opening anything but folders and regular files.

Invariants:
- one folder is open at a time and no path is built, so neither depth nor the length of a path stops the walk;
- special files (FIFO, socket, device) and links are seen with lstat(2) alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .._workspaces.cancellation import CancelScope
from .._workspaces.tree_removal import OPEN_FOLDER, clear_flags

OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass
class Folder:
    """A folder of the walk: `path` is relative to the root, `waiting` are the inner folders not yet walked.

    `files` and `size` count the regular files in it and below; `is_linked` is set for a working tree of git-worktree(1).
    """

    path: bytes
    identity: tuple[int, int]
    waiting: list[bytes] = field(default_factory=list)
    files: int = 0
    size: int = 0
    is_repository: bool = False
    is_linked: bool = False

    def join(self, name: bytes) -> bytes:
        """Return the path of an entry."""
        return self.path + b"/" + name if self.path else name


class Walk:
    """Walk the folders below *root*: *enter* is called with each one open and returns the names to descend into.

    *leave* is called with the open parent when a folder and everything below it is done; *refuse* with a folder that
    cannot be opened.
    """

    def __init__(
        self,
        root: Path,
        scope: CancelScope,
        *,
        enter: Callable[[Folder, int], list[bytes]],
        leave: Callable[[Folder, Folder, int], None] = lambda _folder, _parent, _descriptor: None,
        refuse: Callable[[bytes, OSError], None] = lambda _path, _error: None,
    ) -> None:
        self._root = root
        self._scope = scope
        self._enter, self._leave, self._refuse = enter, leave, refuse
        self._folders: list[Folder] = []
        self._descriptor = -1

    def run(self) -> None:
        """Walk. Raises `OSError` where *root* itself cannot be opened, and `Stopped`."""
        self._descriptor = os.open(self._root, OPEN_FOLDER)
        try:
            self._add(b"")
            while self._folders[-1].waiting or len(self._folders) > 1:
                self._scope.check()
                if self._folders[-1].waiting:
                    self._descend(self._folders[-1].waiting.pop())
                else:
                    self._ascend()
        finally:
            os.close(self._descriptor)

    def _add(self, path: bytes) -> None:
        folder = Folder(path, identity(os.fstat(self._descriptor)))
        self._folders.append(folder)
        folder.waiting = self._enter(folder, self._descriptor)

    def _descend(self, name: bytes) -> None:
        path = self._folders[-1].join(name)
        try:
            inner = open_folder(name, self._descriptor)
        except OSError as error:
            self._refuse(path, error)
            return
        self._replace(inner)
        self._add(path)

    def _ascend(self) -> None:
        done, parent = self._folders.pop(), self._folders[-1]
        with contextlib.suppress(OSError):
            self._replace(os.open("..", OPEN_FOLDER, dir_fd=self._descriptor))
        if identity(os.fstat(self._descriptor)) != parent.identity:
            self._reopen(parent.path)
        self._leave(done, parent, self._descriptor)

    def _reopen(self, path: bytes) -> None:
        """Open a folder from the root: its inner folder could not be entered, or was moved meanwhile."""
        self._replace(os.open(self._root, OPEN_FOLDER))
        for name in filter(None, path.split(b"/")):
            self._replace(os.open(name, OPEN_FOLDER, dir_fd=self._descriptor))

    def _replace(self, descriptor: int) -> None:
        os.close(self._descriptor)
        self._descriptor = descriptor


def identity(status: os.stat_result) -> tuple[int, int]:
    """Return what identifies a file."""
    return status.st_dev, status.st_ino


def open_folder(name: bytes, descriptor: int) -> int:
    """Open an inner folder for reading and writing, also one that its owner closed. Raises `OSError`."""
    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):
            os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_IRWXU, dir_fd=descriptor)
    inner = os.open(name, OPEN_FOLDER, dir_fd=descriptor)
    clear_flags(inner)
    return inner


def entries_of(descriptor: int) -> list[tuple[bytes, os.stat_result]]:
    """Return the entries of an open folder with their lstat(2), sorted by name."""
    with os.scandir(descriptor) as entries:
        names = sorted(os.fsencode(entry.name) for entry in entries)
    return [(name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)) for name in names]


def read_regular(root: Path, path: bytes, *, limit: int) -> bytes | None:
    """Return the first *limit* bytes of a regular file below *root*, None for anything else; no link is followed.

    A file that its owner may not read is made readable.
    """
    *folders, name = path.split(b"/")
    try:
        descriptor = os.open(root, OPEN_FOLDER)
        try:
            for folder in folders:
                descriptor = _exchange(descriptor, os.open(folder, OPEN_FOLDER, dir_fd=descriptor))
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                return None
            if not mode & stat.S_IRUSR:
                os.chmod(name, stat.S_IMODE(mode) | stat.S_IRUSR, dir_fd=descriptor)
            with open(os.open(name, OPEN_FILE, dir_fd=descriptor), "rb") as file:
                return file.read(limit)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None


def _exchange(old: int, new: int) -> int:
    os.close(old)
    return new


def read_head(git_dir: Path) -> str | None:
    """Return the commit that ``HEAD`` of a git directory names, None where there is none; without git."""
    head = read_regular(git_dir, b"HEAD", limit=4096) or b""
    if not head.startswith(b"ref: refs/"):
        return _commit_id(head)
    ref = head[len(b"ref: ") :].strip()
    if b".." in ref:
        return None
    if loose := read_regular(git_dir, ref, limit=4096):
        return _commit_id(loose)
    packed = read_regular(git_dir, b"packed-refs", limit=16 << 20) or b""
    return next((_commit_id(line) for line in packed.splitlines() if line.endswith(b" " + ref)), None)


def _commit_id(text: bytes) -> str | None:
    word = (text.split() or [b""])[0]
    is_id = len(word) in (40, 64) and not word.strip(b"0123456789abcdef")
    return word.decode() if is_id else None
