"""`list` prints tasks, newest first, and the command that prints the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.listing import TaskFilter, TaskList, filtered, list_pages
from ..._model.states import TaskState
from ..console import Line
from ..context import CommandContext, command
from ..json_output import to_object
from ..time_options import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._model.tasks import Task

# As the official client (docs/reference/protocols/codex-wham.md, 2.1).
DEFAULT_LIMIT = 20
STATES = tuple(state.value for state in TaskState)


@command(
    "list",
    examples="""
coatcheck list
coatcheck list --state failed --since 2d
coatcheck list --search "dark mode" --json ref,title
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
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    metavar="STATE",
    help=f"Only tasks in a state: {', '.join(STATES)}; may be repeated.",
)
@click.option("--search", metavar="TEXT", help="Only tasks whose title, prompt, branch or ref has these words.")
@click.option("--since", metavar="TIME", help="Only tasks that changed since: 30m, 2d, or a date such as 2026-11-28.")
@click.option("--cursor", help="Continue after the end of an earlier list.")
def list_command(
    run: CommandContext,
    *,
    limit: int | None,
    is_all: bool,
    which: TaskFilter,
    environment: str | None,
    states: tuple[str, ...],
    search: str | None,
    since: str | None,
    cursor: str | None,
) -> None:
    """List tasks, newest first.

    On a terminal the table fits its width and is shown in your pager.
    """
    earliest = moment_of(since, run.now) if since else None
    chosen = None if which == "current" else which
    words = _options(
        {"--filter": chosen, "--environment": environment, "--limit": limit},
        states=states,
        others={"--search": search, "--since": since},
    )
    words += ["--all"] if is_all else []
    listed = TaskList([], cursor)
    try:
        with run.client(environment=environment) as client:
            for listed in list_pages(
                client,
                filter=which,
                environment=environment,
                limit=None if is_all else limit or DEFAULT_LIMIT,
                cursor=cursor,
                is_wanted=filtered(states=states, search=search, since=earliest),
                since=earliest,
            ):
                run.process_env.interruption.expect(_rest(run, listed, words))
    except BaseException as error:
        if listed.tasks:
            _print(run, listed, is_long=False)
            run.process_env.has_result = True
            if isinstance(error, errors.CoatcheckError):
                error.remedy = "; ".join(filter(None, (error.remedy, _rest(run, listed, words))))
        raise
    if listed.stop_reason:  # with --json as well
        run.console.note(f"coatcheck: {listed.stop_reason}; it was stopped, and there are more tasks")
    _print(run, listed, is_long=True)
    if listed.cursor and not run.console.is_quiet and (not run.is_json or run.has_chosen_fields):
        more = f"{_continued(run, listed.cursor, words)}{'' if is_all else ' (or --all)'}"
        run.console.note(*([] if run.is_json else [""]), f"There are more: {more}")


def _print(run: CommandContext, listed: TaskList, *, is_long: bool) -> None:
    run.answer(
        lambda: {"tasks": [to_object(each, is_summary=True) for each in listed.tasks], "cursor": listed.cursor},
        lambda: _lines(run, listed.tasks),
        is_long=is_long,
    )


def _rest(run: CommandContext, listed: TaskList, words: Sequence[str]) -> str | None:
    """Return what an incomplete list lacks, and the command that continues it."""
    if not listed.tasks or listed.cursor is None:
        return None
    return f"the first {len(listed.tasks)} tasks were listed; the others: {_continued(run, listed.cursor, words)}"


def _continued(run: CommandContext, cursor: str, words: Sequence[str]) -> str:
    import shlex

    return f"{run.hint('list', *words, has_provider=True)} --cursor={shlex.quote(cursor)}"


def _lines(run: CommandContext, tasks: list[Task]) -> list[Line]:
    from ..task_table import task_table  # not for --json

    return task_table(tasks, run.now, width=run.console.max_width) or ["No tasks found."]


def _options(options: dict[str, object], *, states: tuple[str, ...], others: dict[str, str | None]) -> list[str]:
    """Return the options of this list, for the command that continues it."""
    pairs = [*options.items(), *(("--state", state) for state in states), *others.items()]
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def moment_of(text: str, now: float, option: str = "--since") -> float:
    """Return seconds since the epoch: *text* is a duration before *now*, or a date and time in the local time zone.

    Raises `ConfigurationError`.
    """
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        duration = seconds(text)
    except errors.ConfigurationError:
        duration = None
    if duration is None:
        raise errors.ConfigurationError(
            f"{option} {text!r} is neither a duration nor a date",
            remedy="pass 30m, 2h, 7d, 2026-11-28 or 2026-11-28T09:00",
        )
    return max(0.0, now - duration)  # no task is older, and no date is before the year 1
