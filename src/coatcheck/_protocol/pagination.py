"""Follow a service's pages to their end, within limits.

Invariants:
- a cursor that repeats is the end;
- a list with more than `MAX_PAGES` pages, or whose requests take `MAX_SECONDS`, is stopped with `ListUnfinishedError`, which
  has the cursor of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import errors
from .effects import Clock, Emit, Script

if TYPE_CHECKING:
    from .._model.tasks import Page

# Twenty tasks on a page of the official service (docs/reference/protocols/codex-wham.md, 2.1) make 20,000.
MAX_PAGES = 1_000
MAX_SECONDS = 120.0


class PageLimits:
    """How many pages a list may have, and how many seconds its requests may take."""

    def __init__(self, *, clock: Clock, pages: int | None = None, seconds: float | None = None) -> None:
        self._clock = clock
        self._pages = MAX_PAGES if pages is None else pages
        self._seconds = MAX_SECONDS if seconds is None else seconds
        self._requested, self._spent, self._began = 0, 0.0, 0.0

    def begin(self) -> None:
        """Record that a page is requested."""
        self._requested, self._began = self._requested + 1, self._clock.monotonic()

    def end(self) -> None:
        """Record that the page has arrived."""
        self._spent += self._clock.monotonic() - self._began

    @property
    def reason(self) -> str | None:
        """Why no further page may be requested, None while one may be."""
        if self._requested >= self._pages:
            return f"there are more than {self._requested} pages"
        return f"the list is not complete after {self._spent:.0f} seconds" if self._spent >= self._seconds else None


def unfinished(reason: str, cursor: str) -> errors.ListUnfinishedError:
    """Return the error for a list that was stopped before its end."""
    return errors.ListUnfinishedError(
        f"{reason}; it was stopped and there is more", cursor=cursor, remedy=f"continue with the cursor {cursor!r}"
    )


def paginate(
    request_page: Callable[[str | None, int | None], Script[Page]],
    *,
    limit: int | None,
    cursor: str | None = None,
    bounds: PageLimits,
) -> Script[str | None]:
    """Emit the items of page after page, at most *limit*; returns the cursor of the items that were not requested.

    *request_page* takes a cursor and how many items are still wanted (None: the service's page size).

    Ends when a cursor repeats: a server that sends the same one again has no next page. Items that were
    emitted already (the list changed between two requests) are not emitted again. Raises `ListUnfinishedError` after the last item that
    *bounds* allow.
    """
    seen_cursors, seen_items, emitted = {cursor}, set(), 0
    while True:
        bounds.begin()
        page = yield from request_page(cursor, None if limit is None else limit - emitted)
        bounds.end()
        for task in page.items:
            if task.ref in seen_items:
                continue
            if emitted == limit:
                return cursor
            seen_items.add(task.ref)
            emitted += 1
            yield Emit(task)
        if page.cursor is None or page.cursor in seen_cursors:
            return None
        cursor = page.cursor
        if emitted == limit:
            return cursor
        if (reason := bounds.reason) is not None:
            raise unfinished(reason, cursor)
        seen_cursors.add(cursor)
