"""`status`, `show` and `attempts` print tasks as they are now; `open` opens their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from ... import errors
from ..._app.outcomes import file_of, load_task, outcome_of
from ..browser import open_pages
from ..console import Line, Styled
from ..context import CommandContext, attempt_option, command, refs_argument
from ..exit_codes import ExitCode
from ..formatting import attempts as attempt_lines, change, summary
from ..json_output import to_object
from ..option_rules import refuse_together
from ..several_tasks import answer_each, for_each, refs_of
from ..stored_tasks import read_each, reading, refresh_option, with_origin
from .patch import directory_option, repair_option, strip_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.patch_files import PatchOptions
    from ..._app.task_history import TaskReader
    from ..._model.comparison import Comparison
    from ..._model.tasks import Task, TaskRef

web_option = click.option("--web", is_flag=True, help="Open the task's web page instead, and print its URL.")


@command(
    "status",
    examples="""
coatcheck status codex:task_e_6a0
coatcheck status task_e_6a0 --json
coatcheck status https://chatgpt.com/codex/tasks/task_e_6a0
coatcheck status @last @2
""",
)
@refs_argument
@web_option
@refresh_option
def status_command(run: CommandContext, *, tasks: tuple[str, ...], web: bool, refresh: bool) -> int:
    """Show the state of tasks, with one request each. Those that have ended are read from the history.

    The exit code is 0 whatever the state is; that of `wait` depends on it.
    """
    results = read_each(run, refs_of(run, tasks), lambda reader, ref: reader.get_task(ref), is_refreshed=refresh)
    if web:
        return open_pages(run, results)
    has_several = len(results) > 1
    return answer_each(
        run,
        results,
        lambda task: with_origin(run, task.ref, to_object(task, is_summary=True)),
        lambda task: [*([Styled(str(task.ref), "bold")] if has_several else []), *summary(task, run.now)],
        gap=True,
    )


@command(
    "open",
    examples="""
coatcheck open codex:task_e_6a0
coatcheck open @last
""",
)
@refs_argument
def open_command(run: CommandContext, *, tasks: tuple[str, ...]) -> int:
    """Open the pages of tasks in a browser and print their URLs.

    The browser is BROWSER, else the system's. Over SSH and without a desktop (unless BROWSER is set), and with --json,
    only the URLs are printed.
    """
    return open_pages(run, list(for_each(run, refs_of(run, tasks), lambda client, ref: client.get_task(ref))))


@command(
    "show",
    examples="""
coatcheck show codex:task_e_6a0
coatcheck show @last --web
coatcheck show --attempt 2 codex:task_e_6a0
coatcheck show --file src/app.py codex:task_e_6a0
coatcheck show --format mail codex:task_e_6a0 | git am
""",
)
@refs_argument
@attempt_option
@web_option
@click.option("--file", "path", metavar="PATH", help="Print this file as the agent left it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "chat", "mail"]),
    help="Print it as Markdown, as a Chat Completions response, or as a mail for git am.",
)
@refresh_option
def show_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    attempt: int | None,
    web: bool,
    path: str | None,
    form: str | None,
    refresh: bool,
) -> int:
    """Print the results of tasks so far: prompt, messages, pull request, files, attempts.

    Tasks that have ended are read from the history, which a line on stderr reports. On a terminal they are shown in your pager, and messages are rendered as Markdown.
    """
    from ..wait_progress import result

    refuse_together({"--file": path, "--format": form, "--web": web, "--json": run.is_json})
    refs = refs_of(run, tasks)
    if len(refs) > 1 and (path or form):
        option = "--file" if path else "--format"
        raise errors.ConfigurationError(f"{option} is for one task, not {len(refs)}", remedy="name one task")
    results = read_each(run, refs, lambda reader, ref: _loaded(reader, ref, attempt), is_refreshed=refresh)
    if web:
        return open_pages(run, results)
    if path or form:
        (_, task), *_ = results
        _print_part(run, cast("Task", task), attempt, path, form)
        return ExitCode.DONE
    return answer_each(
        run,
        results,
        lambda task: with_origin(run, task.ref, to_object(task)),
        lambda task: result(task, attempt, run),
        is_long=True,
        gap=True,
    )


def _loaded(reader: TaskReader, ref: TaskRef, attempt: int | None) -> Task:
    """Return a task with its attempts. Raises `ConfigurationError` where there is no such *attempt*."""
    task = load_task(reader, ref)
    outcome_of(task, attempt)
    return task


def _print_part(run: CommandContext, task: Task, attempt: int | None, path: str | None, form: str | None) -> None:
    """Print a file of a task, or the task in another format."""
    if path:
        _print_file(run, task, attempt, path)
    elif form:
        from ..._app.export_formats import FORMATS

        run.bytes(FORMATS[form](task, attempt))


def _print_file(run: CommandContext, task: Task, attempt: int | None, path: str) -> None:
    """Print a file's text, highlighted on a terminal."""
    file = file_of(task, attempt, path)
    if not file.is_whole:
        run.note(f"the service sent only parts of {path}")
    text = file.content or ""
    if run.console.is_terminal and run.console.has_colour:
        from ..highlighting import highlight_file

        run.page(highlight_file(text, file.language))
    else:
        run.bytes(text.encode("utf-8", "surrogateescape"))


@command(
    "attempts",
    examples="""
coatcheck attempts codex:task_e_6a0
coatcheck attempts --json codex:task_e_6a0
coatcheck attempts one.patch two.patch
""",
)
@click.argument("tasks", metavar="REF|FILE...", nargs=-1, required=True)
@strip_option
@directory_option
@repair_option
@refresh_option
def attempts_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    strip: int | None,
    directory: str | None,
    repair: bool,
    refresh: bool,
) -> None:
    """List every attempt of a task with its state and the size of its change, and compare their changes.

    The comparison names equal changes, the share of lines that two attempts have in common, and files that only one
    attempt changes. Instead of a task it takes patch files: ./NAME, existing paths and - (standard input); -p,
    --directory and --repair are for these.
    """
    from ..._app.patch_files import PatchOptions, is_patch_file

    others = [name for name in tasks if not is_patch_file(name, run.process_env.folder)]
    options = PatchOptions(strip, directory, repair, run.root)
    if not others:
        _compare_files(run, tasks, options)
    elif len(tasks) > 1:
        raise errors.ConfigurationError(
            f"{others[0]} is not a file, and several names must be files", remedy="pass one REF, or files: ./NAME"
        )
    elif options != PatchOptions(root=run.root):
        raise errors.ConfigurationError("-p, --directory and --repair need a patch file", remedy="leave them out")
    else:
        _compare_attempts(run, others[0], is_refreshed=refresh)


def _compare_attempts(run: CommandContext, task: str, *, is_refreshed: bool) -> None:
    from ..._app.review import review_attempts

    ref = run.ref(task)
    with reading(run, ref, is_refreshed=is_refreshed, needs_attempts=True) as reader:
        attempts, comparison = review_attempts(reader, ref)
    document = {
        "ref": str(ref),
        "attempts": [to_object(each) for each in attempts],
        "comparison": to_object(comparison),
    }
    run.answer(
        lambda: with_origin(run, ref, document),
        lambda: _with_comparison(attempt_lines(attempts), comparison) or ["The service reports no attempt yet."],
    )


def _compare_files(run: CommandContext, names: Sequence[str], options: PatchOptions) -> None:
    from ..._app.patch_files import read_patch_file, review_files, shown
    from ..apply import print_repairs

    if names.count("-") > 1:
        raise errors.ConfigurationError("standard input can be read once", remedy="pass - once")
    read = run.process_env.stdin.read
    files = [read_patch_file(name, run.process_env.folder, stdin=read, options=options) for name in names]
    for file in files:
        print_repairs(run, file.repairs)
    review = review_files(files)
    labels = {number: shown(name) for number, name in enumerate(names, 1)}
    if run.is_json:
        documents = [to_object(attempt) for attempt in review.attempts]
        run.answer(lambda: {"ref": None, "attempts": documents, "comparison": to_object(review.comparison)}, list)
        return
    width = max(map(len, labels.values()))
    sizes: list[Line] = [
        (Styled(labels[each.number].ljust(width), "bold"), "  ", *change(each.outcome))
        for each in review.attempts
        if each.outcome
    ]
    run.console.show_all(_with_comparison(sizes, review.comparison, labels))


def _with_comparison(lines: list[Line], comparison: Comparison, names: dict[int, str] | None = None) -> list[Line]:
    """Return *lines*, and below them the comparison where there is one."""
    from ..patch_formatting import comparison_lines, language_lines

    languages = language_lines(comparison, names) if len(comparison.changes) > 1 else []
    compared = [*languages, *comparison_lines(comparison, names)]
    return [*lines, *([""] if compared else []), *compared]
