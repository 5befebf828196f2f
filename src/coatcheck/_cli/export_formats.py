"""What a task made, in other programs' formats: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .wait_progress import chosen, with_patch_of

if TYPE_CHECKING:
    from .._model.outcome import FileSnapshot
    from .._model.tasks import Task


def markdown(task: Task, number: int | None) -> bytes:
    """Return it as a page for people."""
    return task.to_markdown(attempt=number).encode("utf-8", "backslashreplace")


def chat(task: Task, number: int | None) -> bytes:
    """Return it as a Chat Completions response, with a choice per attempt or of the one that is asked for."""
    if number is not None and task.attempts:
        task = msgspec.structs.replace(task, attempts=(task.attempt(number),))
    return msgspec.json.format(msgspec.json.encode(task.to_chat_completion()), indent=2) + b"\n"


def mail(task: Task, number: int | None) -> bytes:
    """Return it as a mail for ``git am``: the attempt that is asked for, else the first that has a diff."""
    number, _ = with_patch_of(task, task.attempts, number)
    return task.to_mail(attempt=number if len(task.attempts) > 1 else None)


FORMATS: Mapping[str, Callable[[Task, int | None], bytes]] = {"markdown": markdown, "chat": chat, "mail": mail}


def file_of(task: Task, number: int | None, path: str) -> FileSnapshot:
    """Return a file as the agent left it. Raises `TaskError` where the service sent none of that name."""
    made = chosen(task, number)
    known = {file.path: file for file in (made.files if made else ())}
    if path not in known:
        names = ", ".join(known) or "none"
        raise errors.TaskError(f"{task.ref} has no file {path!r}", ref=task.ref, remedy=f"there are: {names}")
    if known[path].content is None:
        why = known[path].missing_reason or "the service sent no content"
        raise errors.TaskError(f"{path} cannot be shown: {why}", ref=task.ref)
    return known[path]
