"""The host of a provider that runs on this machine in the background, through the record that its starter keeps of it.

Invariants:

- a provider has one record, ``hosts/PROVIDER.json`` in the state folder, with the address, and the name of the file with the
  token, never the token;
- a host runs if the process with the recorded number and start time does, in this boot of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from .. import errors
from .._files.private import make_private_folder, read_private, replace_file
from .._files.processes import boot_id, is_running, start_time
from .._values.decoders import decoder
from .._values.value import JsonFields, Value
from .config import state_dir

FOLDER = "hosts"
MAX_TOKEN = 10_000


class HostRecord(Value, frozen=True, kw_only=True):
    """Where a running host is. `started_at` is in seconds since the epoch."""

    url: str
    pid: int
    started: str | None = None
    started_at: float
    boot: str | None = None
    token_file: str | None = None
    log: str | None = None

    _json: ClassVar[JsonFields] = {
        "url": "its address: what `base_url` takes",
        "pid": "its process number",
        "started_at": "when it was started, in seconds since 1970",
        "token_file": "the file with its token; null where it needs none",
        "log": "the file with what it prints",
    }

    @property
    def runs(self) -> bool:
        """Whether its process runs."""
        return self.boot == boot_id() and is_running(self.pid, started=self.started)

    def read_token(self) -> str | None:
        """Return its token. Raises `NotLoggedInError` where its file cannot be read."""
        if self.token_file is None:
            return None
        content = read_private(self.token_file)
        if not content:
            raise errors.NotLoggedInError(
                f"{self.token_file} cannot be read", remedy="stop the host and start it again"
            )
        return content[:MAX_TOKEN].decode("utf-8", "replace").strip()


def host_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the records."""
    return os.path.join(state_dir(environ), FOLDER)


def running_host(environ: Mapping[str, str], provider: str) -> HostRecord | None:
    """Return the record of the host of *provider* that runs, None where none does."""
    content = read_private(_path(environ, provider))
    if content is None:
        return None
    try:
        record = decoder(HostRecord).decode(content)
    except ValueError:  # half of a record, or one of another version
        return None
    return record if record.runs else None


def write_record(environ: Mapping[str, str], provider: str, record: HostRecord) -> None:
    """Write the record of the host of *provider*."""
    import msgspec

    make_private_folder(host_folder(environ))
    replace_file(_path(environ, provider), msgspec.json.encode(record))


def new_record(url: str, pid: int, *, now: float, token_file: str | None, log: str) -> HostRecord:
    """Return the record of a process that was just started."""
    return HostRecord(
        url=url,
        pid=pid,
        started=start_time(pid),
        started_at=now,
        boot=boot_id(),
        token_file=token_file,
        log=log,
    )


def _path(environ: Mapping[str, str], provider: str) -> str:
    return os.path.join(host_folder(environ), f"{provider}.json")
