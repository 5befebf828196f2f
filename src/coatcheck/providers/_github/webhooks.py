"""GitHub's webhooks, as far as its providers share them (docs/reference/protocols/webhooks.md, 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...provider import Webhooks, WebhookSubject, fields, sha256_signature, text


def github_webhooks(
    about: str, paths: tuple[str, ...], read: Callable[[Mapping[str, object], Mapping[str, str]], WebhookSubject]
) -> Webhooks:
    """Return the webhooks of a provider that reads the fields at *paths*; *about* as in `Webhooks`."""
    return Webhooks(
        sender="github",
        title="GitHub",
        about=about,
        signature=sha256_signature("x-hub-signature-256", id="x-github-delivery"),
        fields=("action", "repository.full_name", *paths),
        read=read,
        max_bytes=25 * 1024 * 1024,
    )


def type_of(body: Mapping[str, object], headers: Mapping[str, str]) -> str:
    """Return the event and its action, such as "workflow_run.completed"."""
    kind, action = headers.get("x-github-event", ""), text(body.get("action"))
    return f"{kind}.{action}" if action else kind


def repository_of(body: Mapping[str, object]) -> str | None:
    """Return the repository, ``owner/repo``."""
    return text(fields(body.get("repository")).get("full_name"))
