"""Read whole files without waiting for a writer and without an end that never comes.

Invariants:

- `read_regular_file` opens without blocking and reads nothing but a regular file: a named pipe would wait for a writer,
  a device may have no end;
- `read_named_file` is for files that a person names for one command: pipes (``<(…)`` of a shell, ``/dev/stdin``),
  terminals and ``/dev/null`` are read to their end;
- everything else is an `OSError` whose ``strerror`` names the kind of file.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

# Not all systems have each. O_BINARY is of Windows: no translation of line ends.
FLAGS: int = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a named pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


def read_regular_file(path: str | os.PathLike[str], *, limit: int = -1, flags: int = 0) -> bytes:
    """Return the content of a regular file, at most *limit* bytes. Raises `OSError`, with a reason for other kinds.

    *flags* are further flags of `os.open`.
    """
    descriptor = open_regular_file(path, flags=flags)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)


def open_regular_file(path: str | os.PathLike[str], *, flags: int = 0) -> int:
    """Return a descriptor of a regular file, open for reading. Raises `OSError`, with a reason for other kinds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | FLAGS | flags)
    except OSError as error:
        if error.errno == errno.ENXIO:  # of Linux for a socket
            raise _wrong_kind(stat.S_IFSOCK, path) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _wrong_kind(mode, path)
    return descriptor


def read_named_file(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file, a pipe or a terminal. Raises `OSError`, with a reason for other kinds."""
    with open_named_file(path) as file:
        return file.read()


def open_named_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file, a pipe or a terminal for reading. Raises `OSError`, with a reason for other kinds."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise _wrong_kind(mode, path)
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    if stat.S_ISCHR(mode) and not (file.isatty() or os.path.samefile(path, os.devnull)):
        file.close()
        raise _wrong_kind(mode, path)
    return file


def _wrong_kind(mode: int, path: str | os.PathLike[str]) -> OSError:
    reason = next((reason for is_kind, reason in KINDS if is_kind(mode)), "it is not a regular file")
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    return OSError(number, reason, os.fspath(path))
