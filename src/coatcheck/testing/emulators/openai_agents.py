"""An emulator of OpenAI's Agents API; a test gives the steps of each turn.

Invariants:

- a turn takes its next step each time its session or the list is requested, and to its end when its stream is read; a session that has ended is idle;
- artifacts are published when a turn completes, and events answer 202 without a body;
- an event with an idempotency key is performed once; a create has no such key;
- requests without the beta header and fields that the SDK does not declare are refused.

See docs/reference/providers/openai-agents.md; OpenAI's SDK 3.52, ``resources/beta/agents/sessions``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault
from ...cloud.responses import json_reply
from ._service import match_route
from ._sessions import BASE, PATCH, Sessions
from .live_chunks import KEEP_ALIVE, QUIET_SECONDS, LiveChunks, sent

KEY = "openai-agents-test-key"
# The fields of a create (SDK 3.52, ``session_create_params.py``).
FIELDS = frozenset(
    {
        "agent",
        "agent_id",
        "environment",
        "input",
        "metadata",
        "prompt_cache_options",
        "review",
        "spend_control",
        "stream",
        "stream_options",
        "vault_ids",
    }
)
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(f"/agents/sessions{path}"), name)
    for method, path, name in (
        ("POST", r"", "create_task"),
        ("GET", r"", "list_tasks"),
        ("GET", r"/([^/]+)", "get_task"),
        ("DELETE", r"/([^/]+)", "delete_task"),
        ("POST", r"/([^/]+)/events", "send_events"),
        ("GET", r"/([^/]+)/events", "stream_task"),
        ("GET", r"/([^/]+)/turns", "list_turns"),
        ("GET", r"/([^/]+)/turns/([^/]+)/items", "list_turn_items"),
        ("GET", r"/([^/]+)/items", "list_items"),
        ("GET", r"/([^/]+)/artifacts", "list_artifacts"),
        ("GET", r"/([^/]+)/artifacts/([^/]+)/content", "get_artifact"),
    )
)


class Session(msgspec.Struct, kw_only=True):
    """A session with its turns, items and artifacts, and the steps that follow."""

    id: str
    body: Mapping[str, Any]
    created: int
    active: int
    status: str = "idle"
    error: str | None = None
    steps: list[Step] = []
    turns: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    artifacts: dict[str, tuple[dict[str, Any], bytes]] = {}
    actions: list[dict[str, Any]] = []
    keys: list[str] = []


Step: TypeAlias = Callable[["OpenAIAgentsEmulator", Session], None]


def work(emulator: OpenAIAgentsEmulator, session: Session) -> None:
    """Run a command."""
    emulator.save(
        session,
        "command_execution",
        command="make test",
        cwd="/workspace/repo",
        output="3 passed",
        exit_code=0,
        duration_ms=12,
    )


def complete(message: str | None = "Done: hello", patch: bytes | None = PATCH) -> Step:
    """Return the step that completes a turn, with a message and the files."""

    def step(emulator: OpenAIAgentsEmulator, session: Session) -> None:
        if message is not None:
            emulator.say(session, "I look at the repository.", phase="commentary")
            emulator.say(session, message, phase="final_answer")
        if patch is not None:
            emulator.publish(session, "base-commit.txt", f"{BASE}\n".encode())
            emulator.publish(session, "change.patch", patch)
        emulator.end(session, "completed")

    return step


def fail(code: str, message: str) -> Step:
    """Return the step that fails a turn."""

    def step(emulator: OpenAIAgentsEmulator, session: Session) -> None:
        emulator.end(session, "failed", error={"code": code, "message": message})

    return step


def fail_session(emulator: OpenAIAgentsEmulator, session: Session) -> None:
    """Fail the session itself."""
    emulator.end(session, "failed", error=None)
    session.status, session.error = "failed", "the environment is lost"


def needs_permission(emulator: OpenAIAgentsEmulator, session: Session) -> None:
    """Wait for the approval of a tool."""
    del emulator
    session.status = "requires_action"
    request = {
        "type": "mcp_tool_call",
        "server_label": "tracker",
        "name": "close_issue",
        "message": "Close issue 7?",
        "arguments": {"issue": 7},
    }
    turn = session.turns[-1]["id"]
    session.actions = [{"type": "mcp_approval_request", "request_id": "apr_1", "turn_id": turn, "request": request}]


ORDINARY: tuple[Step, ...] = (work, complete())


class OpenAIAgentsEmulator(Sessions[Session]):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* are the steps of each turn.
    """

    def __init__(
        self, life: Sequence[Step] = ORDINARY, *, clock: Clock | None = None, faults: Iterable[Fault] = ()
    ) -> None:
        super().__init__(key=KEY, clock=clock, faults=faults)
        self.life = tuple(life)

    # -- what a turn does --------------------------------------------------------------------------------------------

    def save(self, session: Session, type: str, **fields: Any) -> None:
        """Save an item of the turn."""
        item = {"id": self._id("item"), "type": type, "turn_id": session.turns[-1]["id"], "status": "completed"}
        session.items.append({**item, **fields})

    def say(self, session: Session, text: str, *, phase: str) -> None:
        """Save a message of the agent."""
        content = [{"type": "output_text", "text": text, "annotations": []}]
        self.save(session, "message", role="assistant", phase=phase, content=content)

    def publish(self, session: Session, name: str, content: bytes) -> None:
        """Publish a file as an artifact; one of the same name stays listed as well."""
        id = self._id("artifact")
        document = {
            "id": id,
            "object": "agent.session.artifact",
            "session_id": session.id,
            "turn_id": session.turns[-1]["id"],
            "environment_id": "ccarenv_1",
            "path": f"/workspace/outputs/{name}",
            "size_bytes": len(content),
            "created_at": self._now(),
        }
        session.artifacts[id] = (document, content)

    def end(self, session: Session, status: str, *, error: object = None) -> None:
        """End the turn; the session is idle."""
        session.turns[-1].update(status=status, error=error, completed_at=self._now())
        session.status, session.steps, session.actions = "idle", [], []

    # -- routes ------------------------------------------------------------------------------------------------------

    def _route_of(self, request: Request) -> str:
        return _route(request)[0]

    def _problem(self, status: int, text: str) -> Response:
        return problem(status, text)

    def _answer(self, request: Request) -> Response:
        name, ids = _route(request)
        headers = dict(request.headers)
        if headers.get("authorization") != f"Bearer {KEY}":
            return problem(401, "Incorrect API key provided.")
        if not name:
            return problem(404, "Unknown request URL.")
        if headers.get("openai-beta") != "agents=v1":
            return problem(400, "The header OpenAI-Beta: agents=v1 is required.")
        if ids and ids[0] not in self._sessions:
            return problem(404, f"No session found with id '{ids[0]}'.")
        reply: Callable[..., Response] = getattr(self, f"_{name}")
        return reply(request, *ids)

    def _create_task(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body)
        if unknown := set(body) - FIELDS:
            return problem(400, f"Unknown parameter: '{min(unknown)}'.")
        if "environment" not in body or not (body.get("agent_id") or body.get("agent", {}).get("model")):
            return problem(400, "Missing required parameter.")
        now = self._now()
        session = Session(id=self._id("sess"), body=body, created=now, active=now)
        self._sessions[session.id] = session
        if body.get("input"):
            self._input(session, _messages(body["input"]))
        return json_reply(self._document(session))

    def _input(self, session: Session, messages: Sequence[Mapping[str, Any]]) -> None:
        """Start a turn with messages, or steer the one that runs."""
        if session.status == "idle":
            turn = {
                "id": self._id("turn"),
                "object": "agent.session.turn",
                "session_id": session.id,
                "agent_id": "agent_1",
                "subagent_id": None,
                "status": "in_progress",
                "created_at": self._now(),
                "started_at": self._now(),
                "completed_at": None,
                "error": None,
                "usage": None,
            }
            session.turns.append(turn)
            session.status, session.steps = "in_progress", list(self.life)
        for message in messages:
            self.save(session, "message", role="user", phase=None, content=message["content"])

    def _list_tasks(self, request: Request) -> Response:
        wanted = {name: value for name, value in request.query if name.startswith("metadata[")}
        for session in self.tasks:
            self._advance(session)
        documents = [self._document(session) for session in self.tasks]
        fitting = [
            each
            for each in documents
            if all(each["metadata"].get(name[len("metadata[") : -1]) == value for name, value in wanted.items())
        ]
        return _page(fitting, request)

    def _get_task(self, request: Request, id: str) -> Response:
        del request
        self._advance(self._sessions[id])
        return json_reply(self._document(self._sessions[id]))

    def _advance(self, session: Session) -> None:
        if session.status == "in_progress" and session.steps:
            session.active = self._now()
            session.steps.pop(0)(self, session)

    def _delete_task(self, request: Request, id: str) -> Response:
        del request
        del self._sessions[id]
        return json_reply({"id": id, "object": "agent.session.deleted", "deleted": True})

    def _send_events(self, request: Request, id: str) -> Response:
        session, key = self._sessions[id], dict(request.headers).get("idempotency-key")
        if key is not None and key in session.keys:
            return Response(202)
        for event in msgspec.json.decode(request.body)["events"]:
            refusal = self._take(session, event)
            if refusal is not None:
                return refusal
        session.keys += [key] if key else []
        return Response(202)

    def _take(self, session: Session, event: Mapping[str, Any]) -> Response | None:
        kind = event["type"].rpartition(".")[2]
        if kind == "message":
            self._input(session, event["input"])
        elif kind == "cancel" and session.status != "idle":
            self.end(session, "cancelled")
        elif kind == "mcp_approval_request_result":
            if event["request_id"] not in [each["request_id"] for each in session.actions]:
                return problem(400, f"No pending request '{event['request_id']}'.")
            session.status, session.actions = "in_progress", []
        elif kind not in ("cancel", "tool_result"):
            return problem(400, f"Unknown event '{event['type']}'.")
        return None

    def _stream_task(self, request: Request, id: str) -> Response:
        if dict(request.query).get("include_obfuscation", "true") not in ("true", "false"):
            return problem(400, "include_obfuscation: a boolean is expected.")
        session = self._sessions[id]
        known = {item["id"] for item in session.items}
        return Response(200, {"content-type": "text/event-stream"}, stream=LiveChunks(self._live(session, known)))

    def _live(self, session: Session, known: set[str]) -> Iterator[bytes]:
        """Yield the items of a session but those *known*, until it stops, then its end; it takes a step where there is none."""
        while True:
            with self._lock:
                fresh = [item for item in session.items if item["id"] not in known]
                if not fresh and session.status != "in_progress":
                    break
                is_quiet = not fresh and not session.steps
                if not fresh:
                    self._advance(session)
            known |= {item["id"] for item in fresh}
            yield from (chunk for item in fresh for chunk in _item_events(session, item))
            if is_quiet:
                self.clock.sleep(QUIET_SECONDS)
                yield KEEP_ALIVE
        if session.turns and session.turns[-1]["completed_at"]:
            turn = session.turns[-1]
            yield _event(session, f"turn.{turn['status']}", turn=turn, turn_id=turn["id"])
        yield _event(session, session.status)

    def _list_turns(self, request: Request, id: str) -> Response:
        return _page(self._sessions[id].turns, request)

    def _list_items(self, request: Request, id: str) -> Response:
        return _page(self._sessions[id].items, request)

    def _list_turn_items(self, request: Request, id: str, turn: str) -> Response:
        return _page([each for each in self._sessions[id].items if each["turn_id"] == turn], request)

    def _list_artifacts(self, request: Request, id: str) -> Response:
        return _page([document for document, _ in self._sessions[id].artifacts.values()], request)

    def _get_artifact(self, request: Request, id: str, artifact: str) -> Response:
        del request
        found = self._sessions[id].artifacts.get(artifact)
        if found is None:
            return problem(404, f"No artifact found with id '{artifact}'.")
        return Response(200, {"content-type": "application/octet-stream"}, found[1])

    def _document(self, session: Session) -> dict[str, Any]:
        body, count = session.body, len(session.items)
        limit = body.get("spend_control")
        return {
            "id": session.id,
            "object": "agent.session",
            "status": session.status,
            "created_at": session.created,
            "last_active_at": session.active,
            "agent": _agent(body),
            "environment": {"type": "none"},
            "metadata": body.get("metadata") or {},
            "required_actions": session.actions,
            "error": session.error,
            "usage": {
                "input_tokens": 100 * count,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 10 * count,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 110 * count,
            },
            "vault_ids": body.get("vault_ids") or [],
            **({"spend_control": {"limit": limit["limit"], "consumed": count}} if limit else {}),
        }

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count:04d}"

    def _now(self) -> int:
        return int(self.clock.time())


def _item_events(session: Session, item: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the events of an item: added, then done where it is an output of the agent."""
    output = {} if item.get("role") == "user" else {"output_index": 0}
    yield _event(session, "turn.item.added", item={**item, "status": "in_progress"}, turn_id=item["turn_id"], **output)
    if output:
        yield _event(session, "turn.item.done", item=item, turn_id=item["turn_id"], **output)


def _event(session: Session, kind: str, **fields: object) -> bytes:
    type = f"agent.session.{kind}"
    return sent(type, {"event_id": f"evt_{kind}", "session_id": session.id, "type": type, **fields})


def _messages(given: str | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the input of a create; "a string is shorthand for a single user message"."""
    if not isinstance(given, str):
        return given
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]


def _agent(body: Mapping[str, Any]) -> dict[str, object]:
    chosen = body.get("agent") or {}
    return {
        "id": body.get("agent_id") or "agent_1",
        "name": None,
        "model": chosen.get("model") or "gpt-of-the-agent",
        "instructions": chosen.get("instructions"),
        "multi_agent": {"enabled": False},
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "auto",
        "text": {"format": {"type": "text"}, "verbosity": None},
        "tools": [],
    }


def problem(status: int, text: str) -> Response:
    """Return an error response of the service."""
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
    return json_reply({"error": error}, status=status)


def _route(request: Request) -> tuple[str, tuple[str, ...]]:
    at = request.path.find("/agents/")
    path = request.path[at:] if at >= 0 else ""
    return match_route(ROUTES, request.method, path)


def _page(oldest_first: Sequence[Mapping[str, Any]], request: Request) -> Response:
    query = dict(request.query)
    documents = list(oldest_first) if query.get("order") == "asc" else list(reversed(oldest_first))
    ids = [each["id"] for each in documents]
    start = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
    end = start + int(query.get("limit", "20"))
    page, has_more = documents[start:end], end < len(documents)
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return json_reply({"object": "list", "data": page, "has_more": has_more, "first_id": first, "last_id": last})
