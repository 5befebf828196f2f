"""A task's result in formats that other programs read: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from .outcomes import choose_patch

if TYPE_CHECKING:
    from .._model.tasks import Task


def to_markdown(task: Task, number: int | None) -> bytes:
    """Return a Markdown page."""
    return task.to_markdown(attempt=number).encode("utf-8", "backslashreplace")


def to_chat(task: Task, number: int | None) -> bytes:
    """Return a Chat Completions response, with a choice per attempt, or with attempt *number* alone."""
    if number is not None and task.attempts:
        task = msgspec.structs.replace(task, attempts=(task.attempt(number),))
    return msgspec.json.format(msgspec.json.encode(task.to_chat_completion()), indent=2) + b"\n"


def to_mail(task: Task, number: int | None) -> bytes:
    """Return a mail for ``git am``: of attempt *number*, else of the first attempt that has a diff."""
    number = choose_patch(task, task.attempts, number).number
    return task.to_mail(attempt=number if len(task.attempts) > 1 else None)


FORMATS: Mapping[str, Callable[[Task, int | None], bytes]] = {
    "markdown": to_markdown,
    "chat": to_chat,
    "mail": to_mail,
}
