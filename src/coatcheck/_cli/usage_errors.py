"""Convert click's errors about arguments and options into errors that name the argument and the remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from .. import errors

if TYPE_CHECKING:
    from collections.abc import Sequence


# click's message about arguments beyond the last one that a command takes.
_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def configuration_error(error: click.ClickException) -> errors.ConfigurationError:
    """Return an error of click as a `ConfigurationError`."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "coatcheck"
    message, remedy = _explained(error, path)
    return errors.ConfigurationError(message, remedy=remedy or f"see: {path} --help")


def _explained(error: click.ClickException, path: str) -> tuple[str, str | None]:
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error, path)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return _missing(error.param, path)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param)
    if isinstance(error, click.BadOptionUsage):
        return _bad_option(error, path)
    if match := _EXTRA.match(error.message):
        return f"{path} does not expect {match[1]!r}", None
    message = " ".join(error.format_message().rstrip(".").split())
    return message[:1].lower() + message[1:], None


def _bad_option(error: click.BadOptionUsage, path: str) -> tuple[str, str | None]:
    """Return message and remedy for an option whose value is missing, or that has one and takes none."""
    if error.message.endswith("requires an argument."):
        return f"{error.option_name} needs a value", f"for examples see: {path} --help"
    return error.message.rstrip(".").removeprefix("Option ").replace("'", ""), None


def _unknown_option(error: click.NoSuchOption, path: str) -> tuple[str, str | None]:
    """Return message and remedy for an option that the command does not have."""
    option = error.option_name
    message = f"{path} has no option {option}"
    if error.ctx is not None and isinstance(error.ctx.command, click.Group):
        if _commands_with(option, error.ctx, error.ctx.command):
            return f"{option} is an option of a command", f"write it after the command: {path} COMMAND {option}"
        return message, None
    if error.ctx is not None and (others := _siblings_with(option, error.ctx)):
        return message, f"it is an option of: {', '.join(f'coatcheck {name}' for name in others)}"
    from difflib import get_close_matches

    near = get_close_matches(option, error.possibilities or (), n=2, cutoff=0.7)
    if near:
        return message, f"did you mean {' or '.join(near)}?"
    if error.ctx is not None and any(isinstance(each, click.Argument) for each in error.ctx.command.params):
        return message, f"a text that begins with - is written after --: {path} -- TEXT"
    return message, None


def _siblings_with(option: str, context: click.Context) -> list[str]:
    """Return the subcommands of the same group that have *option*; none of commands that are in no group."""
    from .command_group import CommandGroup

    parent = context.parent
    if parent is None or not isinstance(parent.command, CommandGroup):
        return []
    return _commands_with(option, parent, parent.command)


def _commands_with(option: str, context: click.Context, group: click.Group) -> list[str]:
    """Return the names of the commands that have *option*; only a misplaced option needs their modules."""
    from .command_group import all_commands

    commands = all_commands(group, context)
    return [each.name or "" for each in commands if any(option in param.opts for param in each.params)]


def _missing(param: click.Parameter, path: str) -> tuple[str, str | None]:
    name = name_of(param)
    choices = f" (one of: {', '.join(param.type.choices)})" if isinstance(param.type, click.Choice) else ""
    if "GATE" in name:
        return f"{path} needs {name}: a task or a gate", "coatcheck gates lists the gates that are open"
    if name.startswith("REF"):
        return f"{path} needs {name}: a task", "coatcheck list shows the latest ones"
    metavar = "" if isinstance(param, click.Argument) else f" {param.metavar or 'VALUE'}"
    return f"{path} needs {name}{metavar}{choices}", f"for examples see: {path} --help"


def _bad_value(error: click.BadParameter, param: click.Parameter) -> tuple[str, str | None]:
    """Return message and remedy for a value that its option does not accept."""
    name, kind = name_of(param), param.type
    value = _quoted(error.message)
    if isinstance(kind, click.IntRange):
        return f"{name} needs {_described_range(kind)}, not {value}", None
    if isinstance(kind, click.Choice):
        return f"{name} is {value}", f"use one of: {', '.join(kind.choices)}{_near(value, kind.choices)}"
    if kind is click.INT:
        return f"{name} needs a whole number, not {value}", None
    return f"{name}: {error.message[:1].lower()}{error.message[1:].rstrip('.')}", None


def _near(value: str, choices: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(value.strip("'\""), choices, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _quoted(message: str) -> str:
    """Return the value that click's message begins with: ``'x' is not …``, ``0 is not in the range``."""
    return message.partition(" is not ")[0]


def _described_range(kind: click.IntRange) -> str:
    if kind.min is not None and kind.max is not None:
        return f"a whole number from {kind.min} to {kind.max}"
    return f"a whole number of at least {kind.min}" if kind.min is not None else "a whole number"


def name_of(param: click.Parameter) -> str:
    """Return a parameter as the user writes it: ``--limit``, or the metavar of an argument."""
    if isinstance(param, click.Argument):
        return (param.metavar or param.name or "").strip("[]").removesuffix("...").upper()
    return max(param.opts, key=len)
