"""`status`, `show` and `attempts` look at one task, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from ... import errors
from ..context import CommandContext, attempt_option, command, ref_argument
from ..formatting import attempts as attempt_lines, summary
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._model.tasks import Task


@command(
    "status",
    examples="""
coatcheck status codex:task_e_6a0
coatcheck status task_e_6a0 --json
coatcheck status https://chatgpt.com/codex/tasks/task_e_6a0
""",
)
@ref_argument
def status_command(run: CommandContext, *, task: str) -> None:
    """Say where a task is in its life: one request.

    The exit code is 0 whatever the state is; `wait` judges it.
    """
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
    run.answer(lambda: to_object(found, is_summary=True), lambda: summary(found, run.now))


@command(
    "show",
    examples="""
coatcheck show codex:task_e_6a0
coatcheck show --attempt 2 codex:task_e_6a0
coatcheck show --file src/app.py codex:task_e_6a0
coatcheck show --format mail codex:task_e_6a0 | git am
""",
)
@ref_argument
@attempt_option
@click.option("--file", "path", metavar="PATH", help="Print this file as the agent left it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "chat", "mail"]),
    help="Print it as Markdown, as a Chat Completions response, or as a mail for git am.",
)
def show_command(run: CommandContext, *, task: str, attempt: int | None, path: str | None, form: str | None) -> None:
    """Print everything a task has made so far: messages, pull request, files, attempts.

    On a terminal it goes through your pager.
    """
    from ..wait_progress import chosen, result

    if sum(map(bool, (path, form, run.is_json))) > 1:
        raise errors.ConfigurationError("--file, --format and --json do not go together", remedy="give one of them")
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
        if (found.attempt_total or 1) > 1:
            found = msgspec.structs.replace(found, attempts=client.list_attempts(found))
    chosen(found, attempt)
    if path:
        _print_file(run, found, attempt, path)
    elif form:
        from ..export_formats import FORMATS

        run.bytes(FORMATS[form](found, attempt))
    else:
        run.answer(lambda: to_object(found), lambda: result(found, attempt, run.now), is_long=True)


def _print_file(run: CommandContext, task: Task, attempt: int | None, path: str) -> None:
    """Print a file: its own text, painted on a terminal."""
    from ..export_formats import file_of

    file = file_of(task, attempt, path)
    if not file.is_whole:
        run.note(f"the service sent only parts of {path}")
    text = file.content or ""
    if run.console.is_terminal and run.console.has_colour:
        from ..highlighting import painted_file

        run.page(painted_file(text, file.language))
    else:
        run.bytes(text.encode("utf-8", "surrogateescape"))


@command(
    "attempts",
    examples="""
coatcheck attempts codex:task_e_6a0
coatcheck attempts --json codex:task_e_6a0
""",
)
@ref_argument
def attempts_command(run: CommandContext, *, task: str) -> None:
    """List every attempt of a task with its state and the size of its change, and compare what they changed.

    Which are the same change, how much of it two of them share, and which files only one touches.
    """
    from ..._model.comparison import compare_attempts
    from ..patch_formatting import comparison_lines, language_lines

    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.list_attempts(ref)
    compared = compare_attempts(found)
    several = len(compared.changes) > 1
    told = [*(language_lines(compared) if several else []), *comparison_lines(compared)]
    run.answer(
        lambda: {
            "ref": str(ref),
            "attempts": [to_object(each) for each in found],
            "comparison": to_object(compared),
        },
        lambda: [*attempt_lines(found), *([""] if told else []), *told] or ["The service names no attempt yet."],
    )
