"""Files that only their owner may read, replaced atomically.

Invariants:

- a file has mode 0600, a folder that is created here has mode 0700;
- `replace_file` writes a temporary file in the same folder and renames it: readers see the old or the new content;
- temporary files are created with ``O_EXCL`` and ``O_NOFOLLOW``, so a link that waits under their name is not followed;
- a file that is opened again to be filled must be a regular file of this user with one link;
- functions block and raise `OSError`; that of `replace_file` names the file that was to be replaced.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from .reading import read_regular_file

# A login is 5 kB; a larger file is something else.
MAX_SIZE = 1024 * 1024
NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
CLOSE_ON_EXEC: int = getattr(os, "O_CLOEXEC", 0)


def make_private_folder(path: str) -> None:
    """Create a folder that only its owner may enter, and so the folders that it is in, unless they exist."""
    parent = os.path.dirname(path)
    if parent and not os.path.exists(parent):
        make_private_folder(parent)  # `os.makedirs` would create it with the default mode
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def create_private_file(path: str) -> None:
    """Create an empty file that only its owner may read, unless it exists."""
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | CLOSE_ON_EXEC, 0o600))


def replace_file(path: str, data: bytes, *, is_durable: bool = True, modified: float | None = None) -> None:
    """Replace the file *path* by *data* atomically, and create it if there is none.

    It is on the disk when this returns, unless *is_durable* is False. *modified* sets its modification time.
    """
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.new"
    try:
        write_new_file(temporary, data, is_durable=is_durable)
        if modified is not None:
            os.utime(temporary, (modified, modified))
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):  # a full disk names no file, and the temporary one says nothing to a user
            error.filename, error.filename2 = path, None
        raise
    if is_durable:
        sync_folder(os.path.dirname(path))


def write_new_file(path: str, data: bytes, *, is_durable: bool = True) -> None:
    """Write a new file in place of any file or link of this name."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | CLOSE_ON_EXEC, 0o600)
    _write(descriptor, data, is_durable=is_durable)


def reserve_file(path: str, size: int) -> None:
    """Write a new file of *size* blanks, so that `fill_file` needs no further space on the disk."""
    write_new_file(path, b" " * size)


def fill_file(path: str, data: bytes) -> None:
    """Write *data* into the file that `reserve_file` created, or into a new one, and wait until it is on the disk.

    A crash in between leaves a part of *data* before blanks, which is not JSON.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | NO_FOLLOW | CLOSE_ON_EXEC)
    except OSError:
        return write_new_file(path, data)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.geteuid():
        os.close(descriptor)
        return write_new_file(path, data)
    return _write(descriptor, data, is_durable=True)


def _write(descriptor: int, data: bytes, *, is_durable: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:  # which does not truncate
        file.write(data)
        file.flush()
        os.ftruncate(file.fileno(), len(data))
        if is_durable:
            os.fsync(file.fileno())


def read_private(path: str) -> bytes | None:
    """Return the content of a file of ours, None if there is none or it cannot be read."""
    try:
        return read_regular_file(path, limit=MAX_SIZE, flags=NO_FOLLOW)
    except OSError:
        return None


def sync_folder(path: str) -> None:
    """Wait until a rename in a folder is on the disk; not every system can."""
    with suppress(OSError):
        descriptor = os.open(path or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_read_only(folder: str) -> bool:
    """Whether nothing can be created in *folder*, or it has no write permission for anyone (root could write)."""
    with suppress(OSError):
        if not os.stat(folder).st_mode & 0o222:
            return True
    return not os.access(folder, os.W_OK | os.X_OK)
