"""From the event stream of a turn to `TaskEvent`. Pure.

See docs/reference/protocols/codex-wham.md, "2.8 Server routes no open client calls".
"""

from __future__ import annotations

from ...provider import (
    UNREADABLE,
    ServerSentEvent,
    TaskEvent,
    TaskLog,
    TaskRef,
    UnknownEvent,
    decode_json,
    fields,
    instant,
    text,
)
from . import wire


def event_of(event: ServerSentEvent, ref: TaskRef) -> TaskEvent | None:
    """Return the event in *event*, None for one that is not JSON: an unreadable event does not end the stream.

    A log line has the kind "log"; a thread event the service's own method, ``item/agentMessage/delta`` for one.
    """
    try:
        item = decode_json(event.data, wire.StreamItem)
    except UNREADABLE:
        return None
    cursor = text(item.id) or event.id
    if item.item_type == "thread_event":
        document = fields(item.event)
        params = fields(document.get("params"))
        event_text = text(params.get("delta")) or text(fields(params.get("item")).get("text"))
        return UnknownEvent(
            kind=text(document.get("method")) or "thread_event", ref=ref, id=cursor, text=event_text, data=params
        )
    at = instant(fields(item.key).get("created_at"))
    kind = text(item.item_type) or event.event
    if kind == "log":
        return TaskLog(ref=ref, id=cursor, text=text(item.line), at=at)
    return UnknownEvent(kind=kind, ref=ref, id=cursor, text=text(item.line), data=item.key, at=at)
