"""The audit log: who has decided and changed what, when, by which way and why; the newest first, by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from ..page_request import PageRequest
from ..rendering import render, subject_url
from ..routing import page
from ..timeline import entries

if TYPE_CHECKING:
    from ..._model.events import AnyEvent

PAGE = 100
# Events of decisions and changes; what services and fleets do by themselves is in the timelines of tasks and fleets.
KINDS = (
    *("action.performed", "gate.opened", "gate.decided", "gate.expired", "gate.withdrawn"),
    *("fleet.paused", "fleet.resumed", "fleet.stopped", "item.approved", "item.rejected"),
)


def show_log(request: PageRequest) -> Response:
    """Show one page of the log."""
    events = request.site.events.before(request.query.number("before"), kinds=KINDS, limit=PAGE)
    rows = [
        (entry, stored.event.subject, _url(stored.event)) for entry, stored in zip(entries(events), events, strict=True)
    ]
    older = events[-1].id if len(events) == PAGE else None
    return render(request, "audit_log.html", rows=rows, older=older, is_first=not request.query.has("before"))


def _url(event: AnyEvent) -> str | None:
    return subject_url(event.subject, getattr(event, "item", None))


ROUTES = (page("/log", show_log),)
