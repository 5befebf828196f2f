from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck._cli.pager import command_of, passes_links, show


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        (None, {}, ["less"]),
        (None, {"PAGER": "more -d"}, ["more", "-d"]),
        (None, {"PAGER": "more", "GIT_PAGER": "delta 'a b'"}, ["delta", "a b"]),
        ("bat", {"PAGER": "more", "GIT_PAGER": "delta"}, ["bat"]),
        ("bat", {"COATCHECK_PAGER": "most"}, ["most"]),
        ("bat", {"COATCHECK_PAGER": ""}, []),
        (None, {"PAGER": "cat"}, []),
        ("bat", {"NO_PAGER": "1", "PAGER": "more"}, []),
        (None, {"NO_PAGER": "", "PAGER": "more"}, ["more"]),
        (None, {"PAGER": "less 'unfinished"}, []),
        (None, {"PAGER": "less; rm -rf /"}, ["less;", "rm", "-rf", "/"]),
    ],
)
def test_whose_pager(setting: str | None, environ: dict[str, str], expected: list[str]) -> None:
    """The pager is that of the setting, of git, then PAGER; it is started without a shell."""
    assert expected == command_of(setting, environ=environ)


def script(code: str) -> list[str]:
    """Return a pager that is a line of Python."""
    return [sys.executable, "-c", f"import sys, os; {code}"]


def test_the_pager_gets_everything(tmp_path: Path) -> None:
    """The pager reads every line, and less is configured to show colours."""
    output = tmp_path / "output"
    pager = script(f"open({str(output)!r}, 'wb').write(os.environ['LESS'].encode() + sys.stdin.buffer.read())")

    assert show([b"one\n", b"two\n"], pager, environ=os.environ)
    assert b"FRXone\ntwo\n" == output.read_bytes()


def test_the_pager_keeps_its_settings(tmp_path: Path) -> None:
    """An existing LESS variable is not changed."""
    output = tmp_path / "output"
    show([], script(f"open({str(output)!r}, 'w').write(os.environ['LESS'])"), environ={**os.environ, "LESS": "-S"})

    assert "-S" == output.read_text()


def less(folder: Path, version: str) -> str:
    """Return a program named less that prints *version*."""
    program = folder / "less"
    program.write_text(f"#!/bin/sh\necho 'less {version} (GNU regular expressions)'\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("version", "options", "variable", "expected"),
    [
        ("590", [], None, True),
        ("668.1", [], None, True),
        ("551", [], None, False),
        ("590", [], "-S", False),
        ("590", ["-SR"], "-S", True),
        ("590", ["--RAW-CONTROL-CHARS"], "", True),
        ("590", ["--raw-control-chars"], "", False),
        ("unknown", [], None, False),
    ],
)
def test_which_less_passes_links(
    tmp_path: Path, version: str, options: list[str], variable: str | None, expected: bool
) -> None:
    """A version that knows links, with the option that passes escape sequences through."""
    environ = {**os.environ, **({} if variable is None else {"LESS": variable})}

    assert expected is passes_links([less(tmp_path, version), *options], environ=environ)


def test_other_pagers_pass_no_links() -> None:
    """No program is started to find that out, and none that does not exist is an error."""
    assert not any(passes_links(command, environ={}) for command in ([], ["more"], ["/nowhere/less"]))


def test_a_link_in_a_pager(tmp_path: Path, home: Path) -> None:
    """The pager shows what a terminal with links gets without a pager."""
    code = SHOW.replace('run.page(["one", "two"])', "run.page([Link('t', 'https://example.com/')])")
    program = tmp_path / "less"
    program.write_text("#!/bin/sh\ntest $1 && echo less 590 || cat\n")
    program.chmod(0o755)
    environ = {**os.environ, "COATCHECK_PAGER": str(program), "FORCE_HYPERLINK": "1"}
    command = (sys.executable, "-c", f"from coatcheck._cli.console import Link\n{code}")

    assert "\x1b]8;;https://example.com/\x1b\\t\x1b]8;;\x1b\\\r\n" == on_a_terminal(*command, environ=environ)


def test_leaving_early_is_fine() -> None:
    """A pager that reads one line has shown enough, however many there are."""
    assert show((b"line\n" for _ in range(200_000)), script("sys.stdin.readline()"), environ=os.environ)


def test_no_pager_takes_no_line() -> None:
    """Without a pager the caller prints the lines."""
    lines: Iterator[bytes] = iter([b"one\n"])

    assert not show(lines, [], environ={})
    assert not show(lines, ["/nowhere/less"], environ={})
    assert b"one\n" == next(lines)


def on_a_terminal(*command: str, environ: dict[str, str]) -> str:
    """Run *command* with its stdout on a terminal, and return the output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, env=environ) as process:
        os.close(theirs)
        output = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # how Linux reports the end
                break
            if not data:
                break
            output += data
        process.wait()
    os.close(ours)
    return output.decode()


SHOW = """
import sys, os, io
from coatcheck._cli.context import CommandContext
from coatcheck._cli.process_env import ProcessEnv
run = CommandContext(ProcessEnv.of_process(), is_json=False, provider=None, base_url=None)
run.page(["one", "two"])
"""


def test_a_terminal_is_paged(home: Path) -> None:
    """A pager is used on a terminal, and not in a pipe."""
    environ = {**os.environ, "COATCHECK_PAGER": f"{sys.executable} -c \"import sys; print('paged', *sys.stdin)\""}
    command = (sys.executable, "-c", SHOW)
    piped = subprocess.run(command, env=environ, capture_output=True, check=True, timeout=240).stdout

    assert ("paged one\r\n two\r\n\r\n", b"one\ntwo\n") == (on_a_terminal(*command, environ=environ), piped)
