"""`submit` hands a task over and returns at once; `run` also waits for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..._app.outcomes import choose_patch, outcome_of
from ..._app.submit import SubmitOptions, check_attempt, prepare_submission, resume_status
from ..._app.wait import PlanApproval, WaitOptions, plan_decision, wait_for_task
from ..._model.states import TaskState
from ..apply import apply_document, apply_exit_code, apply_lines, print_warnings
from ..console import Styled
from ..context import (
    CommandContext,
    attempt_option,
    command,
    interval_option,
    seconds,
    timeout_of,
    timeout_option,
)
from ..exit_codes import exit_code_of
from ..json_output import Fields, error_document, many, to_object
from ..wait_progress import (
    ask_about_plan,
    expect_interruption,
    print_next_step,
    result,
    wait_exit_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._app.apply import ApplyReport
    from ..._engine.submit import ResumedSubmission
    from ..._model.tasks import Task
    from ..._runtime.client import Client
    from ..console import Line

OPTIONS = (
    click.argument("prompt", required=False),
    click.option("--environment", "-e", metavar="NAME", help="Environment to run in, by id or label."),
    click.option("--repo", "repository", metavar="OWNER/REPO", help="Run in the environment of this repository."),
    click.option(
        "--branch", "-b", help="Branch to start from (default: the checkout's branch, else the environment's)."
    ),
    click.option("--attempts", "-n", type=int, metavar="N", help="How many attempts to run, to choose from."),
    click.option("--ask", is_flag=True, help="Ask a question; the task makes no diff."),
    click.option("--model", metavar="NAME", help="Model to use; the service may choose another."),
    click.option("--title", metavar="TEXT", help="Title of the task; an error where the service takes none."),
    click.option("--open-pr", is_flag=True, help="Let the service open a pull request when the task succeeds."),
    click.option(
        "--starting-diff", metavar="FILE", help="Diff to apply before the agent starts (- is standard input)."
    ),
)


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@command(
    "submit",
    examples="""
coatcheck submit "Add dark mode"
coatcheck submit --environment owner/repo --branch main --attempts 3 --json "Add dark mode"
git diff | coatcheck submit --starting-diff - "Finish what I began"
coatcheck submit - < prompt.md
coatcheck submit --resume
""",
)
@_with_options
@click.option(
    "--plan-approval", is_flag=True, help="Make the agent wait for `coatcheck approve` before it carries out its plan."
)
@click.option("--resume", is_flag=True, help="Look up submissions whose answer was lost, and submit nothing.")
def submit_command(run: CommandContext, *, resume: bool, plan_approval: bool, **options: Any) -> None:
    """Hand a task over and print its ref at once (step 1 of 2).

    Without --environment and --repo the task runs in the environment of the checkout's remotes. The prompt is read
    from standard input when it is - or missing. A task is submitted at most once, whatever errors the network causes.
    """
    with run.client(environment=target_of(options)) as client:
        if resume:
            _resume(run, client)
            return
        task = _submit(run, client, requires_approval=plan_approval or None, **options)
    run.answer(lambda: to_object(task, is_summary=True), lambda: [str(task.ref)])


@command(
    "run",
    examples="""
coatcheck run "Add dark mode"
coatcheck run --repo owner/repo --attempts 3 --apply "Add dark mode"
coatcheck run --ask "Where is the theme chosen?"
""",
)
@_with_options
@timeout_option
@interval_option
@attempt_option
@click.option("--apply", "is_applied", is_flag=True, help="Apply the patch to this checkout when the task succeeds.")
@click.option(
    "--approve-plan",
    type=click.Choice(["ask", "auto", "never"]),
    help="Show the agent's plan and ask, approve it without asking, or stop at the plan (default: the service's).",
)
def run_command(
    run: CommandContext,
    *,
    timeout: str | None,
    interval: str | None,
    attempt: int | None,
    is_applied: bool,
    approve_plan: PlanApproval | None,
    **options: Any,
) -> int:
    """Hand a task over, wait for its end, and print its result.

    Ctrl-C stops the waiting, not the task. The exit code is 3 when the task ends without success, 10 when it needs
    input.
    """
    wait = WaitOptions(timeout=timeout_of(run, timeout), interval=seconds(interval) if interval else None)
    check_attempt(run.config, attempt, options["attempts"])
    root = run.workspace.require_root() if is_applied else None
    with run.client(environment=target_of(options), waits=True) as client:
        approve = plan_decision(client, run.provider, approve_plan, lambda task: ask_about_plan(run, task))
        task = _submit(run, client, requires_approval=approve_plan in ("ask", "never") or None, **options)
        task = wait_for_task(client, task.ref, wait, approve=approve, on_change=run.start_progress(task.ref).update)
    outcome_of(task, attempt)  # raises where there is no such attempt
    report = _apply(run, root, task, attempt) if root is not None and task.state is TaskState.SUCCEEDED else None
    run.answer(
        lambda: to_object(task) | ({"applied": _applied_document(report)} if is_applied else {}),
        lambda: [*result(task, attempt, run), *_applied_lines(report)],
    )
    if report is None:
        print_next_step(run, task)
        return wait_exit_code(task)
    if isinstance(report, errors.CoatcheckError):
        if not run.is_json:
            raise report
        return exit_code_of(report)
    return apply_exit_code(report)


def target_of(options: dict[str, Any]) -> str | None:
    """Return the environment or the repository of the options."""
    target: str | None = options["environment"] or options["repository"]
    return target


def _apply(run: CommandContext, root: str, task: Task, attempt: int | None) -> ApplyReport | errors.CoatcheckError:
    """Apply a task's patch; an error is returned, because the result is printed before it."""
    from ..._app.apply import apply_patch

    try:
        chosen = choose_patch(task, task.attempts, attempt)
        return apply_patch(root, chosen, task=task, on_findings=lambda findings: print_warnings(run, findings))
    except errors.CoatcheckError as error:
        return error


def _applied_document(report: ApplyReport | errors.CoatcheckError | None) -> dict[str, object] | None:
    if isinstance(report, errors.CoatcheckError):
        return error_document(report)
    return apply_document(report) if report else None


def _applied_lines(report: ApplyReport | errors.CoatcheckError | None) -> list[Line]:
    if report is None or isinstance(report, errors.CoatcheckError):
        return []
    return ["", *apply_lines(report)]


def _submit(
    run: CommandContext,
    client: Client,
    *,
    prompt: str | None,
    ask: bool,
    open_pr: bool,
    starting_diff: str | None,
    **options: Any,
) -> Task:
    """Submit a task, and print its ref and the command that waits for it."""
    run.console.progress(lambda: ("submitting",))
    if starting_diff == "-" and prompt in (None, "-"):
        raise errors.ConfigurationError(
            "standard input cannot be both the prompt and the diff", remedy="pass one of them as an argument"
        )
    text = run.text(prompt, "the prompt")
    chosen = SubmitOptions(
        mode="ask" if ask else "code",
        open_pull_request=open_pr or None,
        starting_diff=_read_diff(run, starting_diff),
        **options,
    )
    spec, warning = prepare_submission(run.workspace, client, text, chosen)
    if warning:
        run.warn(f"warning: {warning}")
    run.process_env.interruption.expect("find out whether the task was submitted with: coatcheck submit --resume")
    task = client.create_task(spec)
    _print_ref(run, task)
    return task


def _print_ref(run: CommandContext, task: Task) -> None:
    expect_interruption(run, task.ref)
    wait = run.hint("wait", str(task.ref))
    run.console.remedy = f"the task was submitted; wait for it with: {wait}"
    run.note(
        ("Step 1/2: submitted ", Styled(str(task.ref), "bold"), *([f"  {task.url}"] if task.url else [])),
        f"Step 2/2: get the result with: {wait}",
    )


def _read_diff(run: CommandContext, path: str | None) -> bytes | None:
    """Return the starting diff of a file or of standard input."""
    if path is None:
        return None
    if path == "-":
        return run.process_env.stdin.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise errors.ConfigurationError(f"the starting diff {path} cannot be read: {error.strerror}") from None


SUBMISSION: Fields[ResumedSubmission] = {
    "summary": ("the beginning of the prompt", lambda r: r.intent.summary),
    "environment": ("its environment", lambda r: r.intent.environment),
    "branch": ("its branch", lambda r: r.intent.branch),
    "verdict": ('"found", "unclear", "busy" or "nothing"', resume_status),
    "task": ("task object, if it was found", lambda r: r.task and to_object(r.task, is_summary=True)),
    "candidates": ("refs of the tasks that match", lambda r: [str(ref) for ref in r.candidates]),
}


def _resume(run: CommandContext, client: Client) -> None:
    """Print what is known about each open submission."""
    submissions = list(client.resume_submissions())
    run.answer(
        lambda: {"submissions": many(SUBMISSION, submissions)},
        lambda: [_resumed_line(each) for each in submissions] or ["No submission is open."],
    )


def _resumed_line(resumed: ResumedSubmission) -> str:
    summary = repr(resumed.intent.summary)
    candidates = ", ".join(map(str, resumed.candidates))
    return {
        "busy": f"{summary}: another process is still submitting it",
        "found": f"{summary}: it is {resumed.task.ref if resumed.task else ''}",
        "unclear": f"{summary}: it could be any of {candidates}",
        "nothing": f"{summary}: no task matches so far; it was not sent again",
    }[resume_status(resumed)]
