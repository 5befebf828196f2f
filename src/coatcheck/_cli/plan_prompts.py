"""Plans on the command line: shown, asked about, and what is to be done when a task stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from .._model.states import TaskState
from .console import Styled
from .exit_codes import ExitCode
from .formatting import heading, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._model.tasks import Task
    from .._runtime.client import Client
    from .console import Line
    from .context import CommandContext

Approve: TypeAlias = Literal["ask", "auto", "never"]

# What brings a task on that stands still.
NEXT_STEPS = {
    TaskState.INPUT_REQUIRED: "It waits for an answer",
    TaskState.PAUSED: "It is paused; a message may wake it",
}


def decider(run: CommandContext, client: Client, approve: Approve | None) -> Callable[[Task], bool] | None:
    """Return who decides about plans while a task is waited for. Raises `UnsupportedError` where there are none."""
    if approve is None:
        return None
    client.capabilities.require("approve_plan", run.provider)
    return {"ask": lambda task: _ask(run, task), "auto": lambda _: True, "never": None}[approve]


def _ask(run: CommandContext, task: Task) -> bool:
    """Show the plan and ask; where nobody can be asked the answer is no."""
    run.note(*_shown(task))
    return run.confirm("Approve this plan?")


def _shown(task: Task) -> list[Line]:
    return [*heading("Plan"), *plan(task.plan)] if task.plan else []


def next_step(run: CommandContext, task: Task) -> None:
    """Tell how a task that stands still is brought on."""
    if task.state is TaskState.INPUT_REQUIRED and task.plan is not None and not task.plan.is_approved:
        run.note(("It waits for your word: ", Styled(run.hint("approve", str(task.ref)), "bold")))
    elif task.state in NEXT_STEPS:
        run.note(f"{NEXT_STEPS[task.state]}: {run.hint('message', str(task.ref), 'TEXT')}")


def verdict(task: Task) -> ExitCode:
    """Return the exit code that judges how a wait for *task* ended."""
    if task.state.is_interrupted:
        return ExitCode.NEEDS_INPUT
    return ExitCode.DONE if task.state is TaskState.SUCCEEDED else ExitCode.TASK_FAILED
