"""The structures of the app-server protocol that are read here.

See docs/reference/protocols/codex-app-server.md, "3 Methods"; times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Status(msgspec.Struct):
    """Whether something runs in a thread now; it does not show how the last turn ended."""

    type: str
    activeFlags: list[str] | None = None  # noqa: N815 - the wire's name


class GitInfo(msgspec.Struct):
    """The checkout of a thread at its first turn."""

    sha: str | None = None
    branch: str | None = None
    originUrl: str | None = None  # noqa: N815


class Thread(msgspec.Struct):
    """A thread: a conversation with its turns, and our task."""

    id: str
    status: Status | None = None
    name: str | None = None
    preview: str | None = None
    cwd: str | None = None
    model: str | None = None
    createdAt: float | None = None  # noqa: N815
    updatedAt: float | None = None  # noqa: N815
    gitInfo: GitInfo | None = None  # noqa: N815
    forkedFromId: str | None = None  # noqa: N815
    environments: list[dict[str, Any]] | None = None


class TurnError(msgspec.Struct):
    """Why a turn failed; `codexErrorInfo` is a word or an object with one key."""

    message: str | None = None
    codexErrorInfo: Any = None  # noqa: N815


class Turn(msgspec.Struct):
    """One run of the agent, from a message of the user to its end."""

    id: str
    status: str
    items: list[dict[str, Any]] | None = None
    error: TurnError | None = None
    startedAt: float | None = None  # noqa: N815
    completedAt: float | None = None  # noqa: N815


class TurnPage(msgspec.Struct):
    """The answer to ``thread/turns/list``."""

    data: list[Turn]
    nextCursor: str | None = None  # noqa: N815


class TaskDocument(msgspec.Struct):
    """A thread and its last turn: the answers to ``thread/read`` and ``thread/turns/list`` in one document."""

    thread: Thread
    turns: TurnPage | None = None


class ThreadPage(msgspec.Struct):
    """The answer to ``thread/list``."""

    data: list[Thread]
    nextCursor: str | None = None  # noqa: N815


class ListedItem(msgspec.Struct):
    """An item in the answer to ``thread/items/list``."""

    item: dict[str, Any]
    turnId: str | None = None  # noqa: N815


class ItemPage(msgspec.Struct):
    """The answer to ``thread/items/list``: items that are complete, the oldest first."""

    data: list[ListedItem]
    nextCursor: str | None = None  # noqa: N815


class Started(msgspec.Struct):
    """The answer to ``thread/start`` and ``thread/resume``."""

    thread: Thread


class StartedTurn(msgspec.Struct):
    """The answer to ``turn/start``."""

    turn: Turn


class Initialized(msgspec.Struct):
    """The answer to ``initialize``."""

    codexHome: str | None = None  # noqa: N815
    userAgent: str | None = None  # noqa: N815


class CommandResult(msgspec.Struct):
    """The answer to ``command/exec``."""

    exitCode: int  # noqa: N815
    stdout: str = ""
    stderr: str = ""


class Window(msgspec.Struct):
    """A span of time of a rate limit."""

    usedPercent: float | None = None  # noqa: N815
    resetsAt: float | None = None  # noqa: N815
    windowDurationMins: float | None = None  # noqa: N815


class RateLimits(msgspec.Struct):
    """The limits of the account that the host is logged in with."""

    planType: str | None = None  # noqa: N815
    primary: Window | None = None
    secondary: Window | None = None
    rateLimitReachedType: str | None = None  # noqa: N815


class RateLimitAnswer(msgspec.Struct):
    """The answer to ``account/rateLimits/read``."""

    rateLimits: RateLimits  # noqa: N815


class ListedModel(msgspec.Struct):
    """A model in the answer to ``model/list``."""

    id: str
    description: str | None = None
    hidden: bool | None = None
    upgrade: str | None = None
    supportedReasoningEfforts: list[dict[str, Any]] | None = None  # noqa: N815
    defaultReasoningEffort: str | None = None  # noqa: N815


class ModelPage(msgspec.Struct):
    """The answer to ``model/list``."""

    data: list[ListedModel]
    nextCursor: str | None = None  # noqa: N815
