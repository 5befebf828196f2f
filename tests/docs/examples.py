"""Run the examples in the documentation.

Invariants:

- The Python blocks of a page run in order, in one namespace; a text block right after one is its output.
- The console blocks of a page run in order, in one shell: what follows a line with ``$`` is what it prints, on
  stdout and stderr together; of the last command it may be a text block right after the console block.
  A command succeeds, unless the next one asks for ``$?``.
- A block whose first line is ``# NAME.EXT`` (the second, after ``#!``) is saved as that file for the blocks after it;
  it is executable if it begins with ``#!``.
- sh blocks are valid for the shell. They are not run, unless a console block runs the file that was saved.
- Every ``coatcheck`` command in a sh, yaml or saved block is a command line that the program accepts.
- ``…`` matches any text within a line, and any lines where it is a line by itself. Columns may be wider
  than they are shown: two or more blanks match two or more.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
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
FILE_NAME = re.compile(r"(?:#!.*\n)?# (?P<name>[\w./-]+\.\w+)\n")
SEPARATORS = set(";|&()")


class Shell:
    """One shell, in which commands see what the ones before them have set."""

    def __enter__(self) -> Self:
        """Start the shell."""
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
        """End the shell and everything that it runs."""
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
    """Return a pattern for *expected* in which every ellipsis matches anything."""
    lines = []
    for line in expected.strip("\n").splitlines():
        if line.strip() == ANYTHING:
            lines.append(r"(?:.*\n)*?")
        else:
            known = (r" {2,}".join(map(re.escape, re.split(r" {2,}", part))) for part in line.rstrip().split(ANYTHING))
            lines.append(".*?".join(known) + r" *\n")
    return re.compile("".join(lines))


def check_output(expected: str, printed: str, *, where: str) -> None:
    """Raise `AssertionError` if *printed* differs from what the page shows."""
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
    """Run a Python block, and keep what it prints for the text block after it; save one that is a file."""
    if save_file(example):
        return
    output = io.StringIO()
    source = "\n" * (example.line - 1) + example.parsed
    code = compile(source, place(example), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)  # as in a notebook
    with contextlib.redirect_stdout(output):
        ended = eval(code, example.namespace)
        if inspect.iscoroutine(ended):
            asyncio.run(ended)
    keep_output(example, output.getvalue().strip("\n"))


def keep_output(example: Example, printed: str) -> None:
    """Keep what *example* printed for the text block after it."""
    example.namespace["printed"] = (example.region.end, printed)


def has_output_after(example: Example) -> bool:
    """Return whether a text block after *example* shows its output."""
    return example.document.text[example.region.end :].lstrip().startswith("```text\n")


def check_text(example: Example) -> None:
    """Compare a text block right after another block with what that printed."""
    end, printed = example.namespace.get("printed", (0, ""))
    if not example.document.text[end : example.region.start].strip() and end:
        check_output(example.parsed, printed, where=place(example))


def check_sh(example: Example) -> None:
    """Check the syntax and the commands of a shell block that is not run, and save one that is a file."""
    checked = subprocess.run(["bash", "-n"], input=example.parsed, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"{place(example)}: {checked.stderr}"
    check_commands(example)
    save_file(example)


def check_yaml(example: Example) -> None:
    """Check the commands of a YAML block, and save one that is a file."""
    check_commands(example)
    save_file(example)


def check_commands(example: Example) -> None:
    """Check every ``coatcheck`` command line of a block."""
    for arguments in coatcheck_commands(example.parsed):
        read_command_line(arguments)


def coatcheck_commands(script: str) -> Iterable[list[str]]:
    """Yield the arguments of every ``coatcheck`` command of a shell script, 1 in place of a variable."""
    for line in script.replace("\\\n", " ").splitlines():
        if "coatcheck " not in line or line.lstrip().startswith("#"):
            continue
        words = words_of(line)
        for start in (at for at, word in enumerate(words) if word == "coatcheck"):
            rest = words[start + 1 :]
            end = next((at for at, word in enumerate(rest) if set(word) <= SEPARATORS), len(rest))
            yield ["1" if word.startswith("$") else word for word in rest[:end]]


def words_of(line: str) -> list[str]:
    """Return the words of a line of a shell script, without its redirections."""
    lexer = shlex.shlex(re.sub(r"\d>(?=\S)", ">", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    redirections = {at for at, word in enumerate(words) if word in {"<", ">", ">>", ">&"}}
    return [word for at, word in enumerate(words) if at not in redirections and at - 1 not in redirections]


def save_toml(example: Example) -> None:
    """Save a TOML block that begins with the name of a file."""
    save_file(example)


def save_file(example: Example) -> bool:
    """Save a block that begins with the name of a file, and return whether it does."""
    match = FILE_NAME.match(example.parsed)
    if match is None:
        return False
    path = Path(match["name"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example.parsed, encoding="utf-8")
    path.chmod(0o755 if example.parsed.startswith("#!") else 0o644)
    return True


def read_command_line(arguments: list[str]) -> None:
    """Raise `click.UsageError` or `ConfigurationError` for a command line that the program does not accept."""
    root = click.Context(
        app, info_name="coatcheck", **app.context_settings
    )  # commands keep the first help option they make
    if not arguments:
        return  # alone it prints the help
    context, rest = root, arguments
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]


def place(example: Example) -> str:
    """Return the file and line of an example."""
    return f"{example.path}:{example.line}"


READERS = {
    "python": run_python,
    "text": check_text,
    "console": run_console,
    "sh": check_sh,
    "yaml": check_yaml,
    "toml": save_toml,
}
SYBIL = Sybil(parsers=[CodeBlockParser(language, reader) for language, reader in READERS.items()])


def read_page(path: Path) -> Document:
    """Return a page with its examples."""
    return SYBIL.parse(path)
