"""A signal ends a command in every phase: real processes, whose peer never answers, so that nothing else can end them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.credentials.login_environment import LoginEnvironment
from tests.runtime.servers import Connection, Server, chunk, chunked, silent

MAIN = "import sys; from coatcheck._cli.main import main; sys.argv[0] = 'coatcheck'; main()"
REF = "codex:task_e_1"
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
TRANSPORTS = ["pyreqwest", "httpx2"]
RUNNING = json.dumps(
    {
        "task": {"id": "task_e_1"},
        "current_assistant_turn": {"id": "t", "turn_status": "in_progress", "output_items": []},
    }
).encode()

# A phase starts a peer, and gives the URL to use and a function that returns once the command is in the phase.
Phase: TypeAlias = Callable[
    [], contextlib.AbstractContextManager[tuple[str, Callable[[subprocess.Popen[str]], object]]]
]


pytestmark = pytest.mark.slow  # each case starts a process


def run(*arguments: str, code: str = MAIN, **environ: str) -> subprocess.Popen[str]:
    """Start a command."""
    environ = {**os.environ, "CODEX_ACCESS_TOKEN": "made-up", **environ}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted(
    program: subprocess.Popen[str], number: int, is_there: Callable[[subprocess.Popen[str]], object]
) -> tuple[int, str]:
    """Send a signal once the command is where it should be; return its exit code and the last line of stderr."""
    with program:
        is_there(program)
        program.send_signal(number)
        err = program.communicate()[1]
    return program.returncode, err.splitlines()[-1] if err else ""


def read_line(program: subprocess.Popen[str]) -> str:
    """Return the next line that a command prints."""
    assert program.stdout is not None
    return program.stdout.readline()


@contextlib.contextmanager
def connecting() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer's queue of connections is full, so that it accepts no other."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        port, ours = listener.getsockname()[1], set()
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
            ours.add(waiting.getsockname()[1])
        yield f"http://127.0.0.1:{port}", lambda _: until(lambda: bool(connecting_ports(port) - ours))


def connecting_ports(port: int) -> set[int]:
    """Return the local ports of the connections to *port* that are being made (proc(5), net/tcp: 02 is SYN_SENT)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1][-4:], 16) for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "02"}


def until(condition: Callable[[], bool]) -> None:
    """Return once *condition* holds."""
    while not condition():
        os.sched_yield()


@contextlib.contextmanager
def shaking_hands() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer reads the first message of TLS and never answers."""

    def script(connection: Connection) -> None:
        connection.sock.recv(1)
        connection._server.has_request.set()
        connection.wait_for_end()

    with Server(script) as server:
        yield server.url().replace("http:", "https:"), server.wait_for_request


@contextlib.contextmanager
def awaiting_an_answer() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer reads the request and never responds."""
    with Server(silent) as server:
        yield server.url(), server.wait_for_request


@contextlib.contextmanager
def reading() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer sends the first part of the body and no more."""

    def script(connection: Connection) -> None:
        connection.receive()
        connection.send(chunked("content-type: application/json") + chunk(b'{"items": ['))
        connection._server.has_request.set()
        connection.wait_for_end()

    with Server(script) as server:
        yield server.url(), server.wait_for_request


@contextlib.contextmanager
def retrying() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer requires a pause of a minute."""

    def script(connection: Connection) -> None:
        connection.receive()
        connection.send(b"HTTP/1.1 503 Busy\r\nretry-after: 50\r\ncontent-length: 0\r\n\r\n")
        connection._server.has_request.set()
        connection.wait_for_end()

    with Server(script) as server:
        yield server.url(), server.wait_for_request


@contextlib.contextmanager
def sleeping() -> Iterator[tuple[str, Callable[[subprocess.Popen[str]], object]]]:
    """The peer reports a running task; the next poll is in an hour."""

    def script(connection: Connection) -> None:
        connection.receive()
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(RUNNING), RUNNING))
        connection._server.has_request.set()
        connection.wait_for_end()

    with Server(script) as server:
        yield server.url(), server.wait_for_request


PHASES: dict[str, Phase] = {
    phase.__name__: phase for phase in (connecting, shaking_hands, awaiting_an_answer, reading, retrying)
}
# Each phase with each transport; the signals take turns.
CASES = [
    pytest.param(phase, transport, tuple(SIGNALS)[(turn + row) % 3], id=f"{phase}-{transport}")
    for turn, phase in enumerate(PHASES)
    for row, transport in enumerate(TRANSPORTS)
]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net/tcp")
@pytest.mark.parametrize(("phase", "transport", "number"), CASES)
def test_a_request_ends_in_every_phase(home: Path, phase: str, transport: str, number: int) -> None:
    """A signal ends the command in every phase of a request, and the message names the task."""
    with PHASES[phase]() as (url, is_there):
        program = run("status", REF, "--base-url", url, COATCHECK_TRANSPORT=transport)
        ended = interrupted(program, number, is_there)

    assert (
        SIGNALS[number],
        f"coatcheck: interrupted; see the task with: coatcheck status {REF} --base-url {url}",
    ) == ended


@pytest.mark.parametrize(("verb", "number"), list(zip(["wait", "watch", "wait"], SIGNALS, strict=True)))
def test_a_sleeping_wait_ends(home: Path, verb: str, number: int) -> None:
    """A wait between two polls ends, and its message has the command that waits again."""
    with sleeping() as (url, is_there):
        program = run(verb, REF, "--interval", "1h", "--base-url", url)
        code, line = interrupted(program, number, is_there)

    assert (SIGNALS[number], True) == (code, line.endswith(f"coatcheck wait {REF} --base-url {url}"))


RESOLVING = f"""
import ctypes, socket
mutex, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)

def never(*_, **__):
    print("resolving", flush=True)
    c.pthread_mutex_lock(mutex)
    c.pthread_mutex_lock(mutex)  # no signal ends this

socket.getaddrinfo = never
{MAIN}
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_name_resolution_ends(home: Path, number: int) -> None:
    """A resolver that hangs and ignores signals does not delay the command."""
    program = run("list", "--base-url", "https://service.example", code=RESOLVING, COATCHECK_TRANSPORT="httpx2")

    assert (SIGNALS[number], "coatcheck: interrupted") == interrupted(program, number, read_line)


@pytest.mark.skipif(sys.platform == "win32", reason="a shared login is only read there")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_refresh_ends(home: Path, tmp_path: Path, number: int) -> None:
    """A login service that does not answer does not hold the command, and the login file is unchanged."""
    logins = LoginEnvironment(tmp_path)
    logins.put(logins.issue(ends_in=-10))
    before = logins.shared.read_bytes()
    with Server(silent) as server:
        environ = {**logins.environ, "CODEX_REFRESH_TOKEN_URL_OVERRIDE": server.url("/oauth/token")}
        program = run("cancel", REF, CODEX_ACCESS_TOKEN="", **environ)
        code, line = interrupted(program, number, server.wait_for_request)

    assert (SIGNALS[number], True, before) == (
        code,
        line.startswith("coatcheck: interrupted"),
        logins.shared.read_bytes(),
    )


@pytest.mark.parametrize(
    "arguments", [["submit", "Add dark mode"], ["run", "--json", "-e", "e", "x"], ["apply", "--undo"]], ids=" ".join
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_git_does_not_hold_its_command(home: Path, tmp_path: Path, arguments: list[str], number: int) -> None:
    """While git does not end, a signal ends the command that waits for it."""
    programs, events, end = tmp_path / "bin", tmp_path / "events", tmp_path / "end"
    programs.mkdir()
    os.mkfifo(events)
    os.mkfifo(end)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (programs / "git").write_text(f"#!/bin/sh\necho started >{events}\nexec cat {end}\n")
    (programs / "git").chmod(0o755)
    code = f"import os; os.chdir({str(tmp_path)!r})\n{MAIN}"
    program = run(*arguments, code=code, PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    with os.fdopen(os.open(end, os.O_RDWR)):  # git ends with this test
        ended = interrupted(program, number, lambda _: events.read_text())

    assert (SIGNALS[number], True) == (ended[0], ended[1].startswith("coatcheck: interrupted") or "run" in arguments)


def test_the_local_cloud_ends(home: Path, tmp_path: Path) -> None:
    """`serve` ends while a client holds a connection and sends nothing."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    program = run("serve", "--environment", f"owner/repo={tmp_path}", "--agent", "true", "--json")
    url = json.loads(read_line(program))["url"]
    host, _, port = url.split("/")[2].partition(":")
    with socket.create_connection((host, int(port))):
        code, _ = interrupted(program, signal.SIGTERM, lambda _: None)

    assert code in (0, 143)


def test_the_demonstration_ends(home: Path, tmp_path: Path) -> None:
    """`demo` ends in its middle, and its local cloud with it."""
    program = run("demo", "--folder", str(tmp_path / "demo"))

    assert (130, "coatcheck: interrupted") == interrupted(program, signal.SIGINT, read_line)
