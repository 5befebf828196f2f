"""`submit` hands a task over and returns at once; `run` waits for its end as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..._model.states import TaskState
from ..apply import ApplyReport, checkout_of, land
from ..console import Styled
from ..context import (
    CommandContext,
    attempt_option,
    command,
    interval_option,
    seconds,
    timeout_of,
    timeout_option,
    utf8,
)
from ..exit_codes import exit_code_of
from ..json_output import error_document, to_object
from ..plan_prompts import Approve, decider, next_step, verdict
from ..wait_progress import chosen, expect_return, result, wait_for, with_patch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._model.tasks import Task, TaskSpec
    from ..._runtime.client import Client

OPTIONS = (
    click.argument("prompt", required=False),
    click.option("--environment", "-e", metavar="NAME", help="Where it runs: an environment's id or label."),
    click.option("--repo", "repository", metavar="OWNER/REPO", help="Where it runs: the repository's environment."),
    click.option("--branch", "-b", help="Where it starts (default: the checkout's branch, else the environment's)."),
    click.option("--attempts", "-n", type=int, metavar="N", help="How many attempts at it, to choose from."),
    click.option("--ask", is_flag=True, help="Ask a question: no diff."),
    click.option("--model", metavar="NAME", help="Which model; the service may choose another."),
    click.option("--title", metavar="TEXT", help="What the task is called; services that take none say so."),
    click.option("--open-pr", is_flag=True, help="Let the service open a pull request itself when it is done."),
    click.option(
        "--starting-diff", metavar="FILE", help="A diff that is applied before the agent starts (- is standard input)."
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
@click.option("--plan-approval", is_flag=True, help="Let the agent wait with its plan until `coatcheck approve`.")
@click.option("--resume", is_flag=True, help="Find out what became of submissions whose answer was lost.")
def submit_command(run: CommandContext, *, resume: bool, plan_approval: bool, **options: Any) -> None:
    """Hand a task over and print its ref at once (step 1 of 2).

    Without --environment and --repo the remotes of the checkout say where it runs. The prompt is read from standard
    input when it is - or missing. A task is submitted once, whatever the network does.
    """
    with run.client(environment=place_of(options)) as client:
        if resume:
            _resume(run, client)
            return
        task = submit(run, client, requires_approval=plan_approval or None, **options)
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
@click.option("--apply", "is_applied", is_flag=True, help="Land the patch in this checkout when it is done.")
@click.option(
    "--approve-plan",
    type=click.Choice(["ask", "auto", "never"]),
    help="Show the agent's plan and ask, approve it unseen, or end with the plan (default: what the service does).",
)
def run_command(
    run: CommandContext,
    *,
    timeout: str | None,
    interval: str | None,
    attempt: int | None,
    is_applied: bool,
    approve_plan: Approve | None,
    **options: Any,
) -> int:
    """Hand a task over, wait for its end, and print what it made.

    Ctrl-C stops the waiting, not the task. The exit code is 3 when the task ends without success, 10 when it stands
    still until somebody acts.
    """
    limit, pause = timeout_of(run, timeout), seconds(interval) if interval else None
    _check_attempt(run, attempt, options["attempts"])
    if is_applied:
        checkout_of(run)
    with run.client(environment=place_of(options)) as client:
        approve = decider(run, client, approve_plan)
        task = submit(run, client, requires_approval=approve_plan in ("ask", "never") or None, **options)
        task = wait_for(run, client, task.ref, timeout=limit, interval=pause, first=False, approve=approve)
    chosen(task, attempt)
    is_good = task.state is TaskState.SUCCEEDED
    landed = _landed(run, task, attempt) if is_applied and is_good else None
    run.answer(
        lambda: to_object(task) | ({"applied": _landed_document(landed)} if is_applied else {}),
        lambda: [*result(task, attempt, run.now), *(["", *landed.lines()] if isinstance(landed, ApplyReport) else [])],
    )
    if isinstance(landed, errors.CoatcheckError) and not run.is_json:
        raise landed
    if landed is not None:
        return landed.code if isinstance(landed, ApplyReport) else exit_code_of(landed)
    next_step(run, task)
    return verdict(task)


def place_of(options: dict[str, Any]) -> str | None:
    """Return the environment or the repository that the options name."""
    place: str | None = options["environment"] or options["repository"]
    return place


def _check_attempt(run: CommandContext, wanted: int | None, attempts: int | None) -> None:
    """Raise `ConfigurationError` for an attempt that there will not be; afterwards it would be too late."""
    total = _attempts(run, attempts)
    if wanted is not None and wanted > total:
        raise errors.ConfigurationError(f"there will be no attempt {wanted}", remedy=f"ask for --attempts {wanted}")


def _landed(run: CommandContext, task: Task, attempt: int | None) -> ApplyReport | errors.CoatcheckError:
    """Apply what a task made; what goes wrong is told after the result, which was paid for."""
    try:
        number, made = with_patch_of(task, task.attempts, attempt)
        return land(run, made, task=task, attempt=number)
    except errors.CoatcheckError as error:
        return error


def _landed_document(landed: ApplyReport | errors.CoatcheckError | None) -> dict[str, object] | None:
    if isinstance(landed, errors.CoatcheckError):
        return error_document(landed)
    return landed.document() if landed else None


def submit(run: CommandContext, client: Client, **options: Any) -> Task:
    """Submit what the options say, and tell how to come back."""
    from ..unseen import warning

    run.console.progress(lambda: ("submitting",))
    spec = _spec(run, client, **options)
    if unseen := warning(run, spec):
        run.note(unseen)
    run.process_env.interruption.expect("whether the task was submitted is told by: coatcheck submit --resume")
    task = client.create_task(spec)
    expect_return(run, task.ref)
    again = run.hint("wait", str(task.ref))
    run.console.remedy = f"the task was submitted; come back with: {again}"
    run.note(
        ("Step 1/2: submitted ", Styled(str(task.ref), "bold"), *([f"  {task.url}"] if task.url else [])),
        f"Step 2/2: come back with: {again}",
    )
    return task


def _spec(
    run: CommandContext,
    client: Client,
    *,
    prompt: str | None,
    environment: str | None,
    repository: str | None,
    branch: str | None,
    attempts: int | None,
    ask: bool,
    model: str | None,
    starting_diff: str | None,
    title: str | None = None,
    open_pr: bool = False,
    requires_approval: bool | None = None,
) -> TaskSpec:
    """Return what is asked, from options, settings and the checkout."""
    from ..._model.tasks import TaskSpec

    if starting_diff == "-" and prompt in (None, "-"):
        raise errors.ConfigurationError("standard input cannot be both the prompt and the diff")
    text = run.text(prompt, "the prompt")
    if not text.strip():
        raise errors.ConfigurationError("the prompt is blank", remedy="say what the agent should do")
    diff = _starting_diff(run, starting_diff)
    if environment is None and repository is None:
        environment = run.config.get("environment")
    if not environment and not repository and (run.root or client.capabilities.needs_environment):
        from ..checkout import environment_of

        environment, repository = environment_of(client, run.root)
    return TaskSpec(
        prompt=text,
        environment=environment,
        repository=repository,
        branch=branch or run.config.get("branch") or _branch_here(run, repository),
        attempts=_attempts(run, attempts),
        mode="ask" if ask else "code",
        model=model,
        starting_diff=diff,
        title=title,
        open_pull_request=open_pr or None,
        requires_approval=requires_approval,
    )


def _attempts(run: CommandContext, option: int | None) -> int:
    """Return how many attempts are asked for: the option, else the setting."""
    number = run.config.number("attempts") if option is None else option
    if number is None or number != int(number):
        raise errors.ConfigurationError(f"attempts should be a whole number, not {number}")
    return int(number)


def _branch_here(run: CommandContext, repository: str | None) -> str | None:
    """Return the checkout's branch, as the official client sends it (codex-wham.md 2.2); None lets the provider choose.

    The branch of a checkout of another repository than the one asked for means nothing there.
    """
    if run.root is None:
        return None
    from ..checkout import current_branch, repositories

    if repository is not None and repository.lower() not in map(str.lower, repositories(run.root)):
        return None
    return current_branch(run.root)


def _starting_diff(run: CommandContext, path: str | None) -> str | None:
    """Return the diff to start from: a file, standard input, or the variable that the official client reads."""
    if path is None:
        return run.config.get("starting_diff", variable="CODEX_STARTING_DIFF") or None
    if path == "-":
        data = run.process_env.stdin.read()
    else:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise errors.ConfigurationError(f"the starting diff {path} cannot be read: {error.strerror}") from None
    from ..._patches.parse import Patch

    Patch.parse(data)
    return utf8(data, "the starting diff")


def _resume(run: CommandContext, client: Client) -> None:
    """Tell what became of each open submission."""
    from ..resume import document_of, line_of

    found = list(client.resume_submissions())
    run.answer(
        lambda: {"submissions": [document_of(each) for each in found]},
        lambda: [line_of(each) for each in found] or ["No submission is open."],
    )
