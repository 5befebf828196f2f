"""Wait for a task for a short time, for callers whose own calls are limited."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .. import errors
from .._protocol.provider import Verb
from .outcomes import load_task
from .wait import WaitOptions, wait_for_task

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .task_history import TaskReader
    from .task_session import TaskSession


def current_task(session: TaskSession, ref: TaskRef) -> Task:
    """Return a task with the outcomes of its attempts as it is now."""
    return session.read(ref, load_task)


def wait_at_most(
    session: TaskSession, ref: TaskRef, seconds: float, *, on_change: Callable[[Task], None] | None = None
) -> Task:
    """Wait until a task ends or needs input, for *seconds* at most, and return it as it was seen last.

    A plan that waits is approved where a policy or a person has approved it, as by `coatcheck wait`.
    """

    def read(reader: TaskReader, ref: TaskRef) -> Task:
        task = load_task(reader, ref)
        if task.state.is_terminal or seconds <= 0:
            return task
        return _poll(session, task, seconds, on_change)

    return session.read(ref, read)


def _poll(session: TaskSession, task: Task, seconds: float, on_change: Callable[[Task], None] | None) -> Task:
    latest = [task]

    def observe(changed: Task) -> None:
        latest.append(changed)
        if on_change is not None:
            on_change(changed)

    client = session.client(task.ref.provider, refs=[task.ref])
    has_plans = session.history.level != "off" and Verb.APPROVE_PLAN in client.capabilities.verbs
    approve = session.gates.decides_plans() if has_plans else None
    try:
        return wait_for_task(client, task.ref, WaitOptions(timeout=seconds), approve=approve, on_change=observe)
    except errors.WaitTimeoutError:
        # A snapshot of a poll lacks what only a request for the task shows, such as its attempts.
        return replace(latest[-1], attempts=latest[-1].attempts or task.attempts)
