"""What an A2A agent sends, as ProtoJSON: only the fields that are read (A2A 1.0, sections 4 and 5.5).

The specification is https://a2a-protocol.org/latest/specification/.

Invariants: unknown fields and words are accepted; a field that is read and has another type is an error with its path.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """The base of all: lower camel case on the wire."""


class Part(Wire, frozen=True):
    """One of `text`, `raw` (base64), `url` and `data` (any JSON)."""

    text: str | None = None
    raw: str | None = None
    url: str | None = None
    data: object = None
    metadata: object = None
    filename: str | None = None
    media_type: str | None = None


class Message(Wire, frozen=True):
    """A message of the agent (ROLE_AGENT) or of a user (ROLE_USER)."""

    message_id: str | None = None
    context_id: str | None = None
    task_id: str | None = None
    role: str | None = None
    parts: list[Part] | None = None


class TaskStatus(Wire, frozen=True):
    """A state, and what the agent wrote with it."""

    state: str | None = None
    message: Message | None = None
    timestamp: object = None


class Artifact(Wire, frozen=True):
    """A result of the agent, in parts."""

    artifact_id: str | None = None
    name: str | None = None
    description: str | None = None
    parts: list[Part] | None = None


class Task(Wire, frozen=True):
    """A task."""

    id: str | None = None
    context_id: str | None = None
    status: TaskStatus | None = None
    artifacts: list[Artifact] | None = None
    history: list[Message] | None = None


class TaskPage(Wire, frozen=True):
    """A page of the list, newest first; the last has no token, or an empty one."""

    tasks: list[Task] | None = None
    next_page_token: str | None = None


class Sent(Wire, frozen=True):
    """The answer to a message: a task, or only a message."""

    task: Task | None = None
    message: Message | None = None


class StatusUpdate(Wire, frozen=True):
    """A new status of a task."""

    task_id: str | None = None
    status: TaskStatus | None = None


class ArtifactUpdate(Wire, frozen=True):
    """An artifact, or more of it."""

    task_id: str | None = None
    artifact: Artifact | None = None
    append: bool | None = None


class StreamResponse(Wire, frozen=True):
    """An event of a stream: one of these."""

    task: Task | None = None
    message: Message | None = None
    status_update: StatusUpdate | None = None
    artifact_update: ArtifactUpdate | None = None


class AgentInterface(Wire, frozen=True):
    """A way to call the agent."""

    url: str | None = None
    protocol_binding: str | None = None
    protocol_version: str | None = None
    tenant: str | None = None


class AgentCapabilities(Wire, frozen=True):
    """What the agent can do beside the required."""

    streaming: bool | None = None
    push_notifications: bool | None = None


class AgentCard(Wire, frozen=True):
    """The agent card; interfaces in the agent's order of preference."""

    name: str | None = None
    supported_interfaces: list[AgentInterface] | None = None
    capabilities: AgentCapabilities | None = None


class RpcError(msgspec.Struct, frozen=True):
    """The error of a JSON-RPC response."""

    code: int = -32603
    message: str = ""


class RpcResponse(msgspec.Struct, frozen=True):
    """A JSON-RPC response: a result, or an error."""

    jsonrpc: object = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: RpcError | None = None


class ErrorDetail(msgspec.Struct, frozen=True):
    """A detail of an error (https://google.aip.dev/193): `reason` is the word of an ErrorInfo."""

    reason: object = None


class ErrorStatus(msgspec.Struct, frozen=True):
    """The error of an HTTP+JSON response."""

    details: list[ErrorDetail] | None = None


class ErrorResponse(msgspec.Struct, frozen=True):
    """The body of an HTTP+JSON error."""

    error: ErrorStatus | None = None
