"""Copy an agent's clone while the agent works in it, without changing anything there.

Guarantees:

- nothing but folders and regular files is opened, and no link is followed;
- files, bytes and depth are bounded; a tree beyond that is refused, and nothing of it is half copied in silence;
- what disappears while it is copied is left out, as if the copy had been made later;
- what its owner may not read is a FIFO in the copy: `coatcheck.cloud.collect_changes` leaves it as it was at the start.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import IO

from .._workspaces.cancellation import CancelScope
from .tree_walk import OPEN_FILE

# A larger clone is not copied while its agent runs; its diff is available at the end.
MAX_FILES, MAX_BYTES, MAX_DEPTH = 100_000, 512 * 1024 * 1024, 64
CHUNK = 1024 * 1024


class TreeTooLargeError(Exception):
    """A clone is larger than is copied while its agent runs."""


class TreeCopy:
    """The copy of the tree *source* in the new folder *target*."""

    def __init__(self, source: Path, target: Path, scope: CancelScope, *, max_files: int, max_bytes: int) -> None:
        self._source, self._target, self._scope = os.fsencode(source), os.fsencode(target), scope
        self._files, self._bytes = max_files, max_bytes

    def run(self) -> None:
        """Copy. Raises `TreeTooLargeError`, `OSError` and `Stopped`."""
        os.mkdir(self._target, 0o700)
        for path, folders, files, descriptor in os.fwalk(self._source):
            self._scope.check()
            inner = os.path.relpath(path, self._source)
            if inner.count(b"/") >= MAX_DEPTH:
                raise TreeTooLargeError("its folders are nested too deeply")
            for name in (*folders, *files):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._copy(name, os.path.join(self._target, inner, name), descriptor)

    def _copy(self, name: bytes, target: bytes, descriptor: int) -> None:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            is_readable = os.access(name, os.R_OK | os.X_OK, dir_fd=descriptor)
            (os.mkdir if is_readable else os.mkfifo)(target, 0o700)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=descriptor), target)
        elif stat.S_ISREG(status.st_mode):
            self._copy_file(name, target, descriptor, status.st_mode)
        self._files -= 1
        if self._files < 0:
            raise TreeTooLargeError("it has too many files")

    def _copy_file(self, name: bytes, target: bytes, descriptor: int, mode: int) -> None:
        try:
            opened = os.open(name, OPEN_FILE, dir_fd=descriptor)
        except PermissionError:
            os.mkfifo(target, 0o600)
        else:
            with open(opened, "rb") as source:
                self._copy_content(source, target, 0o600 | (mode & 0o111))

    def _copy_content(self, source: IO[bytes], target: bytes, mode: int) -> None:
        """Copy a file that is open, as far as it is long now: the agent may be writing to it."""
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode):  # it was replaced meanwhile
            return
        left = status.st_size
        self._bytes -= left
        if self._bytes < 0:
            raise TreeTooLargeError("its files are too large")
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as copy:
            while left > 0 and (data := source.read(min(left, CHUNK))):
                copy.write(data)
                left -= len(data)


def copy_tree(source: Path, target: Path, scope: CancelScope) -> None:
    """Copy the tree *source* to the new folder *target*. Raises `TreeTooLargeError`, `OSError` and `Stopped`."""
    TreeCopy(source, target, scope, max_files=MAX_FILES, max_bytes=MAX_BYTES).run()
