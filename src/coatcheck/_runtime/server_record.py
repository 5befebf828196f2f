"""Find the local cloud that runs on this machine, through the record that it keeps of itself.

Law: the record is there while the server runs; one whose process is gone is stale and means nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from .._model.value import Value
from .config import state_dir

# The provider whose server is found here where nobody says where it is.
LOCAL = "local"
RECORD = "server.json"


class ServerRecord(Value, frozen=True, kw_only=True):
    """Where a running server is. Its ``repr`` does not show the token."""

    _hidden = frozenset({"token", "approval_key"})

    url: str
    token: str
    pid: int
    started: float
    account_id: str | None = None
    approval_key: str | None = None


def record_path(environ: Mapping[str, str]) -> str:
    """Return where a server keeps the record of itself."""
    return os.path.join(state_dir(environ), RECORD)


def running_server(environ: Mapping[str, str]) -> ServerRecord | None:
    """Return the record of the server that runs, None where none does."""
    return read_record(record_path(environ))


def read_record(path: str | os.PathLike[str]) -> ServerRecord | None:
    """Return the record at *path*, None where there is none or its process is gone."""
    try:
        with open(path, "rb") as file:
            record = msgspec.json.decode(file.read(), type=ServerRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    return record if is_running(record.pid) else None


def is_running(pid: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
