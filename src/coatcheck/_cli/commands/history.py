"""`history`: the recorded tasks of this user, read and deleted without the network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..command_group import CommandGroup
from ..console import Styled
from ..context import CommandContext
from ..formatting import plural
from ..json_output import jsonable, to_object
from .listing import DEFAULT_LIMIT, STATES, moment_of

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef
    from ..._store.history import History, HistoryEntry, HistoryFilter, HistoryPage
    from ..console import Line

history_command = CommandGroup(
    "history",
    default="list",
    help="""List, show, export and delete the tasks that were submitted or seen from here.

    No request is sent, and the services keep their tasks. The setting history chooses what is recorded: full, metadata
    (no text) or off.
    """,
)
optional_refs = click.argument("refs", metavar="[REF]...", nargs=-1)
refs = click.argument("refs", metavar="REF...", nargs=-1, required=True)


def opened(run: CommandContext) -> closing[History]:
    """Return the history of this user as a context manager that closes it."""
    from ..._app.task_history import open_history

    return closing(open_history(run.config, clock=run.process_env.clock))


@history_command.subcommand(
    "list",
    examples="""
coatcheck history
coatcheck history --search "dark mode" --since 7d
coatcheck history --provider codex --state failed --json ref,title
""",
)
@click.option("--provider", "service", metavar="NAME", help="Only tasks of this service.")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, metavar="STATE",
    help="Only tasks in a state, as `coatcheck list` takes it; may be repeated.",
)  # fmt: skip
@click.option("--search", metavar="TEXT", help="Only tasks whose title, prompt or messages have these words.")
@click.option("--since", metavar="TIME", help="Only tasks submitted since: 30m, 2d, or a date.")
@click.option("--until", metavar="TIME", help="Only tasks submitted before: 30m, 2d, or a date.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    metavar="N",
    help=f"Show N (default: {DEFAULT_LIMIT}).",
)
@click.option("--cursor", help="Continue after the end of an earlier list.")
def list_tasks(run: CommandContext, **options: Any) -> None:
    """List the recorded tasks of all services, the latest first."""
    with opened(run) as history:
        page = history.list(_filter(run, options), limit=options["limit"], cursor=options["cursor"])
    run.answer(
        lambda: {"tasks": [_document(each, is_summary=True) for each in page.items], "cursor": page.cursor},
        lambda: _table(run, page),
        is_long=True,
    )
    if page.cursor and not run.is_json:
        run.note("", f"There are more: {run.hint('history', *_words_of(options))} --cursor={page.cursor}")


def _words_of(options: dict[str, Any]) -> list[str]:
    """Return the options of a list as they are written on the command line."""
    limit = options["limit"] if options["limit"] != DEFAULT_LIMIT else None
    values = {f"--{name}": options[name] for name in ("search", "since", "until")}
    values |= {"--limit": limit, "--provider": options["service"]}
    words = [word for name, value in values.items() if value is not None for word in (name, str(value))]
    return words + [word for state in options["states"] for word in ("--state", state)]


def _moment(run: CommandContext, text: str | None, option: str) -> Any:
    from datetime import UTC, datetime

    return None if text is None else datetime.fromtimestamp(moment_of(text, run.now, option), UTC)


def _filter(run: CommandContext, options: dict[str, Any]) -> HistoryFilter:
    from ..._model.states import TaskState
    from ..._store.history import HistoryFilter

    return HistoryFilter(
        provider=options["service"],
        states=tuple(map(TaskState, options["states"])),
        since=_moment(run, options["since"], "--since"),
        until=_moment(run, options["until"], "--until"),
        text=options["search"],
    )


def _table(run: CommandContext, page: HistoryPage) -> list[Line]:
    from ..task_table import task_table

    return task_table([each.task for each in page.items], run.now, width=run.console.max_width) or ["No tasks found."]


def _document(entry: HistoryEntry, *, is_summary: bool = False) -> dict[str, Any]:
    task = to_object(entry.task, is_summary=is_summary)
    origin = {name: getattr(entry, name) for name in ("is_current", "template", "template_digest")}
    return {**task, "recorded_at": jsonable(entry.recorded_at), **origin}


@history_command.subcommand(
    "show",
    examples="""
coatcheck history show @last
coatcheck history show @last --json
""",
)
@refs
def show_tasks(run: CommandContext, *, refs: tuple[str, ...]) -> None:
    """Print tasks as they were recorded, whatever their state."""
    from ..formatting import age
    from ..wait_progress import result

    with opened(run) as history:
        entries = [_require(history, ref) for ref in unique_refs(run, refs)]
    documents = [_document(entry) for entry in entries]
    blocks = [
        [*([""] if place else []), *result(each.task, None, run), *_template_lines(each)]
        for place, each in enumerate(entries)
    ]
    run.answer(
        lambda: documents[0] if len(documents) == 1 else {"tasks": documents},
        lambda: [line for block in blocks for line in block],
        is_long=True,
    )
    for entry in entries:
        when = f"{entry.task.ref} was recorded {age(entry.recorded_at, run.now)}"
        more = "" if entry.is_current else f"; get it from its service with: coatcheck show {entry.task.ref}"
        run.note(Styled(when + more, "dim"))


def _template_lines(entry: HistoryEntry) -> list[Line]:
    """Return the template that a task was submitted from."""
    digest = (entry.template_digest or "")[:12]
    return [("", Styled("template  ", "dim"), f"{entry.template}  {digest}")] if entry.template else []


def _require(history: History, ref: TaskRef) -> HistoryEntry:
    entry = history.get(ref)
    if entry is None:
        raise _unknown(ref)
    return entry


def _unknown(ref: TaskRef) -> errors.TaskError:
    return errors.TaskError(
        f"{ref} is not in the history", ref=ref, remedy=f"get it from its service with: coatcheck show {ref}"
    )


def unique_refs(run: CommandContext, texts: Sequence[str]) -> list[TaskRef]:
    """Return the tasks that *texts* name, each once."""
    return list(dict.fromkeys(run.ref(each) for each in texts))


@history_command.subcommand(
    "export",
    examples="""
coatcheck history export > tasks.jsonl
coatcheck history export @last @2
""",
)
@optional_refs
def export_tasks(run: CommandContext, *, refs: tuple[str, ...]) -> None:
    """Print tasks with their events and texts as lines of JSON. Without REF these are all tasks."""
    if run.has_chosen_fields:
        raise errors.ConfigurationError(
            "history export writes whole lines of JSON", remedy="leave out the FIELDS of --json, and --jq"
        )
    with opened(run) as history:
        for line in history.export_lines([run.ref(each) for each in refs] or None):
            run.console.write(line)


@history_command.subcommand(
    "import",
    examples="""
coatcheck history import tasks.jsonl
coatcheck history export | ssh other coatcheck history import
""",
)
@click.argument("files", metavar="[FILE]...", nargs=-1)
def import_tasks(run: CommandContext, *, files: tuple[str, ...]) -> None:
    """Record the tasks of exported lines that are new or newer. Without FILE, and for -, it reads standard input."""
    from ..._app.task_history import level_of

    if level_of(run.config) == "off":
        raise errors.ConfigurationError("history is off, so nothing is imported", remedy="set COATCHECK_HISTORY=full")
    lines = (line for name in files or ("-",) for line in _lines_of(run, name))
    with opened(run) as history:
        _print_count(run, "imported", history.import_lines(lines))


def _lines_of(run: CommandContext, name: str) -> Iterator[bytes]:
    if name == "-":
        yield from run.process_env.stdin
        return
    from ..._files.reading import open_named_file

    try:
        with open_named_file(os.path.join(run.process_env.folder, name)) as file:
            yield from file
    except OSError as error:
        raise errors.ConfigurationError(
            f"{name} cannot be read: {error.strerror}", remedy="give a file that coatcheck history export has written"
        ) from None


@history_command.subcommand("forget", examples="coatcheck history forget codex:task_e_6a0")
@refs
def forget_tasks(run: CommandContext, *, refs: tuple[str, ...]) -> None:
    """Delete tasks with their events and texts from the history."""
    with opened(run) as history:
        unique = unique_refs(run, refs)
        for ref in unique:
            if ref not in history.find_refs(ref.id, provider=ref.provider, limit=1):  # which reads no content
                raise _unknown(ref)
        _print_count(run, "forgotten", history.forget(unique))


@history_command.subcommand("prune", examples="coatcheck history prune --before 90d")
@click.option("--before", metavar="TIME", required=True, help="Tasks that were last recorded before: 90d, or a date.")
def prune_tasks(run: CommandContext, *, before: str) -> None:
    """Delete from the history the tasks and the reviews that have ended."""
    moment = _moment(run, before, "--before")
    with opened(run) as history:
        _print_count(run, "pruned", history.prune(moment), reviews=history.prune_reviews(moment))


def _print_count(run: CommandContext, action: str, count: int, *, reviews: int | None = None) -> None:
    more = f" and {plural(reviews, 'review')}" if reviews else ""
    sentence = f"{plural(count, 'task')}{more} {action}"
    run.console.remedy = sentence
    document: dict[str, object] = {action: count} if reviews is None else {action: count, "reviews": reviews}
    run.answer(lambda: document, lambda: [f"{sentence}."])
