"""Commands of checks, setups and scorers as words: no shell runs them, so its syntax is refused instead of passed on. Pure."""

from __future__ import annotations

import re
import shlex

from ..errors import ConfigurationError

# Words that only a shell understands (POSIX.1-2024, Shell Command Language, section 2.10.2 and 2.7).
_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>"})
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
    if operators := [word for word in words if word in _OPERATORS]:
        raise ConfigurationError(
            f"{what} {command!r} has {operators[0]!r}, and no shell runs it",
            remedy=f"pass: sh -c {shlex.quote(command)}",
        )
    if _ASSIGNMENT.match(words[0]):
        raise ConfigurationError(
            f"{what} {command!r} begins with a variable, and no shell runs it", remedy=f"pass: env {command}"
        )
    return words
