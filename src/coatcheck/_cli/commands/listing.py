"""`list` shows tasks, newest first, and says when there are more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from ..context import CommandContext, command
from ..formatting import listed
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._model.tasks import Task, TaskRef
    from ..._runtime.client import Client

# What the official client shows (codex-wham.md 2.1).
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
@click.option("--all", "is_all", is_flag=True, help="Show all there are.")
@click.option(
    "--filter", "which", type=click.Choice(["current", "archived", "all"]), default="current", help="Which tasks."
)
@click.option("--environment", "-e", metavar="NAME", help="Only those of an environment, by id or label.")
@click.option("--cursor", help="Go on where another list ended.")
def list_command(
    run: CommandContext,
    *,
    limit: int | None,
    is_all: bool,
    which: Literal["current", "archived", "all"],
    environment: str | None,
    cursor: str | None,
) -> None:
    """List tasks, newest first."""
    wanted = None if is_all else limit or DEFAULT_LIMIT
    with run.client(environment=environment) as client:
        where = None if environment is None else _id_of(client, environment)
        tasks, following, stopped = _some(client, which=which, environment=where, limit=wanted, cursor=cursor)
    if stopped:
        run.console.note(f"coatcheck: {stopped}; it was stopped, and there are more tasks")  # with --json as well
    run.answer(
        lambda: {"tasks": [to_object(each, is_summary=True) for each in tasks], "cursor": following},
        lambda: listed(tasks, run.now) or ["No tasks found."],
    )
    if following and not run.is_json:
        import shlex

        words = _words(which=which, environment=environment, limit=limit)
        more = f"{run.hint('list', *words, has_provider=True)} --cursor={shlex.quote(following)}"
        run.note("", f"There are more: {more} (or --all)")


def _words(*, which: str, environment: str | None, limit: int | None) -> list[str]:
    """Return the options of a list as they were given."""
    given = {"--filter": None if which == "current" else which, "--environment": environment, "--limit": limit}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def _id_of(client: Client, environment: str) -> str:
    """Return what the provider filters its list by: the id of the environment that is named, or its name as it is."""
    if not client.capabilities.lists_by_id:
        return environment
    from ..._protocol.environments import choose_environment

    return choose_environment(client.list_environments(), environment).id


def _some(
    client: Client,
    *,
    which: Literal["current", "archived", "all"],
    environment: str | None,
    limit: int | None,
    cursor: str | None,
) -> tuple[list[Task], str | None, str | None]:
    """Return at most *limit* tasks, the cursor of the rest, and why the list was stopped before (None: it was not)."""
    from ..._protocol.pagination import PageLimits
    from ..._runtime.system_clock import SystemClock

    tasks: dict[TaskRef, Task] = {}  # a list that moves under us may send one twice
    seen, bounds = {cursor}, PageLimits(clock=SystemClock())
    while True:
        bounds.begin()
        wanted = None if limit is None else limit - len(tasks)
        page = client.get_page(filter=which, environment=environment, limit=wanted, cursor=cursor)
        bounds.end()
        tasks |= {task.ref: task for task in page.items}
        if limit is not None and len(tasks) > limit:  # the service sent more than it was asked for
            return list(tasks.values())[:limit], cursor, None
        if page.cursor is None or page.cursor in seen:  # one that repeats leads round in circles
            return list(tasks.values()), None, None
        cursor = page.cursor
        if len(tasks) == limit:
            return list(tasks.values()), cursor, None
        if (reason := bounds.reason) is not None:
            return list(tasks.values()), cursor, reason
        seen.add(cursor)
