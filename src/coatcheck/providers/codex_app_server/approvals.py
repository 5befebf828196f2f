"""What a turn waits for: a permission, or the answer to a question.

Invariants:

- a pending request of the host is sent again to each connection that resumes its thread, with the same id: another process
  can answer it (docs/reference/protocols/codex-app-server.md, "6 Approvals and questions");
- reading a request does not answer it;
- a request of a kind that is not known here is shown and not answered.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import msgspec

from ...provider import GateOption, JsonRpc, PermissionRequest, ServerRequest, errors, fields, items, text
from . import wire
from .connection import call

FILES = "item/fileChange/requestApproval"
COMMAND = "item/commandExecution/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
QUESTION = "item/tool/requestUserInput"
KINDS: Mapping[str, str] = {FILES: "edit", COMMAND: "execute", PERMISSIONS: "permissions"}
# How long a request may take to come after its thread was resumed, and the answer to be taken (seconds).
REQUEST_SECONDS = 5.0

OPTIONS = (
    GateOption(id="accept", label="Allow", effect="approve"),
    GateOption(id="acceptForSession", label="Allow for this session", effect="approve", is_lasting=True),
    GateOption(id="decline", label="Decline", effect="reject"),
    GateOption(id="cancel", label="Decline and end the turn", effect="reject"),
)
# Permissions are granted for a scope; none of them is the refusal.
SCOPES = (
    GateOption(id="turn", label="Allow for this turn", effect="approve"),
    GateOption(id="session", label="Allow for this session", effect="approve", is_lasting=True),
    GateOption(id="decline", label="Decline", effect="reject"),
)


class Pending(msgspec.Struct, frozen=True):
    """A request that waits for an answer, with its parameters."""

    request: ServerRequest
    parameters: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its id: the number of the request, and the item that it is about."""
        return f"{self.request.id}-{text(self.parameters.get('itemId')) or ''}"

    @property
    def is_question(self) -> bool:
        """Whether a message answers it."""
        return self.request.method == QUESTION

    @property
    def permission(self) -> PermissionRequest | None:
        """The permission that it requests, None where it is something else."""
        kind = KINDS.get(self.request.method)
        if kind is None:
            return None
        root = text(self.parameters.get("grantRoot"))
        paths = (root,) if root else ()
        return PermissionRequest(
            id=self.id, title=self._title, kind=kind, detail=self._detail, options=self._options, paths=paths
        )

    @property
    def question(self) -> str:
        """The questions, with their options."""
        if not self.is_question:
            return f"it waits for an answer to {self.request.method}, which only Codex itself can give"
        return "\n".join(map(_question_text, items(self.parameters.get("questions"))))

    @property
    def _title(self) -> str:
        if self.request.method == COMMAND:
            return f"run {text(self.parameters.get('command')) or 'a command'}"
        if self.request.method == FILES:
            root = text(self.parameters.get("grantRoot"))
            return f"write below {root}" if root else "change files"
        return f"permissions: {json.dumps(self.parameters.get('permissions'))}"

    @property
    def _detail(self) -> str | None:
        parts = (text(self.parameters.get("reason")), text(self.parameters.get("cwd")))
        return "; ".join(part for part in parts if part) or None

    @property
    def _options(self) -> tuple[GateOption, ...]:
        if self.request.method == PERMISSIONS:
            return SCOPES
        offered = {each for each in items(self.parameters.get("availableDecisions")) if isinstance(each, str)}
        # Commands are offered with "cancel" alone, and "decline" is taken as well: the turn continues.
        return tuple(option for option in OPTIONS if not offered or option.id in {*offered, "decline"})

    def decided_by(self, option: str) -> Mapping[str, Any]:
        """Return the answer that *option* is. Raises `ConfigurationError` for one that there is not."""
        known = self.permission.options if self.permission else ()
        if option not in {each.id for each in known}:
            names = ", ".join(each.id for each in known) or "none"
            raise errors.ConfigurationError(f"there is no option {option!r}", remedy=f"use one of: {names}")
        if self.request.method != PERMISSIONS:
            return {"decision": option}
        granted = {} if option == "decline" else self.parameters.get("permissions")
        return {"permissions": granted, "scope": "session" if option == "session" else "turn"}

    def answers(self, message: str) -> Mapping[str, Any]:
        """Return *message* as the answer to its questions: to each a line where there are as many lines, else the whole."""
        ids = [text(fields(each).get("id")) or "" for each in items(self.parameters.get("questions"))]
        lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
        parts = lines if len(lines) == len(ids) else [message.strip()] * len(ids)
        return {"answers": {id: {"answers": [part]} for id, part in zip(ids, parts, strict=True)}}


def _question_text(question: object) -> str:
    given = fields(question)
    labels = [text(fields(option).get("label")) for option in items(given.get("options"))]
    options = ", ".join(label for label in labels if label)
    shown = text(given.get("question")) or text(given.get("header")) or "a question"
    return f"{shown}{f' ({options})' if options else ''}"


def effect_of(option: str) -> str | None:
    """Return what an option does, None for one that is not known."""
    return next((each.effect for each in (*OPTIONS, *SCOPES) if each.id == option), None)


def effect_in(every: Iterable[Mapping[str, Any]], request: str) -> str | None:
    """Return how a permission was decided, by the item that it was about; None where no item shows it."""
    item = next((item for item in every if item.get("id") == request.partition("-")[2]), None)
    return None if item is None else "reject" if item.get("status") == "declined" else "approve"


def pending_request(rpc: JsonRpc, id: str) -> Generator[Any, Any, Pending | None]:
    """Return the request that the thread *id* waits with, None where none comes."""
    yield from call(rpc, "thread/resume", {"threadId": id, "excludeTurns": True}, wire.Started)
    while (message := (yield from rpc.next_message(REQUEST_SECONDS))) is not None:
        if isinstance(message, ServerRequest):
            parameters = fields(msgspec.json.decode(message.params))
            if parameters.get("threadId") == id:
                return Pending(message, parameters)
    return None


def answer(rpc: JsonRpc, pending: Pending, result: Mapping[str, Any]) -> Generator[Any, Any, None]:
    """Answer a request, and wait until the host has taken the answer."""
    yield from rpc.respond(pending.request, result)
    while (message := (yield from rpc.next_message(REQUEST_SECONDS))) is not None:
        if message.method == "serverRequest/resolved":
            resolved = fields(msgspec.json.decode(message.params))
            if resolved.get("requestId") == pending.request.id:
                return
