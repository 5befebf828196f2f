"""Run the examples in the documentation.

Invariants:

- The Python blocks of a page run in order, in one namespace; a text block right after one is what it prints.
- The console blocks of a page run in order, in one shell: what follows a line with ``$`` is what it prints, on
  stdout and stderr together; of the last command it may be a text block right after the console block.
  A command succeeds, unless the next one asks for ``$?``.
- Lines of sh blocks that begin with ``coatcheck`` are command lines that can be read; they are not run.
- ``…`` stands for anything within a line, and for any lines where it is a line of its own. Columns may be wider
  than they are shown: two blanks and more are as good as two.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from coatcheck._cli.app import app

ANYTHING = "…"
END = "--- that is all"


class Shell:
    """One shell, in which commands see what the ones before them have set."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, with whatever it runs."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Return the exit code of *command* and what it printed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{{ {command}\n}} </dev/null\nset -- $?\necho; echo '{END}' $1\n(exit $1)\n")
        stdin.flush()
        lines = []
        while not (line := stdout.readline()).startswith(END):
            assert line, f"the shell ended in: {command}"
            lines.append(line)
        return int(line.removeprefix(END)), "".join(lines).strip("\n")


def pattern_of(expected: str) -> re.Pattern[str]:
    """Return what matches *expected*, with every ellipsis standing for anything."""
    lines = []
    for line in expected.strip("\n").splitlines():
        if line.strip() == ANYTHING:
            lines.append(r"(?:.*\n)*?")
        else:
            known = (r" {2,}".join(map(re.escape, re.split(r" {2,}", part))) for part in line.rstrip().split(ANYTHING))
            lines.append(".*?".join(known) + r" *\n")
    return re.compile("".join(lines))


def check_output(expected: str, printed: str, *, where: str) -> None:
    """Fail where *printed* is not what the page shows."""
    assert pattern_of(expected).fullmatch(f"{printed}\n" if printed else ""), (
        f"{where}\n--- the page shows\n{expected}\n--- it prints\n{printed}"
    )


def commands_of(block: str) -> Iterable[tuple[str, str]]:
    """Yield every command of a console block with the output that is shown."""
    for part in re.split(r"(?m)^\$ ", block)[1:]:
        lines = part.split("\n")
        ends = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        yield "\n".join(lines[: ends + 1]), "\n".join(lines[ends + 1 :])


def run_console(example: Example) -> None:
    """Run the commands of a console block."""
    shell: Shell = example.namespace["shell"]
    commands = list(commands_of(example.parsed))
    assert commands, f"{place(example)}: no line begins with $"
    for (command, expected), (following, _) in zip(commands, [*commands[1:], ("", "")], strict=True):
        code, printed = shell.run(command)
        if following or not has_output_after(example):
            check_output(expected, printed, where=f"{place(example)}: {command}")
        assert code == 0 or "$?" in following, f"{place(example)}: {command}\nexits with {code}:\n{printed}"
    keep_output(example, printed)


def run_python(example: Example) -> None:
    """Run a Python block, and keep what it prints for the text block after it."""
    output = io.StringIO()
    code = compile("\n" * (example.line - 1) + example.parsed, place(example), "exec")
    with contextlib.redirect_stdout(output):
        exec(code, example.namespace)
    keep_output(example, output.getvalue().strip("\n"))


def keep_output(example: Example, printed: str) -> None:
    """Keep what *example* printed for the text block after it."""
    example.namespace["printed"] = (example.region.end, printed)


def has_output_after(example: Example) -> bool:
    """Whether a text block says what *example* prints."""
    return example.document.text[example.region.end :].lstrip().startswith("```text\n")


def check_text(example: Example) -> None:
    """Hold a text block right after another block against what that printed."""
    end, printed = example.namespace.get("printed", (0, ""))
    if not example.document.text[end : example.region.start].strip() and end:
        check_output(example.parsed, printed, where=place(example))


def read_sh(example: Example) -> None:
    """Read the command lines of a block that is not run."""
    for line in example.parsed.replace("\\\n", " ").splitlines():
        if line.startswith("coatcheck "):
            read_command_line(shlex.split(line, comments=True)[1:])


def read_command_line(arguments: list[str]) -> None:
    """Fail for a command line that the program does not understand."""
    root = click.Context(
        app, info_name="coatcheck", **app.context_settings
    )  # commands keep the first help option they make
    _, command, rest = app.resolve_command(root, arguments)
    assert command is not None
    command.make_context(arguments[0], rest, parent=root)


def place(example: Example) -> str:
    """Return where an example stands."""
    return f"{example.path}:{example.line}"


READERS = {"python": run_python, "text": check_text, "console": run_console, "sh": read_sh}
SYBIL = Sybil(parsers=[CodeBlockParser(language, reader) for language, reader in READERS.items()])


def read_page(path: Path) -> Document:
    """Return a page with its examples."""
    return SYBIL.parse(path)
