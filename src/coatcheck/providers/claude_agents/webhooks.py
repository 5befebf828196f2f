"""Anthropic's webhooks about sessions.

The type of an event is in its data, whose id is the session in every event about one (Anthropic's SDK 2.11,
``types/beta/beta_webhook_session_status_idled_event_data.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import STANDARD_WEBHOOKS, Webhooks, WebhookSubject, fields, text


def read(body: Mapping[str, object], _headers: Mapping[str, str]) -> WebhookSubject:
    """Return the session of an event; events of other kinds concern no task."""
    data = fields(body.get("data"))
    kind, id = text(data.get("type")) or text(body.get("type")) or "", text(data.get("id"))
    is_session = kind.startswith("session.") and kind != "session.deleted"
    return WebhookSubject(type=kind, tasks=(id,) if is_session and id else ())


WEBHOOKS = Webhooks(
    sender="anthropic",
    title="Anthropic",
    about="sessions of agents",
    signature=STANDARD_WEBHOOKS,
    fields=("type", "data.type", "data.id"),
    read=read,
)
