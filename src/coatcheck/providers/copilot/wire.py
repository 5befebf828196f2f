"""What is read of GitHub's answers about the agent's tasks (docs/reference/protocols/services.md 2); everything else is left alone."""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, gc=False):
    """An object of the service: unknown fields are ignored, words stay as they came."""


class Session(Wire, frozen=True):
    """One turn of the agent."""

    state: object = None
    prompt: str | None = None
    head_ref: object = None
    base_ref: object = None
    model: object = None
    created_at: object = None
    completed_at: object = None
    usage: object = None
    error: object = None


class Artifact(Wire, frozen=True):
    """Something that the agent made; which fields `data` has depends on `type`, and is looked at with care."""

    type: str | None = None
    data: object = None


class Task(Wire, frozen=True):
    """A task; only a look at it has its sessions."""

    id: str
    state: str | None = None
    url: object = None
    html_url: object = None
    name: object = None
    session_count: object = None
    artifacts: list[Artifact] | None = None
    archived_at: object = None
    created_at: object = None
    updated_at: object = None
    sessions: list[Session] | None = None


class TaskPage(Wire, frozen=True):
    """A page of tasks."""

    tasks: list[Task]
