"""The events of a task, of a fleet, and of everything, as they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._values.json_fields import to_object
from ..fleet_lookup import fleet_of
from .bodies import EventQuery
from .endpoints import Call, Endpoint, Schema, fields, many

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef


def list_task_events(call: Call) -> Any:
    """Return the events of a task."""
    return _events(call, call.request.ref)


def list_fleet_events(call: Call) -> Any:
    """Return the events of a fleet."""
    return _events(call, f"fleet:{fleet_of(call.request).name}")


def list_events(call: Call) -> Any:
    """Return the events of everything."""
    return _events(call, None)


def _events(call: Call, subject: TaskRef | str | None) -> Any:
    query, log = call.query, call.request.site.events
    if query.after is None:
        events = log.last(query.limit, subject=subject)
    else:
        events = log.read(after=query.after, subject=subject, limit=query.limit)
    return {"events": [to_object(each, is_summary=True) for each in events]}


EVENTS: Schema = fields(events=many("StoredEvent"))

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/tasks/{ref}/events", "listTaskEvents", "The events of a task", list_task_events, EVENTS, EventQuery),
    Endpoint("GET", "/fleets/{name}/events", "listFleetEvents", "The events of a fleet", list_fleet_events, EVENTS, EventQuery, errors=(404,)),
    Endpoint("GET", "/events", "listEvents", "The events of everything", list_events, EVENTS, EventQuery),
)  # fmt: skip
