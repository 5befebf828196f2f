"""The class of commands: a help with examples, and ``--json`` with FIELDS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from .common_options import refuse_empty_options


class Command(click.Command):
    """A command whose help may contain *notes*, composed when it is printed, and whose ``--json`` may have FIELDS.

    The name of a subcommand is that of its group and its own: ``history export``.
    """

    def __init__(
        self, name: str, *, examples: str, notes: Callable[[], Iterable[str]] | None = None, **attributes: Any
    ) -> None:
        super().__init__(name, epilog=examples_text(examples), **attributes)
        self.examples, self._notes = examples, notes

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises `ConfigurationError` for an empty option."""
        refuse_empty_options(ctx)
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, and a paragraph for each note."""
        super().format_help_text(ctx, formatter)
        for note in self._notes() if self._notes else ():
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(note)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*, with ``--json`` and its FIELDS as one word."""
        if args == ["--json"]:
            args = ["--json="]
        elif any(each == "--json" or each.startswith("--json=") for each in args):
            from .json_selection import joined

            args = joined(args, self)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click's parser does not set it, and the message names the command
            raise


def examples_text(examples: str) -> str:
    """Return *examples*, a command per line, as the end of a help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
