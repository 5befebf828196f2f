"""The list of tasks: filtered, searched, by pages, with the durations of the latest ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import Response

from ... import errors
from ..._model.states import TaskState
from ..._store.history import HistoryFilter
from ..page_request import PageRequest
from ..rendering import render
from ..routing import page

if TYPE_CHECKING:
    from ..._store.history import HistoryEntry

PAGE = 50
# So many durations are in the sparkline.
DURATIONS = 30
FILTERS = ("q", "state", "provider")


def show_tasks(request: PageRequest) -> Response:
    """Show a page of the tasks in the store, the last submitted first."""
    history = request.site.history
    found = history.list(_filter(request), limit=PAGE, cursor=request.query.get("cursor") or None)
    return render(
        request,
        "tasks.html",
        page=found,
        states=list(TaskState),
        is_filtered=any(request.query.has(name) for name in FILTERS),
        next_url=_url(request, found.cursor) if found.cursor else None,
        first_url=_url(request, None) if request.query.has("cursor") else None,
        durations=_durations(found.items),
    )


def _filter(request: PageRequest) -> HistoryFilter:
    query = request.query
    return HistoryFilter(
        provider=query.get("provider") or None,
        states=tuple(_state(text) for text in query.all("state")),
        text=query.get("q") or None,
    )


def _state(text: str) -> TaskState:
    try:
        return TaskState(text)
    except ValueError:
        known = ", ".join(each.value for each in TaskState)
        raise errors.ConfigurationError(f"{text!r} is no state of a task", remedy=f"states: {known}") from None


def _url(request: PageRequest, cursor: str | None) -> str:
    """Return the address of a page of the same list, of the first one without a cursor."""
    pairs = [pair for pair in request.query.pairs if pair[0] in FILTERS and pair[1]]
    return f"/?{urlencode([*pairs, *([('cursor', cursor)] if cursor else [])])}"


def _durations(entries: Sequence[HistoryEntry]) -> list[float]:
    """Return how long the tasks of the page took that have ended, the oldest first (seconds)."""
    known = [took for each in entries if (took := each.task.duration) is not None and took >= 0]
    return known[:DURATIONS][::-1]


ROUTES = (page("/", show_tasks),)
