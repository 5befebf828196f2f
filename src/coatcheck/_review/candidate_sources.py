"""Make candidates of tasks and of patch files. Pure.

Invariants:
- every attempt of a task is a candidate; one without a patch has an `error` with the reason;
- a candidate's patch can be read, and is written as git writes it: names with ``a/`` and ``b/``, nothing between files;
- names are unique among the attempts of a task: ``PROVIDER:ID`` where there is one, else ``PROVIDER:ID/NUMBER``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.outcome import PatchState
from .._model.states import TaskState
from .._patches.parse import Patch
from ..errors import ConfigurationError, PatchError
from .candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._model.outcome import Attempt, Failure, Outcome
    from .._model.tasks import Task

# State of a task or an attempt that delivers no patch -> the reason.
REASONS = {
    TaskState.QUEUED: "it has not started",
    TaskState.RUNNING: "it is still running",
    TaskState.INPUT_REQUIRED: "it needs input",
    TaskState.PAUSED: "it is paused",
    TaskState.FAILED: "it failed",
    TaskState.CANCELLED: "it was cancelled",
    TaskState.EXPIRED: "it expired",
    TaskState.UNKNOWN: "its state is unknown",
}


def task_candidates(task: Task) -> tuple[Candidate, ...]:
    """Return a candidate for each attempt of *task*, whose attempts have outcomes where there are several."""
    total = max(task.attempt_total or 1, len(task.attempts))
    if total == 1:
        return (_candidate(task, None, task.state, task.outcome, task.error),)
    attempts = {attempt.number: attempt for attempt in task.attempts}
    numbers = sorted({*range(1, total + 1), *attempts})
    return tuple(_attempt_candidate(task, number, attempts.get(number)) for number in numbers)


def patch_candidate(name: str, patch: Patch, *, base: str | None = None, title: str | None = None) -> Candidate:
    """Return the candidate of a patch that belongs to no task."""
    candidate = Candidate(name=name, base=base, title=title)
    return with_patch(candidate, patch)


def with_patch(candidate: Candidate, patch: Patch) -> Candidate:
    """Return *candidate* with its patch as git writes it, or with the error of a patch that cannot be read."""
    from msgspec.structs import replace

    try:
        readable = normalized(patch)
    except PatchError as error:
        return replace(candidate, error=f"its diff cannot be read: {error}")
    return replace(candidate, patch=readable) if readable else replace(candidate, error="it has no diff")


def normalized(patch: Patch) -> Patch:
    """Return *patch* as git writes it. Raises `PatchError` where it cannot be read.

    The diff of a merge stays as it is: the policy rejects it.
    """
    from .._patches.render_patch import render

    if any(change.is_combined for change in patch.files):
        return patch
    written = Patch(b"".join(map(render, patch.files)))
    for change in written.files:
        _ = change.hunks  # reading them proves every line
    return written


def unique(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return *candidates*, equal ones once. Raises `ConfigurationError` for different ones of the same name."""
    by_name: dict[str, Candidate] = {}
    for candidate in candidates:
        if by_name.setdefault(candidate.name, candidate) != candidate:
            raise ConfigurationError(
                f"two different candidates are named {candidate.name}", remedy="give each candidate another name"
            )
    return tuple(by_name.values())


def _attempt_candidate(task: Task, number: int, attempt: Attempt | None) -> Candidate:
    if attempt is None:
        state = TaskState.RUNNING if not task.state.is_terminal else task.state
        reason = None if state is not TaskState.SUCCEEDED else "the service does not report it"
        return _candidate(task, number, state, None, None, reason=reason)
    error = attempt.outcome.error if attempt.outcome else None
    return _candidate(task, number, attempt.state, attempt.outcome, error)


def _candidate(
    task: Task,
    number: int | None,
    state: TaskState,
    outcome: Outcome | None,
    failure: Failure | None,
    *,
    reason: str | None = None,
) -> Candidate:
    candidate = Candidate(
        name=str(task.ref) if number is None else f"{task.ref}/{number}",
        ref=task.ref,
        attempt=number,
        base=outcome.base_commit if outcome else None,
        title=task.title,
        ended_at=task.ended_at,
        error=reason or " ".join(_reasons(state, outcome, failure)) or None,
    )
    if candidate.error or outcome is None or outcome.patch is None:
        return candidate
    return with_patch(candidate, outcome.patch)


def _reasons(state: TaskState, outcome: Outcome | None, failure: Failure | None) -> Iterator[str]:
    """Yield the words that say why there is no patch; nothing where there is one."""
    if state is not TaskState.SUCCEEDED:
        message = " ".join(str(failure or "").split())
        yield f"{REASONS[state]}: {message}" if message else REASONS[state]
    elif outcome is not None and outcome.patch_state is PatchState.OFFLOADED and not outcome.patch:
        yield f"its service keeps the diff in another place ({outcome.external_file_id})"
    elif outcome is not None and outcome.patch_state is PatchState.UNAVAILABLE:
        yield "its service does not return the diff"
    elif outcome is None:
        yield "its service sent no outcome of it"
    elif not outcome.patch:
        yield "it has changed nothing"
