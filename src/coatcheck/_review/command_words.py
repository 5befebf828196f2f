"""Commands of checks, setups and scorers as words: no shell runs them, so its syntax is refused instead of passed on. Pure."""

from __future__ import annotations

import re
import shlex
from math import inf
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .checks import Verification

# What only a shell understands, where it is not quoted (POSIX.1-2024, Shell Command Language, sections 2.2, 2.6, 2.7 and
# 2.10): operators, redirections, expansions and line breaks. ``a; b`` as words is the command ``a`` with two arguments.
_SHELL_SYNTAX = re.compile(
    r"""\\[^\n]|'[^']*'|"(?:\\.|[^"\\])*"|(?P<syntax>&&|\|\||\d*(?:&>>?|>>|<<|[<>]&?)[\d-]*|[|;&()`]|\$(?:\w+|[({?$!@*#'"-])|\\?\n)""",
    re.DOTALL,
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def words_of(command: str, what: str) -> list[str]:
    """Return the words of *command*; *what* is how errors name it ("the check").

    Raises `ConfigurationError` for an empty command, an open quote, and what needs a shell.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(
            f"{what} {command!r} cannot be split into words: {error}", remedy="close the quotes"
        ) from None
    if not words:
        raise ConfigurationError(f"{what} is empty", remedy="pass a command")
    if syntax := shell_syntax(command):
        raise ConfigurationError(
            f"{what} {command!r} has {syntax}, and no shell runs it", remedy=f"pass: sh -c {shlex.quote(command)}"
        )
    if _ASSIGNMENT.match(words[0]):
        raise ConfigurationError(
            f"{what} {command!r} begins with a variable, and no shell runs it", remedy=f"pass: env {command}"
        )
    return words


def require_commands(verification: Verification) -> None:
    """Raise `ConfigurationError` where a check or the setup needs a shell, or is none, or a check has no usable values."""
    for check in verification.checks:
        words_of(check.run, "the check")
        if not check.name.strip():
            raise ConfigurationError(f"the check {check.run!r} has no name", remedy="name it, as its command")
        if not 0 <= check.weight < inf:
            raise ConfigurationError(f"the weight of {check.name} is {check.weight}", remedy="pass a number from 0")
        if check.timeout is not None and not 0 < check.timeout < inf:
            raise ConfigurationError(
                f"the timeout of {check.name} is {check.timeout}", remedy="pass seconds, or None for the limit wall"
            )
    if verification.setup is not None:
        words_of(verification.setup, "the setup")


def shell_syntax(command: str) -> str | None:
    """Return the first operator, redirection, expansion or line break that is not quoted, as errors name it."""
    found = next((match["syntax"] for match in _SHELL_SYNTAX.finditer(command.strip()) if match["syntax"]), None)
    if found is None:
        return None
    return "a line break" if "\n" in found else repr(found)
