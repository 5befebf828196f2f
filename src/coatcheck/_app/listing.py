"""List tasks across pages, filtered, and resume where a list ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypedDict, Unpack

if TYPE_CHECKING:
    from .._model.tasks import Page, Task, TaskRef
    from .._runtime.client import Client

TaskFilter: TypeAlias = Literal["current", "archived", "all"]
# The shortest page that a filtered list requests: few tasks of a page may match.
FILTERED_PAGE = 20


class ListOptions(TypedDict, total=False):
    """The options of `list_pages`."""

    filter: TaskFilter
    environment: str | None
    limit: int | None
    cursor: str | None
    is_wanted: Callable[[Task], bool] | None
    since: float | None


class TaskList(NamedTuple):
    """Tasks, newest first; `cursor` continues the list, `stop_reason` is why it ends before its limit."""

    tasks: list[Task]
    cursor: str | None
    stop_reason: str | None = None


def list_tasks(client: Client, **options: Unpack[ListOptions]) -> TaskList:
    """Return at most `limit` tasks, each once, as `list_pages` documents."""
    *_, listed = list_pages(client, **options)
    return listed


def list_pages(
    client: Client,
    *,
    filter: TaskFilter = "current",
    environment: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    is_wanted: Callable[[Task], bool] | None = None,
    since: float | None = None,
) -> Iterator[TaskList]:
    """Yield the tasks that are known after each page, each once and at most *limit*; the last list is complete.

    *environment* is an id, a label or a repository. The cursor of a list that is not the last continues it.

    *is_wanted* chooses among them, and the limit counts the chosen ones. A page on which every task is older than
    *since* (seconds since the epoch) is the last one, because the newest tasks come first.
    """
    from .._protocol.pagination import PageLimits
    from .._runtime.system_clock import SystemClock

    def page_at(cursor: str | None, size: int | None) -> Page:
        return client.get_page(filter=filter, environment=environment, limit=size, cursor=cursor)

    tasks: dict[TaskRef, Task] = {}  # a list that changes between two pages may contain a task twice
    seen, bounds = {cursor}, PageLimits(clock=SystemClock())
    while True:
        bounds.begin()
        page = page_at(cursor, _page_size(limit, len(tasks), is_filtered=is_wanted is not None))
        bounds.end()
        tasks |= {task.ref: task for task in page.items if is_wanted is None or is_wanted(task)}
        listed = list(tasks.values())
        if limit is not None and len(tasks) > limit:  # the page was larger than needed
            yield TaskList(listed[:limit], _cursor_after(listed[limit - 1], page, cursor, page_at))
            return
        if page.cursor is None or page.cursor in seen or _is_over(page, since):  # a repeated cursor would loop for ever
            yield TaskList(listed, None)
            return
        cursor = page.cursor
        yield TaskList(listed, cursor, bounds.reason)
        if len(tasks) == limit or bounds.reason is not None:
            return
        seen.add(cursor)


def _page_size(limit: int | None, count: int, *, is_filtered: bool) -> int | None:
    if limit is None:
        return None
    return max(limit - count, FILTERED_PAGE) if is_filtered else limit - count


def _cursor_after(
    last: Task, page: Page, cursor: str | None, page_at: Callable[[str | None, int | None], Page]
) -> str | None:
    """Return the cursor that continues after *last*, which is not the end of *page*.

    A page that ends with *last* has it. A service that ignores the size of pages has none; the page is begun again.
    """
    refs = [task.ref for task in page.items]
    if last.ref not in refs:
        return cursor
    size = refs.index(last.ref) + 1
    shorter = page_at(cursor, size)
    return shorter.cursor if len(shorter.items) == size and shorter.items[-1].ref == last.ref else cursor


def _is_over(page: Page, since: float | None) -> bool:
    """Whether a page has tasks, and all of them are older than *since*."""
    if since is None or not page.items:
        return False
    return all(changed_at(task) < since for task in page.items)


def filtered(
    *, states: Sequence[str] = (), search: str | None = None, since: float | None = None
) -> Callable[[Task], bool] | None:
    """Return whether a task has one of *states*, contains *search*, and changed after *since* (seconds since the epoch).

    None where nothing is filtered.
    """
    if not (states or search or since is not None):
        return None
    words = (search or "").casefold().split()

    def is_wanted(task: Task) -> bool:
        text = " ".join(filter(None, (task.title, task.prompt, str(task.ref), task.branch))).casefold()
        return (
            (not states or task.state.value in states)
            and all(word in text for word in words)
            and (since is None or changed_at(task) >= since)
        )

    return is_wanted


def changed_at(task: Task) -> float:
    """Return when a task last changed, infinity where the service does not report it: such a task is never left out."""
    moment = task.updated_at or task.created_at
    return moment.timestamp() if moment else float("inf")
