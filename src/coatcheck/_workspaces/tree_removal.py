"""Remove folders, whatever an agent left in them.

Invariants:
- links are removed, never followed; no file is opened;
- a folder on which a file system is mounted is not emptied: inside of the folder, because it cannot be renamed (rename(2),
  EBUSY), and the folder itself is checked;
- depth does not matter: a folder inside the folder is moved up before it is read, so no path gets longer and no more
  than one folder is open at a time;
- nothing is raised: what could not be removed is returned, with the reason.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from .mount_points import is_mount_point

# ioctl_iflags(2): the flags of a file on ext4, xfs and btrfs; `chattr +i` and `chattr +a` set these two.
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IMMUTABLE, FS_APPEND = 0x10, 0x20

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> list[str]:
    """Remove a folder with everything in it, and return what could not be removed; none is no error."""
    if not os.path.lexists(path):
        return []
    problems: list[str] = []
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return []
        if is_mount_point(path):
            return [f"{path}: a file system is mounted on it"]
        _Removal(path, problems).run()
    except OSError as error:
        problems.append(f"{path}: {error.strerror or error}")
    return problems


class _Removal:
    """Empty the folder *root* level by level: inner folders are renamed to numbers in *root*, then emptied there."""

    def __init__(self, root: Path, problems: list[str]) -> None:
        self._root = root
        self._problems = problems
        self._prefix = f".removed-{secrets.token_hex(8)}-"
        self._numbers = itertools.count()

    def run(self) -> None:
        make_writable(self._root)
        self._top = os.open(self._root, OPEN_FOLDER)
        try:
            self._empty(self._top, is_top=True)
            while names := list(self._moved()):
                before = len(self._problems)
                for name in names:
                    self._remove_folder(name)
                if len(self._problems) > before:
                    return
        finally:
            os.close(self._top)
        self._root.rmdir()

    def _moved(self) -> Iterator[str]:
        return (name for name in os.listdir(self._top) if name.startswith(self._prefix))

    def _remove_folder(self, name: str) -> None:
        with self._reported(name):
            make_writable(self._root / name)
            descriptor = os.open(name, OPEN_FOLDER, dir_fd=self._top)
            try:
                self._empty(descriptor)
            finally:
                os.close(descriptor)
            os.rmdir(name, dir_fd=self._top)

    def _empty(self, descriptor: int, *, is_top: bool = False) -> None:
        """Unlink the files of an open folder, and move its folders to the root."""
        with os.scandir(descriptor) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in listed:
            if is_top and is_folder and name.startswith(self._prefix):
                continue
            with self._reported(name):
                if is_folder:
                    self._move_up(name, descriptor)
                else:
                    self._unlink(name, descriptor)

    def _move_up(self, name: str, descriptor: int) -> None:
        new = f"{self._prefix}{next(self._numbers)}"
        try:
            os.rename(name, new, src_dir_fd=descriptor, dst_dir_fd=self._top)
        except PermissionError:  # renaming changes the folder's own "..", so it must be writable
            _make_inner_writable(name, descriptor)
            os.rename(name, new, src_dir_fd=descriptor, dst_dir_fd=self._top)

    def _unlink(self, name: str, descriptor: int) -> None:
        try:
            os.unlink(name, dir_fd=descriptor)
        except PermissionError:
            _make_inner_writable(name, descriptor)
            os.unlink(name, dir_fd=descriptor)

    @contextlib.contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            shown = os.fsencode(name).decode("utf-8", "replace")
            self._problems.append(f"{shown}: {error.strerror or error}")


def make_writable(path: Path) -> None:
    """Let the owner read, write and enter a folder, also one that was made immutable where we may change that."""
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IRWXU)
    with contextlib.suppress(OSError):
        descriptor = os.open(path, OPEN_FOLDER)
        try:
            clear_flags(descriptor)
        finally:
            os.close(descriptor)
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IRWXU)


def _make_inner_writable(name: str, descriptor: int) -> None:
    """Do the same for an entry of an open folder: a folder, or a regular file that was made immutable."""
    mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return
    with contextlib.suppress(OSError):
        os.chmod(name, stat.S_IRWXU, dir_fd=descriptor)
    inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        clear_flags(inner)
        os.fchmod(inner, stat.S_IRWXU)
    finally:
        os.close(inner)


def clear_flags(descriptor: int) -> None:
    """Clear the flags "immutable" and "append only" of an open file, where its file system has them."""
    if sys.platform != "linux":
        return
    import fcntl

    with contextlib.suppress(OSError):
        flags = bytearray(fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, bytes(8)))
        if flags[0] & (FS_IMMUTABLE | FS_APPEND):
            flags[0] &= ~(FS_IMMUTABLE | FS_APPEND) & 0xFF
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, bytes(flags))
