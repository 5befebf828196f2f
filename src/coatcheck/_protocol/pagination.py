"""Follow a service's pages to their end, and stop where a service sends us round in circles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .effects import Emit, Script

if TYPE_CHECKING:
    from .._model.tasks import Page


def paged(
    ask: Callable[[str | None, int | None], Script[Page]], *, limit: int | None, cursor: str | None = None
) -> Script[str | None]:
    """Emit the items of page after page, at most *limit*; returns the cursor of what was not asked for.

    *ask* takes a cursor and how many items are still wanted (a page size to ask for, None for the service's own).

    Ends when a cursor repeats: a server that hands out the same one again has no next page. Items that were
    seen already (a list that moved under us) are not emitted again.
    """
    seen_cursors, seen_items, emitted = {cursor}, set(), 0
    while True:
        page = yield from ask(cursor, None if limit is None else limit - emitted)
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
        seen_cursors.add(cursor)
