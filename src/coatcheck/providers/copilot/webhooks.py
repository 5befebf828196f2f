"""GitHub's webhooks, which have no event for a task of the coding agent.

A task works in a workflow run and a pull request, so every event may concern the tasks of the repository
(docs/reference/protocols/webhooks.md, 5).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import WebhookSubject
from .._github.webhooks import github_webhooks, repository_of, type_of


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> WebhookSubject:
    """Return the repository of a delivery."""
    return WebhookSubject(type=type_of(body, headers), repository=repository_of(body))


WEBHOOKS = github_webhooks("running tasks of the repository, by `pull_request`, `check_run` and other events", (), read)
