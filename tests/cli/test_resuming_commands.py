"""The commands that messages name keep the options that select the service."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.faults import Reset
from coatcheck.cloud.scripted_cloud import ScriptedCloud

URL = "http://127.0.0.1:9/backend-api"


class Interrupted(ScriptedCloud):
    """A cloud whose answer to the *count*th request is interrupted by Ctrl-C."""

    count = 0

    def handle(self, request: Request) -> Response:
        self.count -= 1
        if self.count == 0:
            raise KeyboardInterrupt
        return super().handle(request)


def deadline(cli: Cli, command: tuple[str, ...], ref: str) -> str:
    """Return what a command writes to stderr whose deadline passes."""
    return cli(*command, "--timeout", "90s", ref, "--base-url", URL).err


def interruption(cli: Cli, command: tuple[str, ...], ref: str) -> str:
    """Return the same for one that is interrupted during its next request."""
    cli.cloud.count = 1
    return cli(*command, ref, "--base-url", URL).err


@pytest.mark.parametrize("end", [deadline, interruption])
@pytest.mark.parametrize("command", [("wait",), ("watch",), ("wait", "--json"), ("watch", "--provider", "codex")])
def test_a_wait_that_ends_early_names_its_service(
    tmp_path: Path, command: tuple[str, ...], end: Callable[[Cli, tuple[str, ...], str], str]
) -> None:
    """After a deadline or an interruption, the command in the message waits at the same address."""
    cli = Cli(tmp_path, Interrupted(["pending"]))
    ref = cli.submit("--base-url", URL)
    err = end(cli, command, ref)
    if "coatcheck wait" not in err:  # with --json the error is on stdout
        err = cli("wait", ref, "--timeout", "1s", "--base-url", URL).err

    assert f"coatcheck wait {ref} --base-url {URL}" == shlex.join(shlex.split(err)[-5:])


@pytest.mark.parametrize("command", ["status", "show", "cancel", "archive", "delete --yes", "pr", "diff", "message"])
def test_an_interrupted_command_names_its_service(tmp_path: Path, command: str) -> None:
    """Every command about a task names the command that shows it, with the address."""
    cli = Cli(tmp_path, Interrupted())
    ref = cli.submit("--base-url", URL)
    cli.cloud.count = 1
    words = ["text"] if command == "message" else []
    done = cli(*command.split(), ref, *words, "--base-url", URL)

    assert (130, f"coatcheck status {ref} --base-url {URL}") == (done.code, done.line.partition("with: ")[2])


def test_a_watch_of_several_names_its_service(tmp_path: Path) -> None:
    """All tasks of a watch are in the command, and so is the address."""
    cli = Cli(tmp_path, Interrupted(["pending"]))
    refs = [cli.submit("--base-url", URL) for _ in range(2)]
    cli.cloud.count = 1
    done = cli("watch", *refs, "--base-url", URL)

    assert f"coatcheck watch {' '.join(refs)} --base-url {URL}" == done.line.partition("with: ")[2]


def test_an_uncertain_submission_names_its_service(tmp_path: Path) -> None:
    """Both commands that find out what became of a submission use the address and the provider of the submission."""
    cloud = ScriptedCloud(faults=[Reset(on="create_task", times=None)])
    line = Cli(tmp_path, cloud)("submit", "-e", "owner/repo", "x", "--base-url", URL).line

    assert line.endswith(
        f"; look with: coatcheck list --provider codex --base-url {URL};"
        f" then: coatcheck submit --resume --provider codex --base-url {URL}"
    )


def test_an_interrupted_submission_names_its_service(tmp_path: Path) -> None:
    """Ctrl-C before the response prints a command with the same address."""
    cli = Cli(tmp_path, Interrupted())
    cli.cloud.count = 2
    line = cli("submit", "-e", "owner/repo", "x", "--base-url", URL).line

    assert f"coatcheck submit --resume --base-url {URL}" == line.partition("with: ")[2]


@pytest.mark.parametrize(("command", "next_command"), [("cancel", "status"), ("pr", "show")])
def test_the_next_command_names_its_service(tmp_path: Path, command: str, next_command: str) -> None:
    """The next command that a successful command prints uses the same address."""
    cli = Cli(tmp_path)
    ref = cli.submit("--base-url", URL)
    done = cli(command, ref, "--base-url", URL)

    assert done.out.rstrip().endswith(f"coatcheck {next_command} {ref} --base-url {URL}")


@pytest.mark.parametrize("refs", [1, 2])
def test_the_remedy_of_an_error_names_its_service(tmp_path: Path, refs: int) -> None:
    """The command in the remedy of an error uses the same address, for one task and for several."""
    cli = Cli(tmp_path, ScriptedCloud(["completed"]))
    ended = [cli.submit("--base-url", URL) for _ in range(refs)]
    done = cli("cancel", *ended, "--base-url", URL)

    assert [f"coatcheck show {ref} --base-url {URL}" for ref in ended] == [
        line.partition("with: ")[2] for line in done.err.splitlines()
    ]
