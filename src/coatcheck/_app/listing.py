"""List tasks across pages, and resume where a list ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .._runtime.client import Client

TaskFilter: TypeAlias = Literal["current", "archived", "all"]


class TaskList(NamedTuple):
    """Tasks, newest first; `cursor` continues the list, `stop_reason` is why it ended before its limit."""

    tasks: list[Task]
    cursor: str | None
    stop_reason: str | None = None


def list_tasks(
    client: Client,
    *,
    filter: TaskFilter = "current",
    environment: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> TaskList:
    """Return at most *limit* tasks, each once; *environment* is an id, a label or a repository."""
    from .._protocol.pagination import PageLimits
    from .._runtime.system_clock import SystemClock

    tasks: dict[TaskRef, Task] = {}  # a list that changes between two pages may contain a task twice
    seen, bounds = {cursor}, PageLimits(clock=SystemClock())
    while True:
        bounds.begin()
        remaining = None if limit is None else limit - len(tasks)
        page = client.get_page(filter=filter, environment=environment, limit=remaining, cursor=cursor)
        bounds.end()
        tasks |= {task.ref: task for task in page.items}
        if limit is not None and len(tasks) > limit:  # the page was larger than requested
            return TaskList(list(tasks.values())[:limit], cursor)
        if page.cursor is None or page.cursor in seen:  # a repeated cursor would loop for ever
            return TaskList(list(tasks.values()), None)
        cursor = page.cursor
        if len(tasks) == limit:
            return TaskList(list(tasks.values()), cursor)
        if (reason := bounds.reason) is not None:
            return TaskList(list(tasks.values()), cursor, reason)
        seen.add(cursor)
