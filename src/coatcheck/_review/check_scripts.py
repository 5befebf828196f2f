"""The files of a repository that a check's command runs. Pure: no file is read.

Guarantees:
- the program itself (``./check``, ``tools/check``), the script of an interpreter (``python check.py``), the module of
  ``python -m`` and every shell script in the command are found, also behind ``env``, ``uv run`` and in ``sh -c '…'``;
- other arguments are not: they are often the program under test.
"""

from __future__ import annotations

import re
import shlex
from itertools import groupby, pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SHELL = re.compile(r"(?:ba|da|k|z|fi)?sh")
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?w?")
_INTERPRETER = re.compile(
    rf"{_SHELL.pattern}|{_PYTHON.pattern}|node(?:js)?|bun|deno|tsx|ts-node|ruby|perl|php|lua(?:jit)?|Rscript|tclsh|pwsh|groovy|julia"
)
# Suffixes of files that an interpreter runs.
_SCRIPT = re.compile(
    r".+\.(?:sh|bash|ksh|zsh|fish|pyw?|[cm]?[jt]sx?|rb|p[lm]|php|lua|[rR]|tcl|ps1|groovy|jl)", re.DOTALL
)
_SHELL_SCRIPT = re.compile(r".+\.(?:sh|bash|ksh|zsh)", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_DURATION = re.compile(r"[\d.]+[smhd]?")
_OPERATORS = frozenset("();<>|&")
_RUNNERS = frozenset({"env", "exec", "nice", "nohup", "run", "time", "timeout"})


def scripts_of(command: str) -> tuple[str, ...]:
    """Return the paths of the files in the repository that *command* runs, relative to its root; none twice."""
    return tuple(dict.fromkeys(filter(None, map(_inside, _paths(command)))))


def _paths(command: str) -> Iterator[str]:
    for words in _simple_commands(command):
        yield from (word for word in words if _SHELL_SCRIPT.fullmatch(word) and not word.startswith("-"))
        yield from _program(words)
        for index, word in enumerate(words):
            if _INTERPRETER.fullmatch(PurePosixPath(word).name):
                yield from _script(PurePosixPath(word).name, words[index + 1 :])
                break


def _simple_commands(command: str) -> Iterator[list[str]]:
    """Yield the words of each simple command (POSIX.1-2024, Shell Command Language, 2.9.1)."""
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:  # an open quote: the command is refused before it runs
        return
    for is_operator, group in groupby(words, key=lambda word: bool(word) and set(word) <= _OPERATORS):
        if not is_operator:
            yield list(group)


def _program(words: Sequence[str]) -> Iterator[str]:
    """Yield the program where it is a path, and the script that a runner (``uv run``, ``npx``) starts."""
    rest = [word for word in words if not _ASSIGNMENT.match(word)]
    if rest and "/" in rest[0]:
        yield rest[0]
    operands = [word for word in rest if not (word.startswith("-") or _DURATION.fullmatch(word))]
    for word, following in pairwise(operands):
        if word in _RUNNERS and (_SCRIPT.fullmatch(following) or following.startswith("./")):
            yield following


def _script(interpreter: str, arguments: Sequence[str]) -> Iterable[str]:
    """Return the script, or the module, that *interpreter* runs with these arguments."""
    for index, word in enumerate(arguments):
        following = arguments[index + 1 : index + 2]
        if _SHELL.fullmatch(interpreter) and re.fullmatch(r"-[a-z]*c[a-z]*", word):
            return [path for text in following for path in _paths(text)]
        if _PYTHON.fullmatch(interpreter) and re.fullmatch(r"-[A-Za-z]*m", word):
            return [path for name in following for path in _module(name)]
        if word in ("-c", "-e", "-E", "-r", "--eval"):
            return ()
        if _SCRIPT.fullmatch(word) and not word.startswith("-"):
            return (word,)
    return [word for word in arguments if not word.startswith("-")][:1]


def _module(name: str) -> Iterable[str]:
    """Return the files that ``python -m`` runs for a module; the working directory is searched first."""
    path = name.replace(".", "/")
    return (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py")


def _inside(path: str) -> str | None:
    """Return *path* without ``./`` and ``..``; None for one outside the repository."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return None if path.startswith(("/", "~")) else "/".join(parts)
