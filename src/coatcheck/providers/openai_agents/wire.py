"""The structures of OpenAI's Agents API: only the fields that are read.

Typed fields decide; fields of type ``object`` are only shown and are read by `loose`.

See OpenAI's SDK 3.52, ``types/beta/agent_session.py`` and ``types/beta/agents/sessions``.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True):
    """A structure that the service sends."""


class RequiredAction(Wire, frozen=True):
    """Something that a session waits for."""

    type: str | None = None
    request_id: str | None = None
    request: object = None
    name: object = None


class Session(Wire, frozen=True):
    """A session. Whether its last turn succeeded is in its turns."""

    id: str
    status: str | None = None
    metadata: object = None
    agent: object = None
    usage: object = None
    spend_control: object = None
    created_at: object = None
    last_active_at: object = None
    error: object = None
    required_actions: list[RequiredAction] | None = None


class Page(Wire, frozen=True):
    """A page of any list; the last id requests the next page."""

    data: list[msgspec.Raw] | None = None
    has_more: bool | None = None


class Turn(Wire, frozen=True):
    """One cycle of work; that of a subagent has its id."""

    id: str
    status: str | None = None
    subagent_id: str | None = None
    error: object = None
    completed_at: object = None


class Item(Wire, frozen=True):
    """Something that was saved; user messages of former versions have no id."""

    id: str | None = None
    type: str | None = None
    status: str | None = None
    role: object = None
    phase: object = None
    content: object = None
    command: object = None
    output: object = None
    exit_code: object = None


class Artifact(Wire, frozen=True):
    """A file that a completed turn has published."""

    id: str
    path: str | None = None
    created_at: object = None
