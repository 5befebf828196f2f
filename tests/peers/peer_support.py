"""The official Codex CLI and ours, with one cloud, in an environment without other settings."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

OURS = Path(sys.executable).with_name("coatcheck")
PEERS = Path(sys.prefix) / "peers" / "bin"

# No command here does more than a few requests over loopback; one that hangs must not hang the run (seconds).
TIME_LIMIT = 240

# The official client's coarser words (docs/reference/protocols/codex-wham.md, 3).
COARSE = {
    "queued": "pending",
    "running": "pending",
    "unknown": "pending",
    "succeeded": "ready",
    "failed": "error",
    "cancelled": "error",
}

# The messages that make the official client's app-server request the usage.
USAGE_REQUESTS: list[dict[str, Any]] = [
    {"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "peers", "version": "1"}}},
    {"method": "initialized", "params": {}},
    {"id": 1, "method": "account/rateLimits/read", "params": None},
]

NO_SUMMARY = {"files": 0, "added": 0, "removed": 0}


def find_codex() -> str:
    """Return the official client that `make peers` installs."""
    found = shutil.which("codex", path=f"{PEERS}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.fail("the Codex CLI is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    return found


class Done:
    """The exit code and the output of a program."""

    def __init__(self, code: int, data: bytes, err: str) -> None:
        self.code, self.data, self.err = code, data, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n--- stderr\n{self.err}"

    @property
    def out(self) -> str:
        return self.data.decode()

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.data)


class CommandLines:
    """Both programs with one login and an empty working directory."""

    def __init__(self, folder: Path, *, url: str, codex_home: Path) -> None:
        (folder / "cwd").mkdir(parents=True)
        self.folder, self.url = folder, url
        self.environ = bare_environ(folder) | {
            "CODEX_HOME": str(codex_home),
            "CODEX_CLOUD_TASKS_BASE_URL": url,
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{url.removesuffix('/backend-api')}/oauth/token",
        }
        self._codex = find_codex()

    def codex(self, *arguments: str, folder: Path | None = None, input: bytes = b"") -> Done:
        """Run the official client, never in the repository: it writes an ``error.log`` into the working directory."""
        return self._run(self._codex, *arguments, folder=folder, input=input)

    def cloud(self, *arguments: str, folder: Path | None = None, input: bytes = b"") -> Done:
        """Run ``codex cloud``."""
        return self.codex("cloud", *arguments, folder=folder, input=input)

    def ours(self, *arguments: str, folder: Path | None = None, input: bytes = b"") -> Done:
        """Run ``coatcheck`` with the login and the address that the official client has."""
        return self._run(str(OURS), *arguments, folder=folder, input=input)

    def _run(self, *command: str, folder: Path | None, input: bytes) -> Done:
        done = subprocess.run(
            command,
            cwd=folder or self.folder / "cwd",
            env=self.environ,
            input=input,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def usage_of_app_server(self) -> dict[str, Any]:
        """Return the usage that the official client reports, or its error (JSON-RPC over the app-server's pipes)."""
        command = [self._codex, "app-server"]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            bufsize=0,
            start_new_session=True,
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                for message in USAGE_REQUESTS:
                    server.stdin.write(json.dumps(message).encode() + b"\n")
                server.stdin.flush()
                while True:
                    assert select.select([server.stdout], [], [], TIME_LIMIT)[0], "the app-server does not answer"
                    answer = json.loads(server.stdout.readline())
                    if answer.get("id") == USAGE_REQUESTS[-1]["id"]:
                        return answer  # type: ignore[no-any-return]
            finally:
                os.killpg(server.pid, signal.SIGKILL)

    def submit(self, prompt: str, *, attempts: int = 1) -> str:
        """Submit with ours and return the task's id."""
        done = self.ours("submit", "-e", "owner/repo", "-b", "main", "-n", str(attempts), "--json", prompt)
        return str(done.json["id"])

    def exec(self, prompt: str, *, attempts: int = 1) -> str:
        """Submit with the official client and return the task's id."""
        done = self.cloud("exec", "--env", "owner/repo", "--branch", "main", "--attempts", str(attempts), prompt)
        assert done.code == 0, done
        return done.out.strip().rpartition("/")[2]


def bare_environ(folder: Path) -> dict[str, str]:
    """Return an environment without settings, with a home in *folder*; Python's own settings stay."""
    (folder / "home").mkdir(parents=True, exist_ok=True)
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "COVERAGE_"))} | {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@contextlib.contextmanager
def started(log: Path, command: list[str], port: int, *, environ: Mapping[str, str]) -> Iterator[None]:
    """Run a server at *port* for the duration of the context, and end its process group; its output is in *log*."""
    with log.open("wb") as file:
        server = subprocess.Popen(
            command, stdout=file, stderr=file, env=environ, cwd=log.parent, start_new_session=True
        )
    try:
        wait_for(port, log)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(port: int, log: Path) -> None:
    """Wait until a server listens at *port*."""
    deadline = time.monotonic() + TIME_LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)  # another program starts; no event reports when
    pytest.fail(f"it does not start: {log.read_text()}", pytrace=False)


def free_ports(count: int) -> list[int]:
    """Return unused ports."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@contextlib.contextmanager
def run_serve(folder: Path, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Run ``coatcheck serve`` in a process group of its own; yields its ready line, and ends the group.

    *environ* are variables beside those of `bare_environ`.
    """
    command = [str(OURS), "serve", "--json", *options]
    with (folder / "serve.err").open("wb") as errors:
        server = subprocess.Popen(
            command,
            env={**bare_environ(folder), **(environ or {})},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert server.stdout is not None
    try:
        assert select.select([server.stdout], [], [], TIME_LIMIT)[0], "the server does not start"
        line = server.stdout.readline()
        assert line, (folder / "serve.err").read_text()
        yield json.loads(line)
        server.send_signal(signal.SIGINT)
        assert server.wait(TIME_LIMIT) == 0, (folder / "serve.err").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        server.stdout.close()


def git(*arguments: str | Path, environ: Mapping[str, str]) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(
        ["git", *arguments], env=environ, check=True, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    return done.stdout


def create_site(path: Path, *, environ: Mapping[str, str]) -> None:
    """Create the repository that agents change."""
    git("init", "-q", "-b", "main", path, environ=environ)
    (path / "hello.txt").write_text("hello\n")
    git("-C", path, "add", ".", environ=environ)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    git("-C", path, *who, "commit", "-q", "-m", "Say hello", environ=environ)


def tree_of(checkout: Path, *, environ: Mapping[str, str]) -> str:
    """Return the tree id of a checkout's content, staged or not, without the official client's ``error.log``."""
    (checkout / "error.log").unlink(missing_ok=True)
    git("-C", checkout, "add", "--all", environ=environ)
    return git("-C", checkout, "write-tree", environ=environ).strip()


def facts(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the official ``list --json`` for our *task*."""
    stats = task["stats"] or NO_SUMMARY
    return {
        "id": task["id"],
        "url": task["url"],
        "title": task["title"],
        "status": COARSE[task["state"]],
        "environment_label": task["environment_label"],
        "summary": {
            "files_changed": stats["files"],
            "lines_added": stats["added"],
            "lines_removed": stats["removed"],
        },
        "is_review": bool(task["is_review"]),
        "attempt_total": task["attempt_total"],
    }


def official(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the official fields of a task without its time, which `moment` compares, and an id that is always null."""
    return {name: value for name, value in task.items() if name not in ("updated_at", "environment_id")}


def moment(text: str) -> float:
    """Return an RFC 3339 time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
