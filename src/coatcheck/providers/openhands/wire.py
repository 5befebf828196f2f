"""The structures of an agent-server's responses: only the fields that are read; unknown fields and values are accepted.

Typed fields decide (ids, states, texts): a wrong type is an error with its JSON path. Fields of type ``object`` are only
shown, and are read leniently. Everything may be missing, and null counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Wire(msgspec.Struct, frozen=True):
    """A message of the server."""


class Workspace(Wire, frozen=True):
    """Where an agent works."""

    working_dir: str | None = None


class Conversation(Wire, frozen=True):
    """A conversation (docs/reference/protocols/openhands.md, "3 Shapes")."""

    id: str | None = None
    execution_status: str | None = None
    workspace: Workspace | None = None
    title: object = None
    tags: Mapping[str, object] | None = None
    agent: object = None
    stats: object = None
    created_at: object = None
    updated_at: object = None
    last_user_message_id: str | None = None
    confirmation_policy: object = None

    @property
    def confirmation(self) -> object:
        """The kind of the policy that decides which actions wait."""
        return self.confirmation_policy.get("kind") if isinstance(self.confirmation_policy, dict) else None


class ConversationPage(Wire, frozen=True):
    """A page of conversations, newest first."""

    items: list[msgspec.Raw] | None = None
    next_page_id: str | None = None


class Event(Wire, frozen=True):
    """An event of a conversation; which fields it has depends on its kind."""

    id: str | None = None
    kind: str | None = None
    source: object = None
    timestamp: object = None
    action_id: str | None = None
    tool_call_id: str | None = None
    key: object = None
    value: object = None
    llm_message: object = None
    action: object = None
    observation: object = None
    tool_name: object = None
    tool_call: object = None
    security_risk: object = None
    summary: object = None
    thought: object = None
    reasoning_content: object = None
    rejection_reason: object = None
    error: object = None
    error_code: object = msgspec.field(default=None, name="code")
    detail: object = None


class EventPage(Wire, frozen=True):
    """A page of events."""

    items: list[msgspec.Raw] | None = None
    next_page_id: str | None = None


class FinalResponse(Wire, frozen=True):
    """The agent's last reply; empty where there is none."""

    response: str | None = None


class CommandOutput(Wire, frozen=True):
    """How a shell command ended."""

    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class AgentProfile(Wire, frozen=True):
    """A stored agent (docs/reference/protocols/openhands.md, "2 Endpoints")."""

    id: str | None = None
    name: str | None = None


class AgentProfiles(Wire, frozen=True):
    """The stored agents, and which of them is active."""

    profiles: list[AgentProfile] | None = None
    active_agent_profile_id: str | None = None


class ModelProfile(Wire, frozen=True):
    """A stored model with its key, which the server does not show."""

    name: str | None = None
    model: object = None
    api_key_set: object = None


class ModelProfiles(Wire, frozen=True):
    """The stored models."""

    profiles: list[ModelProfile] | None = None


class SavedWorkspace(Wire, frozen=True):
    """A folder that is saved on the server."""

    name: object = None
    path: str | None = None


class SavedWorkspaces(Wire, frozen=True):
    """The folders that are saved on the server."""

    workspaces: list[SavedWorkspace] | None = None
