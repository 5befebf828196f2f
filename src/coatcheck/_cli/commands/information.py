"""`help` prints the help of a command, `version` the version."""

from __future__ import annotations

import platform

import click

from ..context import CommandContext, command


@command(
    "help",
    has_provider=False,
    examples="""
coatcheck help
coatcheck help submit
""",
)
@click.argument("name", metavar="[COMMAND]", required=False)
def help_command(run: CommandContext, *, name: str | None) -> None:
    """Print the help of COMMAND, or of all commands."""
    context = click.get_current_context().find_root()
    if name is not None and isinstance(context.command, click.Group):
        _, found, _ = context.command.resolve_command(context, [name])
        if found is not None:
            context = click.Context(found, info_name=name, parent=context)
    text = context.get_help()
    run.answer(lambda: {"command": name, "help": text}, lambda: [*text.splitlines()])


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
