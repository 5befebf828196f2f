"""`completion` prints what a shell runs to complete commands, options and values."""

from __future__ import annotations

import click

from ..context import CommandContext, command


@command(
    "completion",
    has_provider=False,
    examples="""
eval "$(coatcheck completion bash)"                     # in ~/.bashrc
eval "$(coatcheck completion zsh)"                      # in ~/.zshrc, after compinit
coatcheck completion fish | source                       # in ~/.config/fish/config.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(run: CommandContext, *, shell: str) -> None:
    """Print the script that completes commands, options and their values in a shell.

    Values come from this machine: tasks that were submitted or seen from here, git, settings. Where there are none,
    they are requested from the service, within 300 ms.
    """
    from ..completion import SCRIPTS

    script = SCRIPTS[shell]
    run.answer(lambda: {"shell": shell, "script": script}, lambda: list(script.rstrip("\n").split("\n")))
