"""The structures of Claude Managed Agents: only the fields that are read.

Typed fields decide; fields of type ``object`` are only shown and are read by `loose`.

See Anthropic's SDK 2.11, ``types/beta/beta_managed_agents_session.py`` and ``types/beta/sessions``.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True):
    """A structure that the service sends."""


class Session(Wire, frozen=True):
    """A session. The reason of its last stop is in its events."""

    id: str
    status: str | None = None
    title: object = None
    metadata: object = None
    agent: object = None
    environment_id: object = None
    resources: object = None
    usage: object = None
    created_at: object = None
    updated_at: object = None
    archived_at: object = None


class SessionPage(Wire, frozen=True):
    """A page of sessions, newest first."""

    data: list[msgspec.Raw] | None = None
    next_page: str | None = None


class StopReason(Wire, frozen=True):
    """Why a session became idle; `event_ids` are the tool uses that wait for a decision."""

    type: str | None = None
    event_ids: list[str] | None = None


class Event(Wire, frozen=True):
    """Something that happened in a session. One that is queued has no `processed_at`."""

    id: str
    type: str | None = None
    processed_at: str | None = None
    stop_reason: StopReason | None = None
    tool_use_id: str | None = None
    result: str | None = None
    stop_details: object = None
    content: object = None
    error: object = None
    name: object = None
    input: object = None
    is_error: object = None
    usage: object = None


class EventPage(Wire, frozen=True):
    """A page of events, in the order that was requested."""

    data: list[msgspec.Raw] | None = None
    next_page: str | None = None


class File(Wire, frozen=True):
    """A file that a session has written."""

    id: str
    filename: str | None = None
    created_at: object = None


class FilePage(Wire, frozen=True):
    """A page of files."""

    data: list[File] | None = None
    next_page: str | None = None


class Environment(Wire, frozen=True):
    """An environment."""

    id: str
    name: object = None
    archived_at: object = None


class EnvironmentPage(Wire, frozen=True):
    """A page of environments."""

    data: list[Environment] | None = None
    next_page: str | None = None
