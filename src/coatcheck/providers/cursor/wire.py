"""The structures of Cursor's responses: only the fields that are read; unknown fields and values are accepted.

Typed fields decide (ids, states, texts): a wrong type is an error with its JSON path. Fields of type ``object`` are only
shown, and are read leniently. Everything may be missing, and null counts as missing.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """A message of the service."""


class Repository(Wire, frozen=True):
    """A repository that an agent works on, and where it starts (docs/reference/protocols/cursor.md, "3 Shapes")."""

    url: str | None = None
    starting_ref: str | None = None


class Agent(Wire, frozen=True):
    """An agent: the conversation with its workspace (docs/reference/protocols/cursor.md, "3 Shapes")."""

    id: str | None = None
    name: object = None
    status: str | None = None
    repos: list[Repository] | None = None
    url: object = None
    created_at: object = None
    updated_at: object = None
    latest_run_id: str | None = None


class AgentPage(Wire, frozen=True):
    """A page of agents, newest first (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    items: list[Agent] | None = None
    next_cursor: str | None = None


class Branch(Wire, frozen=True):
    """A branch that an agent has pushed, with its pull request (docs/reference/protocols/cursor.md, "3 Shapes")."""

    repo_url: str | None = None
    branch: str | None = None
    pr_url: str | None = None


class Git(Wire, frozen=True):
    """What an agent has pushed; missing before its first push."""

    branches: list[Branch] | None = None


class Run(Wire, frozen=True):
    """A run: what an agent does with one prompt (docs/reference/protocols/cursor.md, "3 Shapes")."""

    id: str | None = None
    agent_id: str | None = None
    status: str | None = None
    created_at: object = None
    updated_at: object = None
    duration_ms: object = None
    result: str | None = None
    error: object = None
    git: Git | None = None


class RunPage(Wire, frozen=True):
    """A page of the runs of an agent, newest first (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    items: list[msgspec.Raw] | None = None


class Document(Wire, frozen=True):
    """An agent with a run, as the response to a create has them."""

    agent: Agent | None = None
    run: Run | None = None


class File(Wire, frozen=True):
    """A file that an agent has left in its folder of artifacts (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    path: str | None = None
    size_bytes: object = None


class FilePage(Wire, frozen=True):
    """The files of an agent."""

    items: list[File] | None = None


class Download(Wire, frozen=True):
    """A presigned URL of a file (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    url: str | None = None


class Tokens(Wire, frozen=True):
    """Numbers of tokens."""

    input_tokens: object = None
    output_tokens: object = None
    total_tokens: object = None


class Cost(Wire, frozen=True):
    """A cost in US cents."""

    charged_cents: object = None


class AgentUsage(Wire, frozen=True):
    """What an agent has used (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    total_usage: Tokens | None = None
    cost: Cost | None = None


class Model(Wire, frozen=True):
    """A model (docs/reference/protocols/cursor.md, "2 Endpoints")."""

    id: str | None = None
    display_name: object = None
    aliases: object = None


class ModelPage(Wire, frozen=True):
    """The models of an account."""

    items: list[Model] | None = None


class RepositoryPage(Wire, frozen=True):
    """The repositories that an account may use."""

    items: list[Repository] | None = None


class ErrorDetail(Wire, frozen=True):
    """Why a request was refused (docs/reference/protocols/cursor.md, "6 Errors and limits")."""

    reason: object = msgspec.field(default=None, name="code")
    help_url: object = None


class ErrorDocument(Wire, frozen=True):
    """The body of a refusal."""

    error: ErrorDetail | None = None
