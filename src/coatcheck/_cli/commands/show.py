"""`status`, `show` and `attempts` print one task as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.outcomes import file_of, load_task, outcome_of
from ..context import CommandContext, attempt_option, command, ref_argument
from ..formatting import attempts as attempt_lines, summary
from ..json_output import to_object
from .browse import open_page

if TYPE_CHECKING:
    from ..._model.tasks import Task


web_option = click.option("--web", is_flag=True, help="Open the task's web page instead, and print its URL.")


@command(
    "status",
    examples="""
coatcheck status codex:task_e_6a0
coatcheck status task_e_6a0 --json
coatcheck status https://chatgpt.com/codex/tasks/task_e_6a0
""",
)
@ref_argument
@web_option
def status_command(run: CommandContext, *, task: str, web: bool) -> None:
    """Show a task's state, with one request.

    The exit code is 0 whatever the state is; that of `wait` depends on it.
    """
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        current = client.get_task(ref)
    if web:
        open_page(run, current)
        return
    run.answer(lambda: to_object(current, is_summary=True), lambda: summary(current, run.now))


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
@web_option
def show_command(
    run: CommandContext, *, task: str, attempt: int | None, path: str | None, form: str | None, web: bool
) -> None:
    """Print a task's result so far: messages, pull request, files, attempts.

    On a terminal it is shown in your pager.
    """
    from ..wait_progress import result

    if sum(map(bool, (path, form, web or run.is_json))) > 1:
        raise errors.ConfigurationError(
            "--file, --format, --web and --json cannot be combined", remedy="pass one of them"
        )
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        loaded = client.get_task(ref) if web else load_task(client, ref)
    if web:
        open_page(run, loaded)
        return
    outcome_of(loaded, attempt)  # raises where there is no such attempt
    if path:
        _print_file(run, loaded, attempt, path)
    elif form:
        from ..._app.export_formats import FORMATS

        run.bytes(FORMATS[form](loaded, attempt))
    else:
        run.answer(lambda: to_object(loaded), lambda: result(loaded, attempt, run.now), is_long=True)


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
""",
)
@ref_argument
def attempts_command(run: CommandContext, *, task: str) -> None:
    """List every attempt of a task with its state and the size of its change, and compare their changes.

    The comparison names equal changes, the share of lines that two attempts have in common, and files that only one
    attempt changes.
    """
    from ..._app.review import review_attempts
    from ..patch_formatting import comparison_lines, language_lines

    ref = run.ref(task)
    with run.client(ref.provider) as client:
        attempts, comparison = review_attempts(client, ref)
    has_several = len(comparison.changes) > 1
    compared = [*(language_lines(comparison) if has_several else []), *comparison_lines(comparison)]
    run.answer(
        lambda: {
            "ref": str(ref),
            "attempts": [to_object(each) for each in attempts],
            "comparison": to_object(comparison),
        },
        lambda: (
            [*attempt_lines(attempts), *([""] if compared else []), *compared]
            or ["The service reports no attempt yet."]
        ),
    )
