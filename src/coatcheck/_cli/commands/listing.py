"""`list` prints tasks, newest first, and the command that prints the next ones."""

from __future__ import annotations

import click

from ..._app.listing import TaskFilter, list_tasks
from ..context import CommandContext, command
from ..formatting import listed
from ..json_output import to_object

# As the official client (docs/reference/protocols/codex-wham.md, 2.1).
DEFAULT_LIMIT = 20


@command(
    "list",
    examples="""
coatcheck list
coatcheck list --json
coatcheck list --environment owner/repo --limit 50
coatcheck list --filter archived --all
""",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"Show this many (default: {DEFAULT_LIMIT}).")
@click.option("--all", "is_all", is_flag=True, help="Show all tasks.")
@click.option(
    "--filter", "which", type=click.Choice(["current", "archived", "all"]), default="current", help="Which tasks."
)
@click.option("--environment", "-e", metavar="NAME", help="Only tasks of an environment, by id or label.")
@click.option("--cursor", help="Continue after the end of an earlier list.")
def list_command(
    run: CommandContext,
    *,
    limit: int | None,
    is_all: bool,
    which: TaskFilter,
    environment: str | None,
    cursor: str | None,
) -> None:
    """List tasks, newest first."""
    maximum = None if is_all else limit or DEFAULT_LIMIT
    with run.client(environment=environment) as client:
        tasks, next_cursor, stop_reason = list_tasks(
            client, filter=which, environment=environment, limit=maximum, cursor=cursor
        )
    if stop_reason:
        run.console.note(f"coatcheck: {stop_reason}; it was stopped, and there are more tasks")  # with --json as well
    run.answer(
        lambda: {"tasks": [to_object(each, is_summary=True) for each in tasks], "cursor": next_cursor},
        lambda: listed(tasks, run.now) or ["No tasks found."],
    )
    if next_cursor and not run.is_json:
        import shlex

        options = _options(which=which, environment=environment, limit=limit)
        more = f"{run.hint('list', *options, has_provider=True)} --cursor={shlex.quote(next_cursor)}"
        run.note("", f"There are more: {more} (or --all)")


def _options(*, which: str, environment: str | None, limit: int | None) -> list[str]:
    """Return the options of this list, for the command that continues it."""
    options = {"--filter": None if which == "current" else which, "--environment": environment, "--limit": limit}
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]
