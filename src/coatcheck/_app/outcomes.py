"""Load a task with its attempts, and choose an attempt and its outcome or patch.

Attempts are numbered from 1 in the service's order, whether or not they have a diff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .. import errors
from .._model.outcome import PatchState
from .._model.states import TaskState
from .._model.tasks import missing_result

if TYPE_CHECKING:
    from .._model.outcome import Attempt, FileSnapshot, Outcome
    from .._model.tasks import Task, TaskRef
    from .task_history import TaskReader


class ChosenPatch(NamedTuple):
    """The attempt's number, None where a task has one attempt, and its outcome, which has a patch.

    `is_partial` is whether the attempt ended without success.
    """

    number: int | None
    outcome: Outcome
    is_partial: bool = False


def load_task(reader: TaskReader, ref: TaskRef) -> Task:
    """Return a task with the outcomes of all its attempts."""
    task = reader.get_task(ref)
    if (task.attempt_total or 1) > 1:
        return msgspec.structs.replace(task, attempts=reader.list_attempts(task))
    return task


def outcome_of(task: Task, number: int | None) -> Outcome | None:
    """Return the outcome of attempt *number*, or the task's own where no attempt is chosen.

    Raises `ConfigurationError` where there is no such attempt.
    """
    if number is None or (not task.attempts and number == 1):
        return task.outcome
    return task.attempt(number).outcome


def load_patch(reader: TaskReader, task: Task, number: int | None) -> ChosenPatch:
    """Return `choose_patch` of a task, requesting its attempts where there are several."""
    attempts = () if (task.attempt_total or 1) == 1 else reader.list_attempts(task)
    return choose_patch(task, attempts, number)


def choose_patch(task: Task, attempts: Sequence[Attempt], number: int | None) -> ChosenPatch:
    """Return the attempt *number* and its outcome; without a number the first that has a diff, successful ones first.

    Raises `ConfigurationError` for an attempt that does not exist, `TaskError` where there is no diff, `UnsupportedError` where the service returns none.
    """
    if len(attempts) < 2:
        return _single_attempt(task, number)
    with_diff = [attempt for attempt in attempts if attempt.outcome and attempt.outcome.patch]
    if number is None:
        if not with_diff:
            raise _no_diff(task, task.outcome)
        first = next((each for each in with_diff if each.state is TaskState.SUCCEEDED), with_diff[0])
        return _chosen(first)
    numbers = ", ".join(str(attempt.number) for attempt in attempts)
    chosen = next((attempt for attempt in attempts if attempt.number == number), None)
    if chosen is None:
        raise errors.ConfigurationError(f"{task.ref} has no attempt {number}", remedy=f"its attempts are: {numbers}")
    if chosen not in with_diff:
        raise _no_diff(task, chosen.outcome, attempt=chosen, with_diff=with_diff)
    return _chosen(chosen)


def _chosen(attempt: Attempt) -> ChosenPatch:
    return ChosenPatch(attempt.number, _require_outcome(attempt), attempt.state.is_unsuccessful)


def _single_attempt(task: Task, number: int | None) -> ChosenPatch:
    if number not in (None, 1):
        raise errors.ConfigurationError(f"{task.ref} has no attempt {number}", remedy="its attempts are: 1")
    if task.outcome is None or not task.outcome.patch:
        raise _no_diff(task, task.outcome)
    return ChosenPatch(None, task.outcome, task.state.is_unsuccessful)


def _require_outcome(attempt: Attempt) -> Outcome:
    if attempt.outcome is None:
        raise errors.TaskError(f"attempt {attempt.number} has no outcome")
    return attempt.outcome


def _no_diff(
    task: Task, outcome: Outcome | None, *, attempt: Attempt | None = None, with_diff: list[Attempt] | None = None
) -> errors.CoatcheckError:
    """Return the error that explains why there is no diff, and which attempts have one."""
    subject = f"attempt {attempt.number} of {task.ref}" if attempt else str(task.ref)
    if outcome is not None and outcome.external_file_id:
        message = f"the service stores the diff of {subject} in another place ({outcome.external_file_id})"
        return errors.TaskError(message, ref=task.ref, remedy=f"open {task.url}" if task.url else None)
    if outcome is not None and outcome.patch_state is PatchState.UNAVAILABLE:
        return errors.UnsupportedError(f"{subject} has no diff here: {missing_result(task)}")
    state = attempt.state if attempt else task.state
    if not state.is_terminal:
        return errors.TaskError(
            f"{subject} has no diff yet: it is {state.value}",
            ref=task.ref,
            remedy=f"wait with: coatcheck wait {task.ref}",
        )
    return errors.TaskError(
        f"{subject} has no diff", ref=task.ref, remedy=_attempts_with_diff(attempt, with_diff or [])
    )


def _attempts_with_diff(attempt: Attempt | None, with_diff: list[Attempt]) -> str | None:
    """Return the remedy that lists the attempts with a diff.

    The Codex CLI numbers only those (docs/reference/protocols/codex-wham.md, 4), so its number is named as well.
    """
    if attempt is None or not with_diff:
        return None
    numbers = ", ".join(str(each.number) for each in with_diff)
    if attempt.number <= len(with_diff):
        number = with_diff[attempt.number - 1].number
        return f"attempts with one: {numbers} (the Codex CLI's attempt {attempt.number} is attempt {number} here)"
    return f"attempts with one: {numbers}"


def file_of(task: Task, number: int | None, path: str) -> FileSnapshot:
    """Return a file as the agent left it. Raises `TaskError` where the service sent no content of that path."""
    outcome = outcome_of(task, number)
    files = {file.path: file for file in (outcome.files if outcome else ())}
    if path not in files:
        names = ", ".join(files) or "none"
        raise errors.TaskError(f"{task.ref} has no file {path!r}", ref=task.ref, remedy=f"its files are: {names}")
    if files[path].content is None:
        reason = files[path].missing_reason or "the service sent no content"
        raise errors.TaskError(f"{path} cannot be shown: {reason}", ref=task.ref)
    return files[path]
