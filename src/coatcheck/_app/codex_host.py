"""Start, find and stop a Codex host on this machine: ``codex app-server`` in the background.

Guarantees:
- it listens on a Unix socket in a folder that only its owner may enter, or on loopback with a token in a file of mode 0600;
- it continues when the command, its terminal and its session have ended;
- one runs at a time; starting another returns the one that runs;
- what is stopped is the process that was started, never another one with its number.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .. import errors
from .._files.locks import LockSet
from .._files.private import make_private_folder, write_new_file
from .._runtime.host_record import HostRecord, host_folder, new_record, running_host, write_record

if TYPE_CHECKING:
    from .._protocol.effects import Clock

PROVIDER = "codex_app_server"
# How long the program may take until it listens, and until it has ended (seconds).
START_SECONDS, STOP_SECONDS, PAUSE = 60.0, 10.0, 0.05
# The longest path of a Unix socket, less the zero byte at its end (unix(7); macOS has 104).
MAX_SOCKET_PATH = 103
# Processes that go on: without a reference Python warns that they do.
_STARTED: list[subprocess.Popen[bytes]] = []
INSTALL = "install it with: npm install --global @openai/codex; or name it with: coatcheck codex-host up --program PATH"


class Listener:
    """Where a host listens: its URL, its options, and the file of its token."""

    def __init__(self, url: str, options: Sequence[str] = (), *, token_file: str | None = None) -> None:
        self.url, self.options, self.token_file = url, (url, *options), token_file

    @property
    def is_ready(self) -> bool:
        """Whether something accepts connections there."""
        is_socket = self.url.startswith("unix:")
        with socket.socket(socket.AF_UNIX if is_socket else socket.AF_INET) as probe:
            probe.settimeout(5.0)
            target = self.url.removeprefix("unix://") if is_socket else ("127.0.0.1", int(self.url.rpartition(":")[2]))
            return probe.connect_ex(target) == 0


def start_host(
    environ: Mapping[str, str], *, clock: Clock, program: str = "codex", port: int | None = None
) -> tuple[HostRecord, bool]:
    """Return the host that runs, and whether it was started now.

    With *port* it listens on loopback there (0: on a free port), else on a Unix socket.
    """
    if os.name != "posix":
        raise errors.UnsupportedError("codex-host is not supported on Windows", remedy="run it in WSL")
    folder = host_folder(environ)
    make_private_folder(folder)
    lock = LockSet((os.path.join(folder, f"{PROVIDER}.lock"),), timeout=START_SECONDS, monotonic=clock.monotonic)
    try:
        for pause in lock.pauses():
            clock.sleep(pause)
        if (record := running_host(environ, PROVIDER)) is not None:
            return record, False
        return _start(environ, folder, clock=clock, program=program, port=port), True
    finally:
        lock.release()


def _start(environ: Mapping[str, str], folder: str, *, clock: Clock, program: str, port: int | None) -> HostRecord:
    path = shutil.which(program, path=environ.get("PATH"))
    if path is None:
        raise errors.ConfigurationError(f"the program {program!r} is not installed", remedy=INSTALL)
    listener = _on_socket(folder) if port is None else _on_loopback(folder, port)
    log = os.path.join(folder, f"{PROVIDER}.log")
    write_new_file(log, b"", is_durable=False)
    command = [path, "app-server", "--listen", *listener.options]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, listener, log, clock)
    except BaseException:
        process.kill()
        process.wait()
        raise
    record = new_record(listener.url, process.pid, now=clock.time(), token_file=listener.token_file, log=log)
    write_record(environ, PROVIDER, record)
    _STARTED.append(process)
    return record


def _on_socket(folder: str) -> Listener:
    path = os.path.join(folder, f"{PROVIDER}.sock")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise errors.ConfigurationError(
            f"{path} is too long for a socket", remedy="use loopback: coatcheck codex-host up --port 0"
        )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of a host that was killed
    return Listener(f"unix://{path}")


def _on_loopback(folder: str, port: int) -> Listener:
    token_file = os.path.join(folder, f"{PROVIDER}.token")
    write_new_file(token_file, secrets.token_urlsafe(32).encode())
    number = port or _free_port()
    options = ("--ws-auth", "capability-token", "--ws-token-file", token_file)
    return Listener(f"ws://127.0.0.1:{number}", options, token_file=token_file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], listener: Listener, log: str, clock: Clock) -> None:
    end = clock.monotonic() + START_SECONDS
    while process.poll() is None:
        if listener.is_ready:
            return
        if clock.monotonic() > end:
            raise errors.TransportTimeoutError(
                f"the host does not listen after {START_SECONDS:g} s", request_sent=False, remedy=f"read {log}"
            )
        clock.sleep(PAUSE)
    reason = _last_line(log) or f"exit code {process.returncode}"
    raise errors.ConfigurationError(f"the host ended at once: {reason}", remedy=f"read {log}")


def _last_line(path: str) -> str:
    with open(path, "rb") as file:
        lines = file.read()[-4096:].decode("utf-8", "replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def stop_host(environ: Mapping[str, str], *, clock: Clock) -> HostRecord | None:
    """End the host that runs, and return its record; None where none runs. Its running tasks are paused."""
    record = running_host(environ, PROVIDER)
    if record is None:
        return None
    for number in (signal.SIGTERM, signal.SIGKILL):
        _end(record, number, clock)
        if not record.runs:
            return record
    raise errors.CoatcheckError(f"the host (process {record.pid}) does not end", remedy=f"end it: kill -9 {record.pid}")


def _end(record: HostRecord, number: int, clock: Clock) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, number)
    _reap(record.pid)
    end = clock.monotonic() + STOP_SECONDS
    while record.runs and clock.monotonic() < end:
        clock.sleep(PAUSE)
        _reap(record.pid)


def _reap(pid: int) -> None:
    """Collect the exit status of a process that this process has started: until then it counts as running."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def host_status(environ: Mapping[str, str]) -> HostRecord | None:
    """Return the host that runs, None where none does."""
    return running_host(environ, PROVIDER)
