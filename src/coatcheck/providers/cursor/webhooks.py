"""Cursor's webhooks: a change of an agent's status (docs/reference/protocols/webhooks.md)."""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import Webhooks, WebhookSubject, sha256_signature, text


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> WebhookSubject:
    """Return the agent of a delivery."""
    id = text(body.get("id"))
    return WebhookSubject(type=headers.get("x-webhook-event", ""), tasks=(id,) if id else ())


WEBHOOKS = Webhooks(
    sender="cursor",
    title="Cursor",
    about="agents",
    signature=sha256_signature("x-webhook-signature", id="x-webhook-id"),
    fields=("id",),
    read=read,
)
