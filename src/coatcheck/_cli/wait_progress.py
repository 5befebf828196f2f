"""Show a wait to a person: a progress line, questions about plans, the result, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._app.outcomes import outcome_of
from .._app.wait import required_action
from .._model.states import TaskState
from .console import Styled, indented
from .exit_codes import ExitCode
from .formatting import (
    attempts as attempt_lines,
    heading,
    identity,
    notice_line,
    outcome,
    plan,
    pull_request,
    summary,
)
from .json_output import to_object

if TYPE_CHECKING:
    from .._model.gates import Gate
    from .._model.tasks import Task, TaskRef
    from .console import Line
    from .context import CommandContext

# Required action -> the sentence before the command that performs it.
NEXT_STEPS = {
    "approve": "It waits for the approval of its plan",
    "permit": "It waits for a permission",
    "answer": "It waits for an answer",
    "resume": "It is paused; a message may resume it",
}


def expect_interruption(run: CommandContext, ref: TaskRef, *others: TaskRef, verb: str = "watch") -> None:
    """Set what an interruption reports while tasks are waited for, and show outages of their service.

    *verb* is the command that resumes the wait for several tasks.
    """
    run.outages.are_shown = True
    if others:
        command = run.hint(verb, *map(str, (ref, *others)))
        remedy = f"the {1 + len(others)} tasks are still running; resume with: {command}"
        run.process_env.interruption.expect(remedy)
    else:
        remedy = f"the task is still running; resume with: {run.hint('wait', str(ref))}"
        run.process_env.interruption.expect(remedy, ref=ref)


def print_ref(run: CommandContext, task: Task) -> None:
    """Print on stderr which task was submitted, and the command that waits for it."""
    expect_interruption(run, task.ref)
    wait = run.hint("wait", str(task.ref))
    run.console.remedy = f"the task was submitted; wait for it with: {wait}"
    run.note(
        ("Step 1/2: submitted ", Styled(str(task.ref), "bold"), *([f"  {task.url}"] if task.url else [])),
        f"Step 2/2: get the result with: {wait}",
    )


def result(task: Task, number: int | None, run: CommandContext) -> list[Line]:
    """Return a task's whole result for people: summary, origin, messages, pull request, changes, attempts."""
    lines = [*summary(task, run.now), *identity(task), *(notice_line(each) for each in task.notices)]
    if task.plan is not None and not task.plan.is_approved:
        lines += _plan_lines(task)
    for request in task.permission_requests:
        lines += [*heading("Permission"), request.title, *indented((request.detail or "").splitlines())]
    lines += outcome(outcome_of(task, number), run.markdown, task=task)
    if len(task.attempts) > 1:
        lines += [*heading("Attempts"), *indented(attempt_lines(task.attempts))]
    for pull in task.pull_requests:
        lines += [*heading("Pull request on the host"), *pull_request(pull, run.markdown)]
    return lines


def _plan_lines(task: Task) -> list[Line]:
    return [*heading("Plan"), *plan(task.plan)] if task.plan else []


def ask_about_plan(run: CommandContext, task: Task) -> bool:
    """Show the plan and ask for approval; without a person at a terminal the answer is no."""
    run.note(*_plan_lines(task))
    return run.confirm("Approve this plan?")


def with_gate(task: Task, gate: Gate | None) -> dict[str, object]:
    """Return a task result as a JSON object, with the gate of what it waits for."""
    return {**to_object(task), "gate": None if gate is None else to_object(gate)}


def print_next_step(run: CommandContext, task: Task, gate: Gate | None = None) -> None:
    """Print the command that lets a task continue that needs input; *gate* is what waits for a decision."""
    action, ref = required_action(task), str(task.ref)
    if gate is not None and gate.state == "rejected" and gate.decision is not None:
        run.note(f"{gate.title} was rejected by {gate.decision.by}")
    if action == "approve":
        run.note((f"{NEXT_STEPS[action]}: ", Styled(run.hint("approve", ref), "bold")))
    elif action == "permit":
        run.note(*_permission_lines(run, task))
    elif action is not None:
        verb = "answer" if action == "answer" else "message"
        run.note(f"{NEXT_STEPS[action]}: {run.hint(verb, ref, 'TEXT')}")


def _permission_lines(run: CommandContext, task: Task) -> list[Line]:
    """Return a line for each permission that *task* waits for, and the commands that decide."""
    ref = str(task.ref)
    requests = [f"{NEXT_STEPS['permit']}: {request.title}" for request in task.permission_requests]
    if len(requests) > 1:
        return [*requests, f"List them with: {run.hint('gates', ref)}"]
    commands = (("  ", Styled(run.hint(verb, ref), "bold")) for verb in ("approve", "reject"))
    return [*requests, *commands]


def wait_exit_code(task: Task) -> ExitCode:
    """Return the exit code of a wait that ended with *task*."""
    if task.state.is_interrupted:
        return ExitCode.NEEDS_INPUT
    return ExitCode.DONE if task.state is TaskState.SUCCEEDED else ExitCode.TASK_FAILED
