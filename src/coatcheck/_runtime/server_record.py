"""Find the local clouds that run on this machine, through the record that each keeps of itself.

Guarantees:

- each server has one record, ``servers/NAME/server.json`` in the state folder, and removes only that one;
- a server holds a lock on its record while it runs. The kernel releases the lock when the process ends in any
  way, so the record of a killed server is recognised, also when its process number belongs to another program now.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from .. import errors
from .._files.locks import is_locked, lock_descriptor
from .._files.processes import boot_id, is_running
from .._files.reading import open_regular_file
from .._values.decoders import decoder
from .._values.value import Value
from .config import state_dir

# The provider whose server is found here unless an address is given.
LOCAL = "local"
FOLDER, RECORD = "servers", "server.json"
BASE_URL = "COATCHECK_LOCAL_BASE_URL"


class ServedEnvironment(Value, frozen=True, kw_only=True):
    """An environment of a running server; `path` is its repository on this machine."""

    id: str
    label: str
    repository: str | None = None
    path: str | None = None

    def is_named(self, name: str) -> bool:
        """Whether *name* is its id, label, repository or path."""
        names = (self.label, self.repository or "")
        return name in (self.id, self.path) or name.casefold() in map(str.casefold, filter(None, names))


class ServerRecord(Value, frozen=True, kw_only=True):
    """Where a running server is. Its ``repr`` does not show the token.

    `task_prefix` begins the ids of the tasks that it makes; `boot` is the machine's boot id, None where it has none.
    """

    _hidden = frozenset({"token", "approval_key"})

    url: str
    token: str
    pid: int
    started: float
    account_id: str | None = None
    approval_key: str | None = None
    environments: tuple[ServedEnvironment, ...] = ()
    task_prefix: str | None = None
    boot: str | None = None

    def serves(self, environment: str) -> bool:
        """Whether one of its environments has this name."""
        return any(each.is_named(environment) for each in self.environments)

    def has_task(self, id: str) -> bool:
        """Whether it made the task with this id, as far as the id shows."""
        return bool(self.task_prefix) and id.startswith(self.task_prefix or "")


def record_path(environ: Mapping[str, str]) -> str:
    """Return where a new server of this process keeps its record."""
    return os.path.join(state_dir(environ), FOLDER, f"{os.getpid()}-{os.urandom(4).hex()}", RECORD)


def record_paths(environ: Mapping[str, str]) -> list[str]:
    """Return where servers keep their records, stale ones included."""
    folder = os.path.join(state_dir(environ), FOLDER)
    try:
        return [os.path.join(folder, name, RECORD) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


def running_servers(environ: Mapping[str, str]) -> Sequence[ServerRecord]:
    """Return the records of the servers that run on this machine, the first one started first."""
    records = filter(None, map(read_record, record_paths(environ)))
    return sorted(records, key=lambda record: record.started)


def running_server(
    environ: Mapping[str, str], *, environments: Iterable[str] = (), tasks: Iterable[str] = ()
) -> ServerRecord | None:
    """Return the record of the server that made *tasks* or serves one of *environments*, None where no server runs.

    A single server needs no choice. Raises `ConfigurationError` that lists the servers where none or several fit.
    """
    servers = running_servers(environ)
    if len(servers) < 2:
        return servers[0] if servers else None
    tasks, environments = tuple(tasks), tuple(environments)
    makers = [server for server in servers if tasks and all(map(server.has_task, tasks))]
    serving = [server for server in servers if any(map(server.serves, environments))]
    for fitting in (makers, serving):
        if len(fitting) == 1:
            return fitting[0]
    raise errors.ConfigurationError(_problem(servers, tasks, environments), remedy=_remedy(servers))


def _problem(servers: Sequence[ServerRecord], tasks: Sequence[str], environments: Sequence[str]) -> str:
    subject = ", ".join(tasks or environments)
    return (
        f"{len(servers)} local clouds run, and it is not clear which one {f'has {subject}' if subject else 'is meant'}"
    )


def _remedy(servers: Sequence[ServerRecord]) -> str:
    described = (f"{server.url} ({', '.join(each.label for each in server.environments)})" for server in servers)
    return f"name an environment of one server, or set --base-url or {BASE_URL} to one of: {'; '.join(described)}"


def server_at(environ: Mapping[str, str], url: str) -> ServerRecord | None:
    """Return the record of the running server whose address is *url*, None where there is none."""
    wanted = _address(url)
    return next((server for server in running_servers(environ) if _address(server.url) == wanted), None)


def _address(url: str) -> str:
    plain = url.strip().rstrip("/").removesuffix("/backend-api").rstrip("/")
    return plain.lower().replace("//localhost:", "//127.0.0.1:")


def read_record(path: str | os.PathLike[str]) -> ServerRecord | None:
    """Return the record at *path*, None where there is none or its server does not run on this machine."""
    try:
        with os.fdopen(open_regular_file(path), "rb") as file:
            record = decoder(ServerRecord).decode(file.read())
            is_held = is_locked(file.fileno())
    except (OSError, ValueError):
        return None
    if record.boot is not None and record.boot != boot_id():
        return None  # a state folder that several machines share
    return record if (is_running(record.pid) if is_held is None else is_held) else None


def lock_record(descriptor: int) -> bool:
    """Lock the open record *descriptor* for as long as it is open; whether that worked at once."""
    try:
        return lock_descriptor(descriptor)
    except (OSError, errors.UnsupportedError):  # Windows, and file systems without locks
        return False
