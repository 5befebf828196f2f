"""The structures of OpenHands Cloud's responses; as in `wire`, only the fields that are read."""

from __future__ import annotations

import msgspec

from .wire import Wire


class CloudConversation(Wire, frozen=True):
    """A conversation with the state of its sandbox (docs/reference/protocols/openhands-cloud.md, "2 Shapes")."""

    id: str | None = None
    sandbox_id: str | None = None
    sandbox_status: str | None = None
    execution_status: str | None = None
    conversation_url: str | None = None
    session_api_key: str | None = None
    selected_repository: object = None
    selected_branch: object = None
    title: object = None
    llm_model: object = None
    pr_number: object = None
    created_at: object = None
    updated_at: object = None

    def __repr__(self) -> str:
        return f"<CloudConversation {self.id}>"


class CloudPage(Wire, frozen=True):
    """A page of conversations, newest first."""

    items: list[msgspec.Raw] | None = None
    next_page_id: str | None = None


class StartRequest(Wire, frozen=True):
    """What a start task was asked for."""

    conversation_id: str | None = None
    selected_repository: object = None
    selected_branch: object = None
    title: object = None


class StartTask(Wire, frozen=True):
    """The start of a conversation, which takes minutes (docs/reference/protocols/openhands-cloud.md, "3 Start")."""

    id: str | None = None
    status: str | None = None
    detail: object = None
    app_conversation_id: str | None = None
    request: StartRequest | None = None
    created_at: object = None


class StartPage(Wire, frozen=True):
    """A page of start tasks, newest first."""

    items: list[StartTask] | None = None
    next_page_id: str | None = None
