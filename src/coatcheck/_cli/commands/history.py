"""`history`: every task that was submitted or seen from here, read without the network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..console import Styled
from ..context import CommandContext, command
from ..json_output import jsonable, to_object
from .listing import DEFAULT_LIMIT, STATES, moment_of

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef
    from ..._store.history import History, HistoryEntry, HistoryFilter, HistoryPage
    from ..console import Line

# Action -> what follows it, None where nothing does.
ACTIONS = {"list": None, "show": "REF", "export": "REF", "import": "FILE", "forget": "REF", "prune": None}
NEEDS_TARGET = ("show", "forget")


@command(
    "history",
    has_provider=False,
    examples="""
coatcheck history
coatcheck history --search "dark mode" --since 7d
coatcheck history --provider codex --state failed --json ref,title
coatcheck history show @last
coatcheck history export > tasks.jsonl
coatcheck history import tasks.jsonl
coatcheck history forget codex:task_e_6a0
coatcheck history prune --before 90d
""",
)
@click.argument("action", type=click.Choice(list(ACTIONS)), default="list")
@click.argument("targets", metavar="[REF|FILE]...", nargs=-1)
@click.option("--provider", "service", metavar="NAME", help="list: Only tasks of this service.")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, metavar="STATE",
    help="list: Only tasks in a state, as `coatcheck list` takes it; may be repeated.",
)  # fmt: skip
@click.option("--search", metavar="TEXT", help="list: Only tasks whose title, prompt or messages have these words.")
@click.option("--since", metavar="TIME", help="list: Only tasks submitted since: 30m, 2d, or a date.")
@click.option("--until", metavar="TIME", help="list: Only tasks submitted before: 30m, 2d, or a date.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"list: Show N (default: {DEFAULT_LIMIT}).")
@click.option("--cursor", help="list: Continue after the end of an earlier list.")
@click.option("--before", metavar="TIME", help="prune: Tasks that were last recorded before: 90d, or a date.")
def history_command(run: CommandContext, *, action: str, targets: tuple[str, ...], **options: Any) -> None:
    """List the tasks that were submitted or seen from here, of all services, without the network.

    show prints a task as it was recorded. export writes tasks as lines of JSON, all without REF, and import reads such
    lines. forget deletes tasks from the history, prune those that have ended; the services keep them. The setting
    history chooses what is recorded: full, metadata (no text) or off.
    """
    from ..._app.task_history import open_history

    _check(action, targets, options)
    with closing(open_history(run.config, clock=run.process_env.clock)) as history:
        if action == "list":
            _list(run, history, options)
        elif action == "show":
            _show(run, history, [run.ref(each) for each in targets])
        elif action == "export":
            _export(run, history, [run.ref(each) for each in targets])
        elif action == "import":
            _import(run, history, targets)
        elif action == "forget":
            _forget(run, history, [run.ref(each) for each in targets])
        else:
            _print_count(run, "pruned", history.prune(_moment(run, options["before"], "--before")))


def _check(action: str, targets: Sequence[str], options: dict[str, Any]) -> None:
    """Raise `ConfigurationError` for what the action does not take, and for what it lacks."""
    if action in NEEDS_TARGET and not targets:
        raise errors.ConfigurationError(f"history {action} needs REF", remedy=f"run: coatcheck history {action} REF")
    if targets and ACTIONS[action] is None:
        raise errors.ConfigurationError(f"history {action} takes no argument", remedy=f"leave out {targets[0]!r}")
    if action == "prune" and not options["before"]:
        raise errors.ConfigurationError(
            "history prune needs --before", remedy="run: coatcheck history prune --before 90d"
        )
    own = {"list": set(options) - {"before"}, "prune": {"before"}}.get(action, set())
    for name, value in options.items():
        if value and name not in own:
            option = {"service": "provider", "states": "state"}.get(name, name)
            raise errors.ConfigurationError(f"history {action} takes no --{option}", remedy="leave it out")


def _moment(run: CommandContext, text: str | None, option: str) -> Any:
    from datetime import UTC, datetime

    return None if text is None else datetime.fromtimestamp(moment_of(text, run.now, option), UTC)


def _list(run: CommandContext, history: History, options: dict[str, Any]) -> None:
    page = history.list(_filter(run, options), limit=options["limit"] or DEFAULT_LIMIT, cursor=options["cursor"])
    run.answer(
        lambda: {"tasks": [_document(each, is_summary=True) for each in page.items], "cursor": page.cursor},
        lambda: _table(run, page),
        is_long=True,
    )
    if page.cursor and not run.is_json:
        words = {f"--{name}": options[name] for name in ("search", "since", "until", "limit")}
        words["--provider"] = options["service"]
        given = [word for name, value in words.items() if value is not None for word in (name, str(value))]
        given += [word for state in options["states"] for word in ("--state", state)]
        run.note("", f"There are more: {run.hint('history', *given)} --cursor={page.cursor}")


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


def _show(run: CommandContext, history: History, refs: Sequence[TaskRef]) -> None:
    from ..formatting import age
    from ..wait_progress import result

    entries = [_require(history, ref) for ref in dict.fromkeys(refs)]
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
        raise errors.TaskError(
            f"{ref} is not in the history", ref=ref, remedy=f"get it from its service with: coatcheck show {ref}"
        )
    return entry


def _export(run: CommandContext, history: History, refs: Sequence[TaskRef]) -> None:
    if run.has_chosen_fields:
        raise errors.ConfigurationError(
            "history export writes whole lines of JSON", remedy="leave out the FIELDS of --json, and --jq"
        )
    for line in history.export_lines(refs or None):
        run.console.write(line)


def _import(run: CommandContext, history: History, names: Sequence[str]) -> None:
    from ..._app.task_history import level_of

    if level_of(run.config) == "off":
        raise errors.ConfigurationError("history is off, so nothing is imported", remedy="set COATCHECK_HISTORY=full")
    lines = (line for name in names or ("-",) for line in _lines_of(run, name))
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


def _forget(run: CommandContext, history: History, refs: Sequence[TaskRef]) -> None:
    unique = list(dict.fromkeys(refs))
    for ref in unique:
        _require(history, ref)
    _print_count(run, "forgotten", history.forget(unique))


def _print_count(run: CommandContext, action: str, count: int) -> None:
    sentence = f"{count} task{'' if count == 1 else 's'} {action}"
    run.console.remedy = sentence
    run.answer(lambda: {action: count}, lambda: [f"{sentence}."])
