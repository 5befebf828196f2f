"""Push notifications of an A2A agent (A2A 1.0, sections 3.2.3 and 4.3.3); docs/reference/providers/a2a.md."""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import Webhooks, WebhookSubject, bearer_token, encoded, fields, text
from .service import PUSH_SECRET

# The members of a StreamResponse, and where each has the id of the task.
_MEMBERS = {"statusUpdate": "taskId", "artifactUpdate": "taskId", "task": "id", "message": "taskId"}
# The headers of the token, beside the specification's Authorization: a2a-sdk 1.3 for Python, a2a-go 2.5.
_TOKENS = ("x-a2a-notification-token", "a2a-notification-token")


def read(body: Mapping[str, object], _headers: Mapping[str, str]) -> WebhookSubject:
    """Return the task of a delivery."""
    for kind, key in _MEMBERS.items():
        if id := text(fields(body.get(kind)).get(key)):
            return WebhookSubject(type=kind, tasks=(encoded(id),))
    return WebhookSubject()


WEBHOOKS = Webhooks(
    sender="a2a",
    title="the A2A agent of the setting a2a.base_url",
    about="tasks",
    signature=bearer_token(*_TOKENS, secret=f"`{PUSH_SECRET}`, also where tasks are submitted"),
    fields=tuple(f"{kind}.{key}" for kind, key in _MEMBERS.items()),
    read=read,
    max_bytes=25 * 1024 * 1024,  # a task comes with its artifacts
    media_types=("application/json", "application/a2a+json"),
)
