"""OpenAI's webhooks about a batch (OpenAI's SDK 3.52, ``types/webhooks``)."""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import STANDARD_WEBHOOKS_OR_TEXT, Webhooks, WebhookSubject, fields, text

PREFIX = "batch."


def read(body: Mapping[str, object], _headers: Mapping[str, str]) -> WebhookSubject:
    """Return what an event is about; events of other kinds concern no task."""
    kind, id = text(body.get("type")) or "", text(fields(body.get("data")).get("id"))
    return WebhookSubject(type=kind, tasks=(id,) if id and kind.startswith(PREFIX) else ())


WEBHOOKS = Webhooks(
    sender="openai",
    title="OpenAI",
    about="batches",
    signature=STANDARD_WEBHOOKS_OR_TEXT,
    fields=("type", "data.id"),
    read=read,
)
