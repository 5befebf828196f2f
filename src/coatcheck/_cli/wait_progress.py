"""Waiting for a task in front of a person: one line of progress, and a way back when they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .. import errors
from .console import indented
from .formatting import (
    attempts as attempt_lines,
    heading,
    notice_line,
    outcome,
    plan,
    pull_request,
    state_word,
    summary,
)

if TYPE_CHECKING:
    from .._model.outcome import Attempt, Outcome
    from .._model.tasks import Task, TaskRef
    from .._runtime.client import Client
    from .console import Line, Part
    from .context import CommandContext


def expect_return(run: CommandContext, ref: TaskRef, *others: TaskRef) -> None:
    """Let an interruption, from now on, say how to come back to the task, and show outages of its service."""
    run.outages.are_shown = True
    if others:
        refs = " ".join(map(str, (ref, *others)))
        remedy = f"the {1 + len(others)} tasks go on; come back with: coatcheck watch {refs}"
        run.process_env.interruption.expect(remedy)
    else:
        remedy = f"the task goes on; come back with: coatcheck wait {ref}"
        run.process_env.interruption.expect(remedy, ref=ref)


def wait_for(
    run: CommandContext,
    client: Client,
    ref: TaskRef,
    *,
    timeout: float | None,
    interval: float | None,
    first: bool,
    approve: Callable[[Task], bool] | None = None,
) -> Task:
    """Wait for the end of a task, showing progress on a terminal."""
    started = run.now
    run.console.progress(lambda: (f"waiting for {ref}",))
    return client.poll_task(
        ref,
        timeout=timeout,
        interval=interval,
        first=first,
        approve=approve,
        on_change=lambda task: run.console.progress(lambda: _progress(task, run.now - started)),
    )


def _progress(task: Task, waited: float) -> tuple[Part, ...]:
    total = task.attempt_total or 1
    known = [attempt for attempt in task.attempts if attempt.state.is_terminal]
    done = f" • {len(known)} of {total} attempts ended" if total > 1 and known else ""
    doing = f" • {task.progress}" if task.progress else ""
    return state_word(task.state, task.raw_state), f" • {int(waited)}s{done}{doing}"


def chosen(task: Task, number: int | None) -> Outcome | None:
    """Return the outcome of attempt *number*, or the task's own where none is chosen."""
    if number is None or (not task.attempts and number == 1):
        return task.outcome
    return task.attempt(number).outcome


def result(task: Task, number: int | None, now: float) -> list[Line]:
    """Return everything a task made, for people: summary, messages, pull request, changes, attempts."""
    lines = [*summary(task, now), *(notice_line(each) for each in task.notices)]
    if task.plan is not None and not task.plan.is_approved:
        lines += [*heading("Plan"), *plan(task.plan)]
    lines += outcome(chosen(task, number))
    if len(task.attempts) > 1:
        lines += [*heading("Attempts"), *indented(attempt_lines(task.attempts))]
    for pull in task.pull_requests:
        lines += [*heading("Pull request on the host"), *pull_request(pull)]
    return lines


def with_patch(client: Client, task: Task, number: int | None) -> tuple[int | None, Outcome]:
    """Return what `with_patch_of` does, asking for the attempts where there are several."""
    return with_patch_of(task, () if (task.attempt_total or 1) == 1 else client.list_attempts(task), number)


def with_patch_of(task: Task, attempts: Sequence[Attempt], number: int | None) -> tuple[int | None, Outcome]:
    """Return the attempt's number and outcome that hold a diff: number *number*, else the first that has one.

    Raises `ConfigurationError` for an attempt that there is not, `TaskError` where there is no diff to give.
    """
    if len(attempts) < 2:
        return _only(task, number)
    with_diff = [attempt for attempt in attempts if attempt.outcome and attempt.outcome.patch]
    if number is None:
        if not with_diff:
            raise _no_diff(task, task.outcome)
        return with_diff[0].number, _made(with_diff[0])
    numbers = ", ".join(str(attempt.number) for attempt in attempts)
    wanted = next((attempt for attempt in attempts if attempt.number == number), None)
    if wanted is None:
        raise errors.ConfigurationError(f"{task.ref} has no attempt {number}", remedy=f"there are: {numbers}")
    if wanted not in with_diff:
        raise _no_diff(task, wanted.outcome, attempt=wanted, with_diff=with_diff)
    return number, _made(wanted)


def _only(task: Task, number: int | None) -> tuple[int | None, Outcome]:
    if number not in (None, 1):
        raise errors.ConfigurationError(f"{task.ref} has no attempt {number}", remedy="there is one attempt")
    if task.outcome is None or not task.outcome.patch:
        raise _no_diff(task, task.outcome)
    return None, task.outcome


def _made(attempt: Attempt) -> Outcome:
    if attempt.outcome is None:
        raise errors.TaskError(f"attempt {attempt.number} has no outcome")
    return attempt.outcome


def _no_diff(
    task: Task, made: Outcome | None, *, attempt: Attempt | None = None, with_diff: list[Attempt] | None = None
) -> errors.TaskError:
    """Return the error that says why there is no diff, and which attempt the official client would have given."""
    who = f"attempt {attempt.number} of {task.ref}" if attempt else str(task.ref)
    if made is not None and made.external_file_id:
        why = f"the service keeps the diff of {who} elsewhere ({made.external_file_id})"
        return errors.TaskError(why, ref=task.ref, remedy=f"open {task.url}" if task.url else None)
    state = attempt.state if attempt else task.state
    if not state.is_terminal:
        return errors.TaskError(
            f"{who} has no diff yet: it is {state.value}", ref=task.ref, remedy=f"wait with: coatcheck wait {task.ref}"
        )
    return errors.TaskError(f"{who} made no diff", ref=task.ref, remedy=_official(attempt, with_diff or []))


def _official(attempt: Attempt | None, with_diff: list[Attempt]) -> str | None:
    """Say what the official client calls attempt N: it counts only attempts that have a diff (codex-wham.md 4)."""
    if attempt is None or not with_diff:
        return None
    numbers = ", ".join(str(each.number) for each in with_diff)
    if attempt.number <= len(with_diff):
        theirs = with_diff[attempt.number - 1].number
        return f"attempts with one: {numbers} (what the Codex CLI calls --attempt {attempt.number} is {theirs} here)"
    return f"attempts with one: {numbers}"
