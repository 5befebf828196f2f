"""The structures of GitHub's responses about the agent's tasks: only the fields that are read.

See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, gc=False):
    """An object of the service: unknown fields are ignored, values are kept as they are."""


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
    """An artifact; the fields of `data` depend on `type` and are read leniently."""

    type: str | None = None
    data: object = None


class Task(Wire, frozen=True):
    """A task; only `get_task` returns its sessions."""

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
