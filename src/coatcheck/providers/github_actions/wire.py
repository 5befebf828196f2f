"""The structures of GitHub's responses about runs: only the fields that are read.

See docs/reference/protocols/services.md, "1.1 Endpoints".
"""

from __future__ import annotations

from typing import TypeVar

import msgspec


class Wire(msgspec.Struct, frozen=True, gc=False):
    """An object of the service: unknown fields are ignored, values are kept as they are."""


class Repository(Wire, frozen=True):
    """A repository."""

    full_name: str | None = None


class Dispatched(Wire, frozen=True):
    """The response to a dispatch, with the run that it created.

    See docs/reference/protocols/services.md, "1.2 The id of a dispatched run".
    """

    workflow_run_id: int
    html_url: object = None


class Run(Wire, frozen=True):
    """A run of a workflow (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    id: int
    status: str | None = None
    conclusion: str | None = None
    display_title: object = None
    name: object = None
    path: object = None
    head_branch: object = None
    head_sha: object = None
    html_url: object = None
    url: object = None
    created_at: object = None
    run_started_at: object = None
    updated_at: object = None
    run_attempt: object = None
    repository: Repository | None = None


class RunPage(Wire, frozen=True):
    """A page of runs, newest first (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    workflow_runs: list[Run]


class Step(Wire, frozen=True):
    """A step of a job (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    name: object = None
    status: object = None
    conclusion: object = None
    started_at: object = None


class Job(Wire, frozen=True):
    """A job of a run (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    id: int
    name: object = None
    status: object = None
    conclusion: object = None
    started_at: object = None
    completed_at: object = None
    steps: list[Step] | None = None


class JobPage(Wire, frozen=True):
    """A page of jobs (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    jobs: list[Job]


class Artifact(Wire, frozen=True):
    """An artifact of a run; `name` is part of the request and not read.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """

    id: int
    expired: object = None
    expires_at: object = None
    created_at: object = None
    size_in_bytes: object = None


class ArtifactPage(Wire, frozen=True):
    """A page of artifacts, newest first (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    artifacts: list[Artifact]


class Workflow(Wire, frozen=True):
    """A workflow (docs/reference/protocols/services.md, "1.1 Endpoints")."""

    id: int
    name: object = None
    path: str | None = None
    state: object = None


class WorkflowPage(Wire, frozen=True):
    """A page of workflows."""

    workflows: list[Workflow]


# What a page holds.
W = TypeVar("W", bound=Wire)
