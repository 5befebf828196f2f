from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck import errors
from coatcheck._cli import app
from coatcheck._cli.console import Console
from coatcheck._cli.process_env import ProcessEnv
from coatcheck._protocol.effects import Request, Response


class Broken:
    """A service in which nothing works as anybody foresaw."""

    def handle(self, request: Request) -> Response:
        raise ZeroDivisionError("made up")


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_explains_itself(cli: Cli, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a sentence of help, examples that call it, and ``--json``."""
    done = cli(name, "-h")
    text = capsys.readouterr().out

    assert done.code == 0
    assert "Examples:" in text
    assert f"coatcheck {name}" in text.partition("Examples:")[2]
    assert "--json" in text


def test_help_names_every_command(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """What can be done is on one page."""
    cli("--help")
    listed = capsys.readouterr().out.partition("Commands:")[2].split("\n")

    assert list(app.COMMANDS) == [
        line.split()[0] for line in listed if line.strip() and line.startswith("  ") and line[2] != " "
    ]


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("there is no command 'lsit'; did you mean list", ["lsit"]),
        ("there is no command 'xyzzy'; see: coatcheck --help", ["xyzzy"]),
        ("no such option '--lmit'", ["list", "--lmit", "3"]),
        ("invalid value for '--limit'", ["list", "--limit", "0"]),
        ("invalid value for '--filter'", ["list", "--filter", "new"]),
        ("missing argument 'REF...'; see: coatcheck status --help", ["status"]),
    ],
)
def test_bad_usage_is_one_line(cli: Cli, expected: str, arguments: list[str]) -> None:
    """What cannot be understood is said in one line that tells where to look, and nobody is asked anything."""
    done = cli(*arguments)

    assert done.code == 2
    assert expected in done.line
    assert [] == cli.cloud.requests


def test_bad_usage_is_an_object_with_json(cli: Cli) -> None:
    """A program that asked for JSON gets JSON, even for what cannot be parsed."""
    done = cli("list", "--lmit", "3", "--json")

    assert (2, "usage") == (done.code, done.error["code"])


def test_json_after_a_double_dash_is_an_argument(cli: Cli) -> None:
    """``--`` ends options: a prompt may be ``--json``."""
    assert "no such command" not in cli("submit", "-e", "nowhere", "--", "--json").line


def test_what_we_did_not_foresee_is_our_bug(tmp_path: Path) -> None:
    """A bug is called one, in one line without a traceback, and says how to see more."""
    done = Cli(tmp_path, Broken())("list")

    assert done.code == 70
    assert "this is a bug in coatcheck: ZeroDivisionError: made up; COATCHECK_DEBUG=1 shows where" == done.line


def test_a_bug_can_be_looked_at(tmp_path: Path) -> None:
    """With COATCHECK_DEBUG the traceback comes out."""
    with pytest.raises(ZeroDivisionError):
        Cli(tmp_path, Broken(), COATCHECK_DEBUG="1")("list")


def test_a_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    """``coatcheck … | head`` ends in silence with the shells' exit code for SIGPIPE."""

    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    kept = os.dup(1)
    try:
        console = Console(Closed(), io.BytesIO(), environ={})
        code = app.run(
            ["config"],
            ProcessEnv(environ={"HOME": str(tmp_path)}, folder=str(tmp_path), stdin=io.BytesIO(), console=console),
        )
    finally:
        os.dup2(kept, 1)
        os.close(kept)

    assert 141 == code


def test_messages_are_one_line() -> None:
    """Whatever a service puts into its message, we print one line."""
    error = errors.NotFoundError("no\nsuch\r\n\ttask", status=404, remedy="look again")

    assert "no such task; look again" == app.one_line(error, app.exit_code_of(error))
