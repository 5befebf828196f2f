"""Read the pages of a service inside a verb: all of a list that belongs to one task, or a list that is filtered here.

Invariants:

- a cursor that repeats is the end of a list;
- a filtered page never ends a list: as long as the service has more, it has a cursor, however few of its tasks are kept;
- a filtered page with more tasks than requested continues inside itself, so that none is skipped or repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from .._model.tasks import Page, Task
    from .effects import Exchange

T = TypeVar("T")

# A cursor of ours: the service's cursor of a page, and how many of its tasks have been read.
_INSIDE = re.compile(r"(.*)#([0-9]{1,9})", re.DOTALL)


def collect_pages(
    fetch: Callable[[str | None], Exchange[tuple[Sequence[T], str | None]]],
    *,
    is_known: Callable[[T], bool] | None = None,
) -> Exchange[list[T]]:
    """Return the items of all pages, or of those before the first page with an item that *is_known*, without such items.

    *fetch* takes a cursor, and returns a page's items and the next cursor.
    """
    items: list[T] = []
    cursor: str | None = None
    seen: set[str | None] = {None}
    while True:
        page_items, cursor = yield from fetch(cursor)
        fresh = page_items if is_known is None else [item for item in page_items if not is_known(item)]
        items += fresh
        if cursor in seen or len(fresh) < len(page_items):
            return items
        seen.add(cursor)


def filter_page(
    fetch: Callable[[str | None], Exchange[Page]],
    is_included: Callable[[Task], bool],
    *,
    limit: int | None,
    cursor: str | None,
) -> Exchange[Page]:
    """Return the tasks of one page that are kept, at most *limit*, for a service that cannot filter its list.

    *fetch* takes the service's own cursor and requests a page of its largest size: one of *limit* tasks would mean a
    request for every few tasks that are not kept.
    """
    match = _INSIDE.fullmatch(cursor or "")
    service_cursor, start = (match[1] or None, int(match[2])) if match else (cursor, 0)
    page = yield from fetch(service_cursor)
    included = [(place, task) for place, task in enumerate(page.items) if place >= start and is_included(task)]
    following = page.cursor
    if limit is not None and len(included) > limit:
        following = f"{service_cursor or ''}#{included[limit][0]}"
    elif following is not None and _INSIDE.fullmatch(following):
        following = f"{following}#0"
    return msgspec.structs.replace(page, items=tuple(task for _, task in included[:limit]), cursor=following)
