"""The audit log: decisions and changes, with who, when, by which way and why."""

from __future__ import annotations

from typing import Any

from ..._values.json_fields import to_object
from ..views.audit_log import KINDS
from .bodies import Body, Limit, NumberCursor
from .endpoints import TEXT_OR_NULL, Call, Endpoint, fields, many


class AuditQuery(Body, frozen=True, kw_only=True):
    """Which entries are listed; `cursor` is that of the page before."""

    cursor: NumberCursor | None = None
    limit: Limit = 100


def list_audit_log(call: Call) -> Any:
    """Return a page of the log, the newest entry first."""
    query: AuditQuery = call.query
    before = int(query.cursor) if query.cursor else None
    entries = call.request.site.events.before(before, kinds=KINDS, limit=query.limit + 1)
    page = entries[: query.limit]
    cursor = str(page[-1].id) if len(entries) > query.limit else None
    return {"entries": [to_object(each, is_summary=True) for each in page], "cursor": cursor}


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/audit-log", "listAuditLog", "Decisions and changes, the newest first", list_audit_log, fields(entries=many("StoredEvent"), cursor=TEXT_OR_NULL), AuditQuery),
)  # fmt: skip
