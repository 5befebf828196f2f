"""Actions on a task that need its state first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .._protocol.provider import Verb

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .._runtime.client import Client


def cancel_task(client: Client, ref: TaskRef) -> None:
    """Request that a task stops. Raises `TaskError` for one that has ended."""
    client.capabilities.require(Verb.CANCEL_TASK, ref.provider)
    task = client.get_task(ref)
    if task.state.is_terminal:
        raise errors.TaskError(
            f"{ref} has already ended: {task.state.value}",
            ref=ref,
            remedy=f"print its result with: coatcheck show {ref}",
        )
    client.cancel_task(ref)
