"""Files by name inside one folder, and never outside of it.

Every folder on the path is opened by its name without following links, so a symbolic link never
leads a write to another place, whenever it was created. On Windows, which has no such call, nothing is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatchRejectedError, UnsupportedError
from .path_rules import is_inside

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class FileStamp(NamedTuple):
    """The facts that show whether a file was changed."""

    inode: int
    size: int
    modified: int
    mode: int


def mark_of(facts: os.stat_result) -> FileStamp:
    """Return the stamp of a file."""
    return FileStamp(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode)


class Tree:
    """The folder at *root*. Use it in a ``with``; it keeps one folder open."""

    def __init__(self, root: str) -> None:
        if os.open not in os.supports_dir_fd:
            raise UnsupportedError("patches are applied on Linux and macOS only")
        self.root = root
        self._folder = ""
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _enter(self, path: str, *, create: bool = False) -> tuple[int, str]:
        """Open the folder of *path*; return it and the last part of the name."""
        if not is_inside(path):
            raise PatchRejectedError(f"{path!r} is not a path inside a tree")
        folder, _, name = path.rpartition("/")
        if folder != self._folder:
            descriptor = _open_folder(self.root, folder, create=create)
            os.close(self._descriptor)
            self._descriptor, self._folder = descriptor, folder
        return self._descriptor, name

    def lstat(self, path: str) -> os.stat_result | None:
        """Return what is at *path*, None where nothing is or a folder on the way is none."""
        try:
            descriptor, name = self._enter(path)
            return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except (OSError, PatchRejectedError):  # ENOENT, ENOTDIR, and ELOOP for a link on the way
            return None

    def save(self, path: str, to: str) -> None:
        """Keep what is at *path* under the name *to*, another folder's: the same inode where that can be."""
        descriptor, name = self._enter(path)
        try:
            os.link(name, to, src_dir_fd=descriptor, follow_symlinks=False)
        except OSError:  # another file system, or a system that does not link other people's files
            copy_file(name, to, folder=descriptor)

    def put(self, source: str, path: str) -> None:
        """Move the file *source* to *path*, at once and over what is there."""
        descriptor, name = self._enter(path, create=True)
        try:
            os.rename(source, name, dst_dir_fd=descriptor)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            passing = f".{os.urandom(8).hex()}.coatcheck"
            copy_file(source, passing, to_folder=descriptor)
            os.rename(passing, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
            os.unlink(source)

    def remove(self, path: str) -> None:
        """Remove the file at *path* and the folders that this empties, as git does."""
        descriptor, name = self._enter(path)
        os.unlink(name, dir_fd=descriptor)
        while folder := path.rpartition("/")[0]:
            try:
                parent, name = self._enter(folder)
                os.rmdir(name, dir_fd=parent)
            except OSError:
                return
            path = folder

    def missing_folders(self, path: str) -> list[str]:
        """Return the folders that `put` would have to make for *path*, the outermost first."""
        missing = []
        while path := path.rpartition("/")[0]:
            if self.lstat(path) is not None:
                break
            missing.append(path)
        return missing[::-1]

    def prune(self, folder: str) -> None:
        """Remove *folder* if it is there and empty."""
        with contextlib.suppress(OSError):
            parent, name = self._enter(folder)
            os.rmdir(name, dir_fd=parent)

    def sync(self) -> None:
        """Wait until the folder that was changed last is on the disk."""
        os.fsync(self._descriptor)


def copy_file(source: str, target: str, *, folder: int | None = None, to_folder: int | None = None) -> None:
    """Copy a file or a symbolic link with its mode and time, by names relative to open folders."""
    facts = os.stat(source, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(facts.st_mode):
        os.symlink(os.readlink(source, dir_fd=folder), target, dir_fd=to_folder)
        return
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=to_folder)
    with os.fdopen(reading, "rb") as old, os.fdopen(writing, "wb") as new:
        shutil.copyfileobj(old, new)
        os.fchmod(new.fileno(), stat.S_IMODE(facts.st_mode))
        new.flush()
        os.utime(new.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _open_folder(root: str, folder: str, *, create: bool) -> int:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in filter(None, folder.split("/")):
        try:
            inner = _open_part(descriptor, part, create=create)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _open_part(descriptor: int, part: str, *, create: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(part, flags, dir_fd=descriptor)
    except FileNotFoundError:
        if not create:
            raise
        os.mkdir(part, dir_fd=descriptor)
        return os.open(part, flags, dir_fd=descriptor)


def read_plain(path: str) -> bytes | None:
    """Return what a diff of the file at *path* contains: its content, or a link's target; None where there is no file."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return os.fsencode(os.readlink(path))
        if not stat.S_ISREG(mode):
            return None
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None
