"""Whether the store has what was observed already, found out without opening it.

A list that shows nothing new is the ordinary case of a command that is repeated, and opening the store takes a quarter of
its time (``bench/cli.py``). A file beside the store names the observations that changed nothing in its present state.

Invariants:

- an observation is only named after a transaction that wrote nothing, with the state that the store's file had while that
  transaction held the write lock: whatever is written later changes that state;
- the state is not known while the write-ahead log has content, and soon after a change, because times of files are coarse
  (git treats its index so: https://git-scm.com/docs/racy-git);
- the file has digests alone. Without it, and on PostgreSQL, the store is opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .._files.private import read_private, replace_file
from .._values.hashes import hash_function
from .._version import __version__
from .sqlite import FILE

if TYPE_CHECKING:
    from .._model.tasks import Task

NAME = "unchanged"
# A change within so many nanoseconds of another may leave the time of the file as it was.
COARSEST_TIME = 2_000_000_000
MOST_KEYS = 16


def key_of(tasks: Sequence[Task], level: str) -> str | None:
    """Return a digest of what *tasks* show, None where there is none."""
    try:
        shown = msgspec.json.encode([msgspec.structs.replace(task, raw=b"") for task in tasks], enc_hook=_plain)
    except (TypeError, ValueError):  # a lone surrogate, or a value of another library
        return None
    digest: str = hash_function("blake2b")(f"{__version__} {level} ".encode() + shown, digest_size=16).hexdigest()
    return digest


def _plain(value: Any) -> bytes:
    return bytes(value)  # a patch


def state_of(folder: str) -> str | None:
    """Return what differs after every change of the store in *folder*, None where it is not known."""
    path = os.path.join(folder, FILE)
    try:
        status = os.stat(path)
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
            return None
    except OSError:
        return None
    if time.time_ns() - status.st_mtime_ns < COARSEST_TIME:
        return None
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def is_recorded(folder: str, key: str) -> bool:
    """Whether the observation *key* changes nothing in the store as it is."""
    state, keys = _read(folder)
    return key in keys and state == state_of(folder)


def mark_recorded(folder: str, key: str, state: str) -> None:
    """Record that the observation *key* changed nothing when the store had this *state*. Raises nothing."""
    known, keys = _read(folder)
    kept = [each for each in keys if each != key][-MOST_KEYS + 1 :] if known == state else []
    try:
        replace_file(os.path.join(folder, NAME), "\n".join((state, *kept, key)).encode(), is_durable=False)
    except OSError:  # a full disk or a read-only folder: the next command opens the store
        return


def _read(folder: str) -> tuple[str, Sequence[str]]:
    """Return the state of the store, and the observations that change nothing in it."""
    try:
        content = read_private(os.path.join(folder, NAME)) or b""
    except OSError:
        return "", ()
    state, *keys = content.decode("utf-8", "replace").split("\n")
    return state, keys
