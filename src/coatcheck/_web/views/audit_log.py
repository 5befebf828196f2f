"""The audit log: who has decided and changed what, when, by which way and why; the newest first, by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from ..page_request import PageRequest
from ..rendering import fleet_url, render, task_url
from ..routing import page
from ..timeline import entries

if TYPE_CHECKING:
    from ..._store.events import StoredEvent

PAGE = 100
# Events of decisions and changes; what services and fleets do by themselves is in the timelines of tasks and fleets.
KINDS = (
    *("action.performed", "gate.opened", "gate.decided", "gate.expired", "gate.withdrawn"),
    *("fleet.paused", "fleet.resumed", "fleet.stopped", "item.approved", "item.rejected"),
)


def show_log(request: PageRequest) -> Response:
    """Show one page of the log."""
    events = request.site.events.before(request.query.number("before"), kinds=KINDS, limit=PAGE)
    rows = [(entry, stored.event.subject, _url(stored)) for entry, stored in zip(entries(events), events, strict=True)]
    older = events[-1].id if len(events) == PAGE else None
    return render(request, "audit_log.html", rows=rows, older=older, is_first=not request.query.has("before"))


def _url(stored: StoredEvent) -> str | None:
    """Return the page of what an event is about, None where it has none."""
    kind, _, rest = stored.event.subject.partition(":")
    if kind == "gate":
        return f"/gates/{rest}"
    if kind == "fleet":
        return fleet_url(rest)
    return {"checkout": "/checkout", "hook": "/hooks", "review": "/reviews"}.get(kind) or task_url(stored.event.subject)


ROUTES = (page("/log", show_log),)
