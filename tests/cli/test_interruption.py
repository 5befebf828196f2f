"""Signals: real processes, in front of a server that never answers."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.runtime.servers import Server, silent

from coatcheck import errors
from coatcheck._cli.app import run
from coatcheck._cli.console import Console
from coatcheck._cli.interruption import Interruption
from coatcheck._cli.process_env import ProcessEnv
from coatcheck._protocol.effects import Request, Response
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

MAIN = "import sys; from coatcheck._cli.main import main; sys.argv[0] = 'coatcheck'; main()"
REF = "codex:task_e_1"
COMMANDS = [
    ("list",),
    ("cancel", REF),
    ("watch", REF, "codex:task_e_2"),
    ("submit", "--environment", "e", "x"),
    ("run", "--json", "--environment", "e", "x"),
    ("environments", "--json"),
]


def interrupted(server: Server, number: int, *arguments: str, transport: str = "pyreqwest") -> tuple[int, str]:
    """Send a signal to a command whose request is not answered, and return its exit code and what it wrote to stderr."""
    environ = {**os.environ, "CODEX_ACCESS_TOKEN": "made-up", "COATCHECK_TRANSPORT": transport}
    command = [sys.executable, "-c", MAIN, *arguments, "--base-url", server.url("/backend-api")]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as program:
        server.wait_for_request(program)
        program.send_signal(number)
        err = program.communicate()[1]
        return program.returncode, err


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_command_ends_while_the_service_is_silent(home: Path, arguments: tuple[str, ...]) -> None:
    """Ctrl-C during a request ends every command with 130 and a last line about it."""
    with Server(silent) as server:
        code, err = interrupted(server, signal.SIGINT, *arguments)

    assert (130, True) == (code, err.splitlines()[-1].startswith("coatcheck: interrupted"))


@pytest.mark.parametrize(
    ("number", "code", "transport", "options"),
    [
        (signal.SIGTERM, 143, "pyreqwest", ["--json"]),
        (signal.SIGHUP, 129, "httpx2", ["--json"]),
        (signal.SIGINT, 130, "httpx2", []),
    ],
)
def test_every_signal_names_the_task(home: Path, number: int, code: int, transport: str, options: list[str]) -> None:
    """After every signal the ref and the command that resumes are on stderr, and the exit code names the signal."""
    with Server(silent) as server:
        ended = interrupted(server, number, "wait", REF, *options, transport=transport)
        resume = f"coatcheck wait {REF} --base-url {server.url('/backend-api')}"

    assert (code, f"coatcheck: interrupted; the task is still running; resume with: {resume}\n") == ended


STUCK = """
import threading
from coatcheck._cli.interruption import Interruption

interruption = Interruption()
interruption.expect("come back")
interruption.install()
words = iter(["ready"])
while True:
    try:
        for word in words:
            print(word, flush=True)
        threading.Event().wait()
    except BaseException:  # the signal changes nothing here, as in native code
        pass
"""


def test_a_command_that_does_not_end_is_ended() -> None:
    """Where a signal does not end the main thread, the process ends with the line that it would have printed."""
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(signal.SIGTERM)
        err = program.communicate()[1]

    assert (143, "coatcheck: interrupted; come back\n") == (program.returncode, err)


def test_an_ignored_signal_stays_ignored(home: Path) -> None:
    """Under nohup a command survives the end of its terminal: an ignored SIGHUP stays ignored."""
    script = 'trap "" HUP; exec "$@"'
    with Server(silent) as server:
        environ = {**os.environ, "CODEX_ACCESS_TOKEN": "made-up"}
        command = ["sh", "-c", script, "sh", sys.executable, "-c", MAIN, "list", "--base-url", server.url()]
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as program:
            server.wait_for_request(program)
            program.send_signal(signal.SIGHUP)
            program.send_signal(signal.SIGTERM)
            program.communicate()

    assert 143 == program.returncode


PROMPT = """
import sys
from coatcheck._cli import app
from coatcheck._cli.interruption import Interruption
from coatcheck._cli.main import leave
from coatcheck._cli.process_env import ProcessEnv

interruption = Interruption()
interruption.install()
leave(app.run(["delete", "codex:task_e_1"], ProcessEnv.of_process(interruption)))
"""


def test_a_question_can_be_left(home: Path) -> None:
    """SIGTERM while a question waits for its answer ends the command, and names the task."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "CODEX_ACCESS_TOKEN": "made-up"}
    with subprocess.Popen(
        [sys.executable, "-c", PROMPT], env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    ) as program:
        os.close(theirs)
        output = b""
        while b"permanently?" not in output:
            output += os.read(ours, 1000)
        program.send_signal(signal.SIGTERM)
        program.wait()
    output += os.read(ours, 1000)
    os.close(ours)

    assert (143, True) == (program.returncode, b"coatcheck status codex:task_e_1" in output)


def test_a_pager_ends_with_its_command() -> None:
    """SIGHUP, SIGTERM and Ctrl-C end the pager that the command waits for, too."""
    code = (
        "import os, sys\n"
        "from coatcheck._cli.interruption import Interruption\n"
        "from coatcheck._cli.pager import show\n"
        "Interruption().install()\n"
        "pager = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)']\n"
        "show([], pager, environ=os.environ)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.send_signal(signal.SIGTERM)
        program.communicate()  # ends when the pager, too, has closed the pipe

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("arguments", [["list"], ["wait", REF], ["status", REF, "--json"]], ids=" ".join)
@pytest.mark.parametrize(
    "error",
    [
        errors.TransportError("the connection was reset"),
        errors.ConfigurationError("this client is closed"),
        OSError(28, "No space left on device"),
        ValueError("a defect"),
        click.Abort(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_reported_for_any_error(
    tmp_path: Path, number: int, error: BaseException, arguments: list[str]
) -> None:
    """An interrupted command ends with the code of its signal, for any error that the interruption caused."""
    interruption = Interruption()

    class Service:
        def handle(self, request: Request) -> Response:
            interruption.number = number
            raise error

    out, err = io.BytesIO(), io.BytesIO()
    environ = {"HOME": str(tmp_path), "CODEX_ACCESS_TOKEN": "made-up"}
    process_env = ProcessEnv(
        environ=environ,
        folder=str(tmp_path),
        stdin=io.BytesIO(),
        console=Console(out, err, environ=environ),
        transport=EmulatorTransport(Service()),
        clock=FakeClock(),
        interruption=interruption,
    )
    code = run(arguments, process_env)

    last = err.getvalue().splitlines()[-1]

    assert (128 + number, b"coatcheck: interrupted") == (code, last[:22])
