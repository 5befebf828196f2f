"""What a turn waits for: an approval, which is shown as a plan, or the answer to a question.

Invariants:

- a pending request of the host is sent again to each connection that resumes its thread, with the same id: another process
  can answer it (docs/reference/protocols/codex-app-server.md, "6 Approvals and questions");
- reading a request does not answer it;
- a request of a kind that is not known here is shown and not answered.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from ...provider import JsonRpc, Plan, PlanStep, ServerRequest, fields, items, text
from . import wire
from .connection import call

FILES, COMMAND, PERMISSIONS = (
    f"item/{kind}/requestApproval" for kind in ("fileChange", "commandExecution", "permissions")
)
QUESTION = "item/tool/requestUserInput"
APPROVALS = frozenset({FILES, COMMAND, PERMISSIONS})
# How long a request may take to come after its thread was resumed (seconds).
PATIENCE = 5.0


class Pending(msgspec.Struct, frozen=True):
    """A request that waits for an answer, with its parameters."""

    request: ServerRequest
    parameters: Mapping[str, Any]

    @property
    def is_approval(self) -> bool:
        """Whether it can be approved."""
        return self.request.method in APPROVALS

    @property
    def is_question(self) -> bool:
        """Whether a message answers it."""
        return self.request.method == QUESTION

    @property
    def plan(self) -> Plan | None:
        """What is to be approved."""
        if not self.is_approval:
            return None
        id = f"{self.request.id}-{text(self.parameters.get('itemId')) or ''}"
        return Plan(id=id, steps=(PlanStep(title=self._title, description=self._reason),))

    @property
    def question(self) -> str:
        """What is asked, with the options."""
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
    def _reason(self) -> str | None:
        parts = (text(self.parameters.get("reason")), text(self.parameters.get("cwd")))
        return "; ".join(part for part in parts if part) or None

    def approval(self) -> Mapping[str, Any]:
        """Return the answer that approves it, once."""
        if self.request.method == PERMISSIONS:
            return {"permissions": self.parameters.get("permissions"), "scope": "turn"}
        return {"decision": "accept"}

    def refusal(self) -> Mapping[str, Any]:
        """Return the answer that declines it; the turn goes on."""
        if self.request.method == PERMISSIONS:
            return {"permissions": {}, "scope": "turn"}
        return {"decision": "decline"}

    def answers(self, message: str) -> Mapping[str, Any]:
        """Return *message* as the answer to its questions: to each a line where there are as many lines, else to each the whole."""
        ids = [text(fields(each).get("id")) or "" for each in items(self.parameters.get("questions"))]
        lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
        parts = lines if len(lines) == len(ids) else [message.strip()] * len(ids)
        return {"answers": {id: {"answers": [part]} for id, part in zip(ids, parts, strict=True)}}


def _question_text(question: object) -> str:
    given = fields(question)
    labels = [text(fields(option).get("label")) for option in items(given.get("options"))]
    options = ", ".join(label for label in labels if label)
    return f"{text(given.get('question')) or text(given.get('header')) or 'a question'}{f' ({options})' if options else ''}"


def pending_request(rpc: JsonRpc, id: str) -> Generator[Any, Any, Pending | None]:
    """Return the request that the thread *id* waits with, None where none comes."""
    yield from call(rpc, "thread/resume", {"threadId": id, "excludeTurns": True}, wire.Started)
    while (message := (yield from rpc.next_message(PATIENCE))) is not None:
        if isinstance(message, ServerRequest):
            parameters = fields(msgspec.json.decode(message.params))
            if parameters.get("threadId") == id:
                return Pending(message, parameters)
    return None


def answer(rpc: JsonRpc, pending: Pending, result: Mapping[str, Any]) -> Generator[Any, Any, None]:
    """Answer a request, and wait until the host has taken the answer."""
    yield from rpc.respond(pending.request, result)
    while (message := (yield from rpc.next_message(PATIENCE))) is not None:
        if message.method == "serverRequest/resolved":
            resolved = fields(msgspec.json.decode(message.params))
            if resolved.get("requestId") == pending.request.id:
                return
