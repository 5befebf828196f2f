"""GitHub's webhooks about runs of workflows and their jobs."""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import WebhookSubject, fields, whole
from .._github.webhooks import github_webhooks, repository_of, type_of


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> WebhookSubject:
    """Return the run of a delivery."""
    repository, run = repository_of(body), whole(fields(body.get("workflow_run")).get("id"))
    run = whole(fields(body.get("workflow_job")).get("run_id")) if run is None else run
    task = f"{repository.replace('/', '~')}~{run}" if repository and run is not None else None
    return WebhookSubject(type=type_of(body, headers), tasks=(task,) if task else ())


WEBHOOKS = github_webhooks(
    "runs, by `workflow_run` and `workflow_job`", ("workflow_run.id", "workflow_job.run_id"), read
)
