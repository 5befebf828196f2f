"""Commands with subcommands, such as ``coatcheck history export``.

Invariants:

- a subcommand has options, arguments, help and examples of its own; its name, ``history export``, is the same in help,
  completion, JSON and errors;
- a group without a subcommand runs its default, or prints its help where it has none;
- options may be written before the subcommand: ``coatcheck config --project set attempts 2``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from .. import errors
from .click_command import examples_text
from .context import command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

HELP = ("-h", "--help")


class CommandGroup(click.Group):
    """A command whose first argument is the name of a subcommand."""

    def __init__(self, name: str, *, help: str, default: str | None = None, has_provider: bool = False) -> None:
        """*default* is the subcommand that runs where none is named; *has_provider* is that of `command`."""
        super().__init__(name, help=help, subcommand_metavar=f"{'[COMMAND]' if default else 'COMMAND'} [ARGS]...")
        self.full_name, self.default, self._has_provider = name, default, has_provider

    def subcommand(
        self, name: str, *, examples: str, notes: Callable[[], Iterable[str]] | None = None
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Add the subcommand *name*, made of a function as `command` does it."""

        def decorate(function: Callable[..., Any]) -> click.Command:
            full_name = f"{self.full_name} {name}"
            made = command(full_name, examples=examples, has_provider=self._has_provider, notes=notes)(function)
            self.add_command(made, name)
            return made

        return decorate

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*, the subcommand first; print the help where there is neither a subcommand nor a default."""
        if not args and self.default is None and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, self._with_subcommand_first(args, is_completing=ctx.resilient_parsing))

    def _with_subcommand_first(self, args: list[str], *, is_completing: bool) -> list[str]:
        if args and not args[0].startswith("-"):
            return args
        position = self._find_subcommand(args) if args else None
        if position is not None:
            return [args[position], *args[:position], *args[position + 1 :]]
        if args and args[0] in HELP:
            return args[:1]
        if self.default is None or (is_completing and not args):
            return args
        return [self.default, *args]

    def _find_subcommand(self, args: Sequence[str]) -> int | None:
        """Return the position of the first word of *args* that is neither an option nor the value of one.

        None where there is none, and after an option that no subcommand has: the word may be its value.
        """
        from .json_selection import options_with_value

        commands = self.commands.values()
        known = {*HELP, *(option for each in commands for param in each.params for option in param.opts)}
        with_value = {option for each in commands for option in options_with_value(each)}
        position = 0
        while position < len(args) and args[position] != "--":
            word = args[position]
            if not word.startswith("-"):
                return position
            if word.startswith("--") and word.partition("=")[0] not in known:
                return None
            position += 2 if word in with_value or self._names_fields(args[position : position + 2]) else 1
        return None

    def _names_fields(self, words: Sequence[str]) -> bool:
        """Whether *words* are ``--json`` and its FIELDS: a word that is not the name of a subcommand."""
        return words[0] == "--json" and len(words) > 1 and not (words[1].startswith("-") or words[1] in self.commands)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the subcommands in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand that *args* name; for an unknown one the error lists similar ones."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise unknown_command(args[0], self.commands, group=f"coatcheck {self.full_name}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands, and the options of the default, that begin with *incomplete*."""
        items = super().shell_complete(ctx, incomplete)
        if self.default is None or not incomplete.startswith("-"):
            return items
        command = self.commands[self.default]
        with command.make_context(self.default, [], parent=ctx, resilient_parsing=True) as own:
            known = {item.value for item in items}
            return [*items, *(each for each in command.shell_complete(own, incomplete) if each.value not in known)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the subcommands, each with the first sentence of its help."""
        marks = {self.default: " (default)"}
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary_of(each) + marks.get(name, "")) for name, each in self.commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write an example of each subcommand, and how to get the help of one."""
        examples = [first_example(getattr(each, "examples", "")) for each in self.commands.values()]
        footer = f"Help of one command, with its options: coatcheck help {self.full_name} COMMAND"
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"{examples_text(chr(10).join(examples))}\n\n{footer}")


def first_example(examples: str) -> str:
    """Return the first command line of *examples*, with the lines that continue it."""
    lines = examples.strip().splitlines()
    end = next((number for number, line in enumerate(lines, 1) if not line.endswith("\\")), len(lines))
    return "\n".join(lines[:end])


def summary_of(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


def unknown_command(word: str, names: Iterable[str], *, group: str) -> errors.ConfigurationError:
    """Return the error for *word*, which is not one of the *names* of commands of *group*."""
    from difflib import get_close_matches  # only a misspelling needs it

    near = get_close_matches(word, list(names), n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"see: {group} --help"
    missing = f"there is no command {word!r}" if group == "coatcheck" else f"{group} has no command {word!r}"
    return errors.ConfigurationError(missing, remedy=hint)


def all_commands(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    """Yield every command below *group* that can run, those of groups included."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, context)
        elif command is not None:
            yield command
