"""One part of a task's result as text: the message, the changed files, the diff or the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .. import errors
from .outcomes import ChosenPatch, choose_patch, file_of, outcome_of

if TYPE_CHECKING:
    from .._model.outcome import Outcome
    from .._model.tasks import Task

Part: TypeAlias = Literal["message", "files", "diff", "log"]


class ResultPart(NamedTuple):
    """The text; `attempt` is the one that it is of, None for the task's own; `warning` is what the text lacks."""

    text: str
    attempt: int | None = None
    warning: str | None = None


def read_part(task: Task, number: int | None, part: Part, path: str | None = None) -> ResultPart:
    """Return a part of the result of attempt *number*; of the diff only the file *path*, of the files its content.

    Raises `ConfigurationError` for an attempt that does not exist, `TaskError` for what there is none of.
    """
    if part == "diff":
        return _diff(task, number, path)
    if part == "files" and path is not None:
        file = file_of(task, number, path)
        warning = None if file.is_whole else f"the service sent only parts of {path}"
        return ResultPart(file.content or "", number, warning)
    outcome = outcome_of(task, number)
    if part == "files":
        return _files(task, number)
    if outcome is None:
        raise errors.TaskError(f"{task.ref} has no {part} yet: it is {task.state.value}", ref=task.ref)
    text = outcome.text if part == "message" else _log(outcome)
    return ResultPart(text, number)


def _log(outcome: Outcome) -> str:
    return "\n\n".join(message.text for message in outcome.worklog)


def _diff(task: Task, number: int | None, path: str | None) -> ResultPart:
    chosen = choose_patch(task, task.attempts, number)
    data = bytes(chosen.outcome.patch or b"")
    if path is not None and chosen.outcome.patch is not None:
        changes = chosen.outcome.patch.at(path)
        if not changes:
            names = ", ".join(change.path for change in chosen.outcome.patch.files[:20])
            raise errors.TaskError(
                f"the diff of {task.ref} has no file {path!r}", ref=task.ref, remedy=f"it changes {names}"
            )
        data = b"".join(bytes(change) for change in changes)
    try:
        text, warning = data.decode(), None
    except UnicodeDecodeError:
        text = data.decode("utf-8", "backslashreplace")
        warning = f"bytes that are not UTF-8 are written as \\xNN; coatcheck diff {task.ref} has them"
    return ResultPart(text, chosen.number, _partial(chosen) or warning)


def _partial(chosen: ChosenPatch) -> str | None:
    return "the attempt ended without success, so its change may be partial" if chosen.is_partial else None


def _files(task: Task, number: int | None) -> ResultPart:
    """Return a line for each file that the diff changes, with its status and its changed lines."""
    chosen = choose_patch(task, task.attempts, number)
    if chosen.outcome.patch is None:
        return ResultPart("", chosen.number)
    lines = [
        f"{change.status.value}  {change.path}  +{change.added} -{change.removed}"
        for change in chosen.outcome.patch.files
    ]
    return ResultPart("\n".join(lines), chosen.number, _partial(chosen))
