"""Output to a terminal, and errors of standard output."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli
from tests.runtime.servers import Server, answer, answering

from coatcheck._cli.app import run
from coatcheck._cli.console import Console, OutputClosedError, OutputError, Styled, TextStream
from coatcheck._cli.process_env import ProcessEnv
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.models import CloudEnvironment, CloudFile, CloudResult
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport

COMMAND = (sys.executable, "-P", "-c", "from coatcheck._cli.main import main; main()")

# A title, a clearing of the screen, C1's CSI, DEL, an override, an isolate, and characters of no width.
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eevil\u2066\u200b\ufeff\u200d\U000e0041"
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0041]")
OURS = re.compile("\x1b\\[[0-9;]*m|\r\x1b\\[K")


def evil_cloud() -> ScriptedCloud:
    """Return a cloud that puts harmful characters into every text that it sends."""
    name = "".join(f"\\{byte:03o}" for byte in f"new{EVIL}.py".encode())
    diff = (
        f'{DIFF}diff --git "a/{name}" "b/{name}"\nnew file mode 100644\n--- /dev/null\n+++ "b/{name}"\n'
        f'@@ -0,0 +1 @@\n+x = "{EVIL}"  # {EVIL}\n'
    )
    result = CloudResult(
        messages=(f"Done.\n{EVIL}",),
        diff=diff,
        title=f"title{EVIL}",
        body=f"body{EVIL}",
        files=(CloudFile(path=f"new{EVIL}.py", content=f"x = '{EVIL}'\n"),),
        worklog=(EVIL,),
    )
    environment = CloudEnvironment(id="e1", label=f"owner/repo{EVIL}", repository="owner/repo", default_branch=EVIL)
    scripts = [AttemptScript(timeline=["completed"], result=result)] * 2
    return ScriptedCloud(attempts=scripts, environments=[environment])


COMMANDS = [
    "list",
    "environments",
    "usage",
    "models",
    "config",
    "providers",
    "auth",
    "status REF",
    "show REF",
    "show --attempt 2 REF",
    "show --format markdown REF",
    "show --format mail REF",
    "show --format chat REF",
    f"show --file new{EVIL}.py REF",
    f"show --file missing{EVIL} REF",
    "wait REF",
    "watch REF",
    "attempts REF",
    "diff REF",
    "diff --color REF",
    "diff --stat REF",
    "diff --name-only REF",
    "diff --between 1 2 REF",
    "message REF more",
    "archive REF",
    "unarchive REF",
    "apply --check REF",
    f"status codex:{EVIL}",
    f"list -e {EVIL}",
    f"list --filter {EVIL}",
    f"list --{EVIL}",
    f"submit -e {EVIL} go",
    f"submit -e e1 {EVIL}",
    f"run -e e1 {EVIL}",
    f"{EVIL}",
]


@pytest.fixture
def evil(tmp_path: Path) -> Cli:
    """A command line on a terminal, in front of a cloud that sends harmful characters."""
    cli = Cli(tmp_path, evil_cloud())
    cli.is_terminal = True
    return cli


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.replace(EVIL, "EVIL"))
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_no_command_prints_harmful_characters_to_a_terminal(evil: Cli, command: str, options: tuple[str, ...]) -> None:
    """A terminal gets printable characters and our colours, for all texts of services, agents and arguments."""
    ref = evil.submit(prompt=f"go {EVIL}") if "REF" in command else ""
    done = evil(*(word.replace("REF", ref) for word in command.split(" ")), *options)
    printed = OURS.sub("", done.out + done.err)

    assert "" != printed
    assert [] == HARMFUL.findall(printed)


def test_json_in_a_pipe_has_the_characters(evil: Cli) -> None:
    """A program reads the text as it is; on a terminal the same document is escaped."""
    ref = evil.submit()
    on_terminal = evil("show", "--json", "--refresh", ref)
    evil.is_terminal = False
    piped = evil("show", "--json", "--refresh", ref)

    assert "\u202e" in piped.out
    assert piped.json == on_terminal.json


def test_a_diff_in_a_pipe_has_its_bytes(evil: Cli) -> None:
    """What git reads is not changed."""
    ref = evil.submit()
    evil.is_terminal = False

    assert EVIL.encode() in evil("diff", ref).data


def shown(text: str, *, encoding: str, is_json: bool = False) -> bytes:
    """Return what a terminal of an encoding is sent for *text*."""
    out = io.BytesIO()
    console = Console(out, io.BytesIO(), environ={}, encoding=encoding, is_terminal=True)
    console.write_json(f'"{text}"\n'.encode()) if is_json else console.write(f"{text}\n".encode())
    return out.getvalue()


def test_json_on_a_terminal_of_another_encoding_is_ascii() -> None:
    """The UTF-8 of an Û holds 0x9B, which is a control character to a terminal that reads Latin-1."""
    assert (b'"\\u00db2J"\n', b"\xdb2J\n") == (
        shown("\xdb2J", encoding="latin-1", is_json=True),
        shown("\xdb2J", encoding="latin-1"),
    )


def test_text_of_other_code_is_escaped() -> None:
    """click, logging and tracebacks print through a stream that escapes, and keeps lines and tabs."""
    out = io.BytesIO()
    stream = TextStream(out, encoding="utf-8", is_result=False, is_escaped=True)  # type: ignore[arg-type]
    print(f"Traceback:\n\tValueError: {EVIL}", file=stream)

    assert out.getvalue().startswith(b"Traceback:\n\tValueError: \\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\x7f\\u202eevil")


def read_all(controller: int) -> str:
    """Return what was written to a terminal until its last user is gone."""
    data = b""
    while True:
        try:
            piece = os.read(controller, 65_536)
        except OSError:  # EIO: how Linux reports that no process has it open any more
            piece = b""
        if not piece:
            return data.decode().replace("\r\n", "\n")
        data += piece


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_real_terminal_is_safe(tmp_path: Path, term: str) -> None:
    """A pager on a pseudo-terminal gets no harmful character, and on a dumb terminal no escape sequence."""
    cloud = evil_cloud()
    with serving(cloud) as url:
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": term, "LANG": "C.UTF-8", "PAGER": "cat -"}
        environ |= {"COATCHECK_CODEX_BASE_URL": url, "CODEX_ACCESS_TOKEN": cloud.tokens.access_token}
        controller, terminal = pty.openpty()
        command = [*COMMAND, "run", "-e", "e1", f"go {EVIL}"]
        process = subprocess.Popen(command, stdout=terminal, stderr=terminal, stdin=terminal, cwd=tmp_path, env=environ)
        os.close(terminal)
        printed = read_all(controller)
        os.close(controller)
    text = printed if term == "dumb" else OURS.sub("", printed)

    assert (0, True, []) == (process.wait(240), "\\u202eevil" in text, HARMFUL.findall(text))


class Broken(io.BytesIO):
    """A stream that cannot be written."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__()

    def write(self, data: object) -> int:
        raise OSError(self.number, os.strerror(self.number))


class Printed:
    """One run whose standard output, or standard error, is broken."""

    def __init__(self, cli: Cli, *arguments: str, out: io.BytesIO | None = None, err: io.BytesIO | None = None) -> None:
        self.out, self.err = out or io.BytesIO(), err or io.BytesIO()
        kept = os.dup(1)
        try:
            process_env = ProcessEnv(
                environ=cli.environ,
                folder=str(cli.folder),
                stdin=io.BytesIO(),
                console=Console(self.out, self.err, environ=cli.environ),
                transport=EmulatorTransport(cli.cloud),
                clock=cli.clock,
            )
            self.code = int(run(arguments, process_env))
        finally:
            os.dup2(kept, 1)
            os.close(kept)


PRINTING = [command for command in COMMANDS if EVIL not in command]


@pytest.mark.parametrize("command", PRINTING)
@pytest.mark.parametrize(
    ("expected", "number", "options"),
    [(74, errno.ENOSPC, ()), (74, errno.EBADF, ("--json",)), (141, errno.EPIPE, ()), (141, errno.EPIPE, ("--json",))],
    ids=["full", "closed, json", "pipe", "pipe, json"],
)
def test_output_that_cannot_be_written_is_an_error(
    tmp_path: Path, expected: int, number: int, command: str, options: tuple[str, ...]
) -> None:
    """Every command has one documented exit code for it, at most a line, and no traceback."""
    scripts = [AttemptScript(timeline=["completed"], result=CloudResult(messages=("Hi.",), diff=DIFF))] * 2
    cli = Cli(tmp_path, ScriptedCloud(attempts=scripts))
    ref = cli.submit("--attempts", "2") if "REF" in command else ""
    done = Printed(cli, *(word.replace("REF", ref) for word in command.split(" ")), *options, out=Broken(number))
    output = done.err.getvalue().decode()

    assert done.code in (expected, 2, 9)
    assert "bug" not in output
    assert "Traceback" not in output


def test_the_reason_is_printed(cli: Cli) -> None:
    """A full disk is called one."""
    done = Printed(cli, "models", out=Broken(errno.ENOSPC))

    assert b"coatcheck: cannot write to standard output: No space left on device\n" == done.err.getvalue()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE], ids=["full", "pipe"])
def test_a_submitted_task_is_not_lost(cli: Cli, number: int) -> None:
    """A ref that cannot be printed to stdout is printed to stderr, with --json as well."""
    done = Printed(cli, "submit", "-e", "owner/repo", "--json", "go", out=Broken(number))
    (ref,) = (task["ref"] for task in cli("list", "--json").json["tasks"])

    assert f"the task was submitted; wait for it with: coatcheck wait {ref}" in done.err.getvalue().decode()


def test_an_error_is_printed_to_the_open_stream(cli: Cli) -> None:
    """An error that cannot be printed as JSON is printed to stderr, with its exit code."""
    done = Printed(cli, "list", "--limit", "0", "--json", out=Broken(errno.ENOSPC))

    assert (2, True) == (done.code, done.err.getvalue().startswith(b"coatcheck: --limit needs a whole number"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EBADF])
def test_notes_that_cannot_be_written_stop_nothing(cli: Cli, number: int) -> None:
    """Without stderr the result is printed, and the exit code is the command's."""
    done = Printed(cli, "submit", "-e", "owner/repo", "go", err=Broken(number))

    assert (0, True) == (done.code, done.out.getvalue().startswith(b"codex:task_e_"))


@pytest.mark.parametrize(("error", "number"), [(OutputError, errno.ENOSPC), (OutputClosedError, errno.EPIPE)])
def test_text_that_cannot_be_written_is_an_error(error: type[OutputError], number: int) -> None:
    """Help that cannot be printed is the same error as a result."""
    stream = TextStream(Broken(number), encoding="utf-8", is_result=True, is_escaped=False)  # type: ignore[arg-type]
    with pytest.raises(OutputError) as caught:
        print("help", file=stream, flush=True)

    assert error is type(caught.value)


OFFLINE = ["--version", "--help", "config", "config --json", "list -h", "models", "models --json", "providers", "auth"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [tuple(command.split()) for command in OFFLINE], ids=" ".join)
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_process_reports_it_too(arguments: tuple[str, ...], redirection: str) -> None:
    """A process whose stdout is closed or full prints the reason and ends with the exit code for it."""
    if redirection == ">/dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    shell = ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, *arguments]
    done = subprocess.run(shell, stderr=subprocess.PIPE, timeout=240, check=False)

    assert (74, 1, True) == (
        done.returncode,
        done.stderr.count(b"\n"),
        done.stderr.startswith(b"coatcheck: cannot write to standard output: "),
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "show", "wait", "watch", "status --json", "wait --json", "watch --json"])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_process_with_a_result_of_a_service_reports_it_too(home: Path, command: str, redirection: str) -> None:
    """A process whose result came from a service does so too; the task has not failed."""
    if redirection == ">/dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    turn = {"id": "t", "turn_status": "completed", "output_items": []}
    body = json.dumps({"task": {"id": "task_e_1"}, "current_assistant_turn": turn}).encode()
    with Server(answering(answer(body))) as server:
        arguments = [*COMMAND, *command.split(), "codex:task_e_1", "--base-url", server.url()]
        environ = {**os.environ, "CODEX_ACCESS_TOKEN": "made-up"}
        shell = ["sh", "-c", f'"$@" {redirection}', "sh", *arguments]
        done = subprocess.run(shell, stderr=subprocess.PIPE, env=environ, check=False)

    assert (74, True) == (
        done.returncode,
        done.stderr.splitlines()[-1].startswith(b"coatcheck: cannot write to standard output: "),
    )


def test_a_dumb_terminal_gets_no_escapes() -> None:
    """TERM=dumb has no colours and no line of progress."""
    out, err = io.BytesIO(), io.BytesIO()
    console = Console(out, err, environ={"TERM": "dumb"}, is_terminal=True, is_interactive=True)
    console.progress(lambda: ("waiting",))
    console.refresh()
    console.note(Styled("note", "bold"))
    console.show(Styled("result", "green"))

    assert (b"result\n", b"note\n") == (out.getvalue(), err.getvalue())
