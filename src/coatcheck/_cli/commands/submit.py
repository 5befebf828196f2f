"""`submit` hands a task over and returns at once; `run` also waits for its end."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..._app.checkout import current_branch, repositories
from ..._app.outcomes import choose_patch, outcome_of
from ..._app.submit import SubmitOptions, check_attempt, prepare_submission, resume_status
from ..._app.wait import PlanApproval, WaitOptions, plan_decision, wait_for_task
from ..._model.states import TaskState
from ..apply import apply_document, apply_exit_code, apply_lines, print_warnings
from ..batch import read_lines, run_batch
from ..best_of_options import best_of_options, is_review
from ..context import CommandContext, attempt_option, command
from ..exit_codes import exit_code_of
from ..json_output import Fields, error_document, many, to_object
from ..option_rules import refuse_together, require_option
from ..prompts import read_prompt
from ..spec_options import spec_options
from ..templates import journal_of_template, template_options, title_of, use_template
from ..time_options import interval_option, seconds, timeout_of, timeout_option
from ..wait_progress import (
    ask_about_plan,
    print_next_step,
    print_ref,
    result,
    wait_exit_code,
    with_gate,
)
from ..waiting_gates import waiting_gates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..._app.apply import ApplyReport
    from ..._app.batch import BatchLine
    from ..._engine.submit import ResumedSubmission
    from ..._model.tasks import Task, TaskRef, TaskSpec
    from ..._review.review_file import ReviewFile
    from ..._review.templates import Rendered
    from ..._runtime.client import Client
    from ..best_of import ReviewOptions
    from ..console import Line

# A prompt of several words is an error that shows how to quote it.
prompt_argument = click.argument("words", metavar="[PROMPT]", nargs=-1)
prompt_file_option = click.option(
    "--prompt-file", "prompt_file", metavar="FILE", help="Read the prompt from a file (- is standard input)."
)


@command(
    "submit",
    examples="""
coatcheck submit "Add dark mode"
coatcheck submit --environment owner/repo --branch main --attempts 3 --json "Add dark mode"
git diff | coatcheck submit --starting-diff - "Finish what I began"
coatcheck submit --prompt-file prompt.md
coatcheck submit - < prompt.md
coatcheck submit --batch tasks.jsonl --json
coatcheck submit --on codex:2 --on jules "Add dark mode"
coatcheck submit --gate "Add dark mode"
coatcheck submit --template fix-issue --arg issue=@issue.md
coatcheck submit --resume
""",
)
@prompt_argument
@prompt_file_option
@template_options
@spec_options
@best_of_options(applies=False)
@click.option("--gate", "is_gated", is_flag=True, help="Hold the task until somebody approves it: `coatcheck approve`.")
@click.option(
    "--plan-approval", is_flag=True, help="Make the agent wait for `coatcheck approve` before it carries out its plan."
)
@click.option("--resume", is_flag=True, help="Look up submissions whose answer was lost, and submit nothing.")
@click.option("--batch", metavar="FILE", help="Submit a task for each line of a JSON Lines file (- is standard input).")
@click.option(
    "--from-line", type=click.IntRange(min=1), default=1, metavar="N", help="--batch: begin at this line (default: 1)."
)
def submit_command(
    run: CommandContext,
    *,
    resume: bool,
    plan_approval: bool,
    batch: str | None,
    from_line: int,
    is_gated: bool,
    **options: Any,
) -> int | None:
    """Submit a task and print its ref at once (step 1 of 2).

    Without --environment and --repo the task runs in the environment of the checkout's remotes. Without PROMPT an
    editor opens on a terminal (VISUAL, EDITOR); elsewhere the prompt is standard input, as it is for -. A task is
    submitted at most once, whatever errors the network causes.

    A line of --batch is a JSON string, the prompt, or an object: prompt, environment, repository, branch, attempts,
    mode, model, title, starting_diff, open_pull_request, requires_approval. The options apply to each line that does
    not set them. A ref is printed for each line; failed lines are reported, and the exit code is 14.

    With --on the task is submitted to several services, as a review that `coatcheck review NAME` continues; where one
    of them refuses it, the exit code is 14.

    With --gate nothing is sent: a gate is printed, and the exit code is 10. Whoever approves the gate submits the task;
    with --on as well, to all the services.
    """
    if is_review(options):
        return _submit_review(
            run,
            {
                **options,
                "resume": resume,
                "batch": batch,
                "is_gated": is_gated,
                "requires_approval": plan_approval or None,
            },
        )
    options["requires_approval"] = plan_approval or None
    _check_alone(options, resume=resume, batch=batch, is_gated=is_gated)
    lines = _batch_lines(run, batch, from_line, resume=resume, options=options)
    rendered = use_template(run, options)
    if is_gated:
        return _hold(run, options, rendered)
    with run.client(environment=target_of(options), journal=journal_of_template(run, rendered)) as client:
        if resume:
            _resume(run, client)
            return None
        if batch is not None:
            return run_batch(run, client, batch, lines, _chosen(run, options))
        task = _submit(run, client, options)
    run.answer(lambda: to_object(task, is_summary=True), lambda: [str(task.ref)])
    return None


def _run_review(run: CommandContext, options: dict[str, Any], wait: WaitOptions) -> int:
    """Submit a task to several services, wait for all, check and rank what they made."""
    from ..best_of import EndedReview, ReviewSession, sources_of, targets_of
    from ..review_results import ReviewOutput, finish_review, prepare_review

    rendered = use_template(run, options)
    targets = targets_of(run, options)
    file, request, rules = prepare_review(run, options)
    prompt = _read_prompt(run, options)
    chosen = _review_options(run, {**options, "requires_approval": None}, file, rendered)
    tasks: dict[str, tuple[TaskRef, ...]] = {each.provider: () for each in targets}
    with ReviewSession.opened(run, tasks, environment=chosen.target, template=chosen.template) as session:
        session.words = ("--apply",) if options["apply_best"] else ()
        submitted = session.complete(session.begin(targets, prompt, chosen), wait)
        output = ReviewOutput(is_applied=options["apply_best"])
        ended = EndedReview(session.store, submitted)
        return finish_review(run, request, sources_of(submitted.results), rules, output, ended=ended)


def _submit_review(run: CommandContext, options: dict[str, Any]) -> int:
    """Submit a task to several services."""
    from ..best_of import submit_review, targets_of
    from ..held_reviews import hold_submissions
    from ..review_results import begun_file

    rendered = use_template(run, options)
    targets = targets_of(run, options)
    chosen = _review_options(run, options, begun_file(run, options), rendered)
    submit = hold_submissions if options["is_gated"] else submit_review
    return submit(run, targets, _read_prompt(run, options), chosen)


def _review_options(
    run: CommandContext, options: dict[str, Any], file: ReviewFile, rendered: Rendered | None
) -> ReviewOptions:
    from ..best_of import ReviewOptions

    template = (rendered.template, rendered.digest) if rendered else None
    return ReviewOptions(_chosen(run, options), options["name"], file.to_dict(), template)


def _check_alone(options: dict[str, Any], *, resume: bool, batch: str | None, is_gated: bool) -> None:
    """Raise `ConfigurationError` for an option of one task together with --resume or --batch."""
    for name, value in {"--gate": is_gated, "--template": options["template"]}.items():
        refuse_together({name: value, "--resume": resume})
        refuse_together({name: value, "--batch": batch})


def _hold(run: CommandContext, options: dict[str, Any], rendered: Rendered | None) -> int:
    """Store the task behind a gate; submit it where a policy approves. Return the exit code."""
    from contextlib import closing

    from ..._app.held_work import HeldTask, hold_submission, require_approved
    from ..gate_effects import submit_held
    from ..gates import answer_with_open_gate
    from .gates import open_gates

    with run.client(environment=target_of(options)) as client:
        spec = _prepared(run, client, options)
    template = (rendered.template, rendered.digest) if rendered else None
    held = HeldTask(run.provider, spec, account=run.config.get("account"), template=template)
    with closing(open_gates(run)) as gates:
        gate = hold_submission(gates, held)
        if gate.state == "open":
            return answer_with_open_gate(run, gate)
        require_approved(gate)
        return submit_held(run, gates, gate)


def _batch_lines(
    run: CommandContext, batch: str | None, first: int, *, resume: bool, options: dict[str, Any]
) -> list[BatchLine]:
    """Return the lines of the batch, read before a request is sent. Raises `ConfigurationError` for a contradiction."""
    if resume and (options["words"] or options["prompt_file"]):
        raise errors.ConfigurationError(
            "--resume submits nothing and takes no prompt", remedy="run: coatcheck submit --resume"
        )
    if batch is None:
        require_option("--from-line", first != 1, "--batch", batch, metavar="FILE")
        return []
    others = {"PROMPT": options["words"], "--prompt-file": options["prompt_file"], "--resume": resume}
    for name, value in others.items():
        refuse_together({"--batch": batch, name: value}, remedy="the prompts are in the file of --batch")
    return read_lines(run, batch, first)


@command(
    "run",
    examples="""
coatcheck run "Add dark mode"
coatcheck run --repo owner/repo --attempts 3 --apply "Add dark mode"
coatcheck run --on codex:2 --on jules --on local:3 --check "make test" --apply-best "Add dark mode"
coatcheck run --ask "Where is the theme chosen?"
coatcheck run --template fix-issue --arg issue=@issue.md
""",
)
@prompt_argument
@prompt_file_option
@template_options
@spec_options
@best_of_options(applies=True)
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
    """Submit a task, wait for its end, and print its result.

    Ctrl-C stops the waiting, not the task. The exit code is 3 when the task ends without success, 10 when it needs
    input.

    With --on the task is submitted to several services, and their results compete: each --check runs on the unpatched
    base and on each result, in a sandbox (`coatcheck help review`). The exit code is 11 when no result passes.
    `coatcheck review NAME` continues after an interruption.
    """
    wait = WaitOptions(timeout=timeout_of(run, timeout), interval=seconds(interval, "--interval") if interval else None)
    if is_review(options):
        return _run_review(
            run, {**options, "attempt": attempt, "is_applied": is_applied, "approve_plan": approve_plan}, wait
        )
    journal = journal_of_template(run, use_template(run, options))
    check_attempt(run.config, attempt, options["attempts"])
    root = run.workspace.require_root() if is_applied else None
    with (
        waiting_gates(run) as gates,
        run.client(environment=target_of(options), waits=True, journal=journal) as client,
    ):
        approve = plan_decision(client, run.provider, approve_plan, lambda task: ask_about_plan(run, task))
        approve = gates.plan_decision(client, run.provider, approve_plan, approve)
        options["requires_approval"] = approve_plan in ("ask", "never") or None
        created = _submit(run, client, options)
        # A service that responds with the result may have no task that can be polled.
        waited_for = created if created.state.is_terminal and created.outcome else created.ref
        update = run.start_progress(created.ref).update
        task, gate = gates.wait(
            client, wait, lambda options: wait_for_task(client, waited_for, options, approve=approve, on_change=update)
        )
    outcome_of(task, attempt)  # raises where there is no such attempt
    report = _apply(run, root, task, attempt) if root is not None and task.state is TaskState.SUCCEEDED else None
    run.answer(
        lambda: {**with_gate(task, gate), **({"applied": _applied_document(report)} if is_applied else {})},
        lambda: [*result(task, attempt, run), *_applied_lines(report)],
    )
    if report is None:
        print_next_step(run, task, gate)
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


def _prepared(run: CommandContext, client: Client, options: dict[str, Any]) -> TaskSpec:
    """Return the specification of the task that the arguments describe."""
    text = _read_prompt(run, options)
    chosen = _chosen(run, {**options, "title": title_of(run, client, options)})
    spec, warning = prepare_submission(run.workspace, client, text, chosen)
    if warning:
        run.warn(f"warning: {warning}")
    return spec


def _submit(run: CommandContext, client: Client, options: dict[str, Any]) -> Task:
    """Submit a task, and print its ref and the command that waits for it."""
    resume = run.hint("submit", "--resume", has_provider=True)
    try:
        spec = _prepared(run, client, options)
        run.console.progress(lambda: ("submitting",))
        run.process_env.interruption.expect(f"find out whether the task was submitted with: {resume}")
        task = client.create_task(spec)
    except errors.CoatcheckError:
        if run.kept_prompt:
            run.note(f"The prompt is kept: coatcheck {run.command_name} --prompt-file {shlex.quote(run.kept_prompt)}")
        raise
    print_ref(run, task)
    return task


def _read_prompt(run: CommandContext, options: dict[str, Any]) -> str:
    words, file = options["words"], options["prompt_file"]
    if options["starting_diff"] == "-" and (file == "-" or (file is None and words in ((), ("-",)))):
        raise errors.ConfigurationError(
            "standard input cannot be both the prompt and the diff", remedy="pass one of them as an argument"
        )
    return options.get("prompt") or read_prompt(run, words, file, facts=lambda: _facts(run, options))


def _chosen(run: CommandContext, options: dict[str, Any]) -> SubmitOptions:
    """Return the options of a submission as the use case takes them."""
    values = {name: options[name] for name in SubmitOptions.__struct_fields__}
    values["mode"] = "ask" if options["mode"] else "code"
    values["open_pull_request"] = options["open_pull_request"] or None
    values["starting_diff"] = _read_diff(run, options["starting_diff"])
    return SubmitOptions(**values)


def _facts(run: CommandContext, options: dict[str, Any]) -> list[str]:
    """Return the lines of the editor about the submission."""
    config = run.config
    where = target_of(options) or config.get("environment") or _from_checkout(run, repositories)
    branch = options["branch"] or config.get("branch") or _from_checkout(run, current_branch)
    attempts = options["attempts"] or config.get("attempts")
    return [f"Provider: {run.provider}", f"Environment: {where}", f"Branch: {branch}", f"Attempts: {attempts}"]


def _from_checkout(run: CommandContext, read: Callable[[str], str | Sequence[str] | None]) -> str:
    """Return what *read* finds in the checkout, for a person; an error is reported when the task is submitted."""
    try:
        names = read(run.root) if run.root else None
    except errors.CoatcheckError:
        names = None
    return (names if isinstance(names, str) else " or ".join(names or ())) or "not set"


def _read_diff(run: CommandContext, path: str | None) -> bytes | None:
    """Return the starting diff of a file or of standard input."""
    if path is None:
        return None
    if path == "-":
        return run.process_env.stdin.read()
    from ..._files.reading import read_named_file

    try:
        return read_named_file(os.path.join(run.process_env.folder, path))
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
