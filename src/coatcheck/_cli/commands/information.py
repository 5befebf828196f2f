"""`help` prints the help of a command, `version` the version."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click

from ... import errors
from ..command_group import unknown_command
from ..context import CommandContext, command

if TYPE_CHECKING:
    from collections.abc import Sequence


@command(
    "help",
    has_provider=False,
    examples="""
coatcheck help
coatcheck help submit
coatcheck help history export
""",
)
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
def help_command(run: CommandContext, *, names: tuple[str, ...]) -> None:
    """Print the help of COMMAND, or of all commands."""
    text = context_of(names, click.get_current_context().find_root()).get_help()
    run.answer(lambda: {"command": " ".join(names) or None, "help": text}, lambda: [*text.splitlines()])


def context_of(names: Sequence[str], root: click.Context) -> click.Context:
    """Return the context of the command that *names* name. Raises `ConfigurationError` where there is none."""
    context = root
    for name in names:
        if not isinstance(context.command, click.Group):
            raise errors.ConfigurationError(
                f"{context.command_path} has no commands", remedy=f"run: coatcheck help {context.command.name}"
            )
        _, found, _ = context.command.resolve_command(context, [name])
        if found is None:  # while a shell completes, click does not raise
            raise unknown_command(name, context.command.list_commands(context), group=context.command_path)
        context = click.Context(found, info_name=name, parent=context)
    return context


@command(
    "version",
    has_provider=False,
    examples="""
coatcheck version
coatcheck version --json
""",
)
def version_command(run: CommandContext) -> None:
    """Print the version of coatcheck."""
    from ..._version import __version__

    run.answer(
        lambda: {"version": __version__, "python": platform.python_version()}, lambda: [f"coatcheck {__version__}"]
    )
