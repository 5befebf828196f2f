from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import coatcheck

COMMAND = (sys.executable, "-P", "-c", "from coatcheck._cli.main import main; main()")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_printed(option: str) -> None:
    """The version is one line."""
    done = run(option)

    assert (0, f"coatcheck {coatcheck.__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


def test_python_runs_the_package() -> None:
    """``python -m coatcheck`` is the command line."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "coatcheck", "--version"], capture_output=True, text=True, timeout=240, check=False
    )

    assert (0, f"coatcheck {coatcheck.__version__}\n") == (done.returncode, done.stdout)


def test_no_arguments_print_the_help() -> None:
    """``coatcheck`` alone prints what ``coatcheck --help`` prints, and succeeds."""
    done = run()

    assert (0, run("--help").stdout) == (done.returncode, done.stdout)


def test_the_exit_code_is_that_of_the_command() -> None:
    """The process ends with the command's exit code after its output was written."""
    done = run("xyzzy")

    assert (2, "coatcheck: there is no command 'xyzzy'; see: coatcheck --help\n") == (done.returncode, done.stderr)


def test_output_is_written_before_the_end() -> None:
    """Nothing that was printed is lost in a pipe."""
    done = run("config", "--json")

    assert (0, True) == (done.returncode, done.stdout.endswith("}\n"))


def test_a_closed_pipe_is_quiet() -> None:
    """A closed pipe ends with the shells' exit code for it, and without a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([*COMMAND, "config"], stdout=writer, stderr=subprocess.PIPE, timeout=240, check=False)
    finally:
        os.close(writer)

    assert (141, b"") == (done.returncode, done.stderr)


def test_closed_streams_are_no_traceback() -> None:
    """Without stdout a command fails or ends without any output."""
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "config"], stderr=subprocess.PIPE, timeout=240, check=False
    )

    assert b"Traceback" not in done.stderr


def test_a_terminal_has_colour(tmp_path: Path) -> None:
    """On a terminal the output has colours."""
    controller, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm"}
    try:
        subprocess.run([*COMMAND, "providers"], stdout=terminal, cwd=tmp_path, env=environ, timeout=240, check=True)
        shown = os.read(controller, 100_000)
    finally:
        os.close(terminal)
        os.close(controller)

    assert shown.startswith(b"\x1b[1m")


def test_the_shell_completes_commands() -> None:
    """Commands and options are completed by the shell."""
    environ = {"COMP_WORDS": "coatcheck sta", "COMP_CWORD": "1", "_COATCHECK_COMPLETE": "bash_complete"}
    done = run(env={**os.environ, **environ})

    assert "plain,status" in done.stdout.split()
