"""An emulator of Claude Managed Agents; a test gives the steps of each session.

Invariants:

- a session takes its next step each time it or the list is requested while it runs, and to its stop when its stream is read; it becomes idle and never "completed";
- the reason of a stop is in its events alone; a message, a decision or an interrupt continues the session;
- requests without the version and the beta header are refused, as are fields that the SDK does not declare.

See docs/reference/providers/claude-agents.md; Anthropic's SDK 2.11, ``resources/beta/sessions``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import json_reply
from ._service import match_route
from ._sessions import BASE, PATCH, Sessions
from .live_chunks import KEEP_ALIVE, QUIET_SECONDS, LiveChunks, sent

KEY = "claude-agents-test-key"
BETA = "managed-agents-2026-04-01"

# The fields of a create (SDK 2.11, ``session_create_params.py``).
FIELDS = frozenset(
    {"agent", "environment_id", "budget", "initial_events", "metadata", "resources", "title", "vault_ids"}
)
INPUTS = frozenset({"user.message", "user.interrupt", "user.tool_confirmation"})
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("GET", r"/v1/environments", "list_environments"),
        ("POST", r"/v1/sessions", "create_task"),
        ("GET", r"/v1/sessions", "list_tasks"),
        ("GET", r"/v1/sessions/([^/]+)", "get_task"),
        ("DELETE", r"/v1/sessions/([^/]+)", "delete_task"),
        ("POST", r"/v1/sessions/([^/]+)/archive", "archive_task"),
        ("POST", r"/v1/sessions/([^/]+)/events", "send_events"),
        ("GET", r"/v1/sessions/([^/]+)/events", "list_events"),
        ("GET", r"/v1/sessions/([^/]+)/events/stream", "stream_task"),
        ("GET", r"/v1/files", "list_files"),
        ("GET", r"/v1/files/([^/]+)/content", "get_file"),
    )
)


class Session(msgspec.Struct, kw_only=True):
    """A session with its events, its files by name, and the steps that follow."""

    id: str
    body: Mapping[str, Any]
    created: float
    steps: list[Step]
    status: str = "idle"
    updated: float = 0.0
    archived: float | None = None
    cents: int = 0
    events: list[dict[str, Any]] = []
    files: dict[str, tuple[str, float, bytes]] = {}
    number: int = 0


Step: TypeAlias = Callable[["ClaudeAgentsEmulator", Session], None]


def work(emulator: ClaudeAgentsEmulator, session: Session) -> None:
    """Run a command."""
    use = emulator.log(session, "agent.tool_use", name="bash", input={"command": "make test"})
    emulator.log(session, "agent.tool_result", tool_use_id=use, content=_text("3 passed"), is_error=False)
    session.cents += 12


def stop(reason: str, message: str | None = None, patch: bytes | None = PATCH, **fields: Any) -> Step:
    """Return the step that ends a turn: a message, the files, and the session is idle for *reason*."""

    def step(emulator: ClaudeAgentsEmulator, session: Session) -> None:
        if message is not None:
            emulator.log(session, "agent.message", content=_text(message))
        if patch is not None:
            emulator.write(session, "base-commit.txt", f"{BASE}\n".encode())
            emulator.write(session, "change.patch", patch)
        session.status = "idle"
        emulator.log(session, "session.status_idle", stop_reason={"type": reason, **fields}, stop_details=None)

    return step


def needs_permission(emulator: ClaudeAgentsEmulator, session: Session) -> None:
    """Wait for the decision about a command."""
    use = emulator.log(
        session, "agent.tool_use", name="bash", input={"command": "rm -r build"}, evaluated_permission="ask"
    )
    stop("requires_action", patch=None, event_ids=[use])(emulator, session)


def fail(type: str, message: str, *, reason: str = "retries_exhausted") -> Step:
    """Return the step of an error that is not retried."""

    def step(emulator: ClaudeAgentsEmulator, session: Session) -> None:
        error = {"type": type, "message": message, "retry_status": {"type": "exhausted"}}
        emulator.log(session, "session.error", error=error)
        stop(reason, patch=None)(emulator, session)

    return step


def terminate(emulator: ClaudeAgentsEmulator, session: Session) -> None:
    """End the session by a fatal error."""
    error = {"type": "unknown_error", "message": "the container is lost", "retry_status": {"type": "terminal"}}
    emulator.log(session, "session.error", error=error)
    session.status = "terminated"
    emulator.log(session, "session.status_terminated")


ORDINARY: tuple[Step, ...] = (work, stop("end_turn", "Done: hello"))


class ClaudeAgentsEmulator(Sessions[Session]):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* are the steps of each turn, *environments* the names of the environments by id.
    """

    def __init__(
        self,
        life: Sequence[Step] = ORDINARY,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        environments: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(key=KEY, clock=clock, faults=faults)
        self.life = tuple(life)
        self.environments = {"env_1": "default"} if environments is None else dict(environments)

    def log(self, session: Session, type: str, *, is_queued: bool = False, **fields: Any) -> str:
        """Append an event to the log of a session and return its id."""
        self._count += 1
        session.number += 1
        id = f"sevt_{self._count:04d}"
        # Each event has a time of its own, a millisecond after the one before it.
        at = None if is_queued else format_time(self.clock.time() + session.number / 1000, timespec="milliseconds")
        session.events.append({"id": id, "type": type, "processed_at": at, **fields})
        session.updated = self.clock.time()
        return id

    def write(self, session: Session, name: str, content: bytes) -> None:
        """Write a file of a session; one of the same name stays listed as well."""
        self._count += 1
        session.files[f"file_{self._count:04d}"] = (name, self.clock.time(), content)

    # -- routes ------------------------------------------------------------------------------------------------------

    def _route_of(self, request: Request) -> str:
        return _route(request)[0]

    def _problem(self, status: int, text: str) -> Response:
        return problem(status, text)

    def _answer(self, request: Request) -> Response:
        name, ids = _route(request)
        refusal = _refusal(name, dict(request.headers))
        if refusal is not None:
            return refusal
        if ids and name != "get_file" and ids[0] not in self._sessions:
            return problem(404, f"Session {ids[0]} not found.")
        reply: Callable[..., Response] = getattr(self, f"_{name}")
        return reply(request, *ids)

    def _list_environments(self, request: Request) -> Response:
        at = format_time(self.clock.time())
        documents = [
            {
                "id": id,
                "type": "environment",
                "name": name,
                "description": None,
                "config": {"type": "cloud", "networking": {"type": "unrestricted"}, "packages": {"type": "packages"}},
                "metadata": {},
                "created_at": at,
                "updated_at": at,
                "archived_at": None,
            }
            for id, name in self.environments.items()
        ]
        return _page(documents, request)

    def _create_task(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body)
        if unknown := set(body) - FIELDS:
            return problem(400, f"{min(unknown)}: Extra inputs are not permitted")
        if not body.get("agent") or not body.get("environment_id"):
            return problem(400, "agent and environment_id: Field required")
        if body["environment_id"] not in self.environments:
            return problem(404, f"Environment {body['environment_id']} not found.")
        now = self.clock.time()
        id = f"sesn_{len(self._sessions) + 1:04d}"
        session = Session(id=id, body=body, created=now, updated=now, steps=[], events=[], files={})
        self._sessions[id] = session
        for event in body.get("initial_events", ()):
            self._take(session, event)
        self._begin(session)
        return json_reply(self._document(session))

    def _list_tasks(self, request: Request) -> Response:
        query = dict(request.query)
        sessions = [each for each in self.tasks if not each.archived or query.get("include_archived") == "true"]
        since, statuses = query.get("created_at[gte]", ""), {v for name, v in request.query if name == "statuses[]"}
        for session in sessions:
            self._advance(session)
        newest = [self._document(each) for each in reversed(sessions)]
        fitting = [each for each in newest if not statuses or each["status"] in statuses]
        return _page([each for each in fitting if str(each["created_at"]) >= since], request)

    def _get_task(self, request: Request, id: str) -> Response:
        del request
        self._advance(self._sessions[id])
        return json_reply(self._document(self._sessions[id]))

    def _delete_task(self, request: Request, id: str) -> Response:
        del request
        del self._sessions[id]
        return json_reply({"id": id, "type": "session_deleted"})

    def _archive_task(self, request: Request, id: str) -> Response:
        del request
        session = self._sessions[id]
        session.archived, session.status, session.steps = self.clock.time(), "terminated", []
        return json_reply(self._document(session))

    def _send_events(self, request: Request, id: str) -> Response:
        session, events = self._sessions[id], msgspec.json.decode(request.body)["events"]
        if session.status == "terminated":
            return problem(400, "The session has been terminated.")
        if unknown := [each["type"] for each in events if each["type"] not in INPUTS]:
            return problem(400, f"events: unknown type {unknown[0]}")
        sent = [self._take(session, each) for each in events]
        return json_reply({"data": [each for each in session.events if each["id"] in sent]})

    def _take(self, session: Session, event: Mapping[str, Any]) -> str:
        """Log an event that was sent; a session that runs and one that is interrupted process it at once."""
        fields = {name: value for name, value in event.items() if name != "type"}
        if event["type"] == "user.interrupt":
            id, is_running = self.log(session, "user.interrupt", **fields), session.status == "running"
            if is_running:
                session.steps = []
                stop("end_turn", patch=None)(self, session)
            return id
        return self.log(session, event["type"], is_queued=session.status == "idle", **fields)

    def _advance(self, session: Session) -> None:
        self._begin(session)
        if session.status == "running" and session.steps:
            session.steps.pop(0)(self, session)

    def _begin(self, session: Session) -> None:
        """Begin a turn with the events that are queued, where the session is idle."""
        queued = [event for event in session.events if event["processed_at"] is None]
        if session.status != "idle" or not queued:
            return
        session.events = [event for event in session.events if event not in queued]
        session.status, session.steps = "running", session.steps or list(self.life)
        self.log(session, "session.status_running")
        for event in queued:
            session.number += 1
            at = format_time(self.clock.time() + session.number / 1000, timespec="milliseconds")
            session.events.append({**event, "processed_at": at})

    def _list_events(self, request: Request, id: str) -> Response:
        query, types = dict(request.query), {value for name, value in request.query if name == "types[]"}
        since = query.get("created_at[gte]", "")
        events = [
            event
            for event in self._sessions[id].events
            if (not types or event["type"] in types) and (event["processed_at"] or "9") >= since
        ]
        return _page(events[::-1] if query.get("order") == "desc" else events, request)

    def _stream_task(self, request: Request, id: str) -> Response:
        del request
        session = self._sessions[id]
        known = {event["id"] for event in session.events if event["processed_at"]}
        return Response(200, {"content-type": "text/event-stream"}, stream=LiveChunks(self._live(session, known)))

    def _live(self, session: Session, known: set[str]) -> Iterator[bytes]:
        """Yield the events of a session but those *known*, until it stops; it takes a step where there is none."""
        while True:
            with self._lock:
                fresh = [event for event in session.events if event["id"] not in known and event["processed_at"]]
                if not fresh and session.status != "running":
                    return
                is_quiet = not fresh and not session.steps
                if not fresh:
                    self._advance(session)
            known |= {event["id"] for event in fresh}
            yield from (sent(event["type"], event) for event in fresh)
            if is_quiet:
                self.clock.sleep(QUIET_SECONDS)
                yield KEEP_ALIVE

    def _list_files(self, request: Request) -> Response:
        session = self._sessions.get(dict(request.query).get("scope_id", ""))
        documents = [
            {
                "id": id,
                "type": "file",
                "filename": name,
                "mime_type": "text/plain",
                "size_bytes": len(content),
                "created_at": format_time(at),
                "downloadable": True,
            }
            for id, (name, at, content) in (session.files if session else {}).items()
        ]
        return _page(documents, request)

    def _get_file(self, request: Request, id: str) -> Response:
        del request
        content = next((each.files[id][2] for each in self.tasks if id in each.files), None)
        if content is None:
            return problem(404, f"File {id} not found.")
        return Response(200, {"content-type": "application/octet-stream"}, content)

    def _document(self, session: Session) -> dict[str, object]:
        body, agent = session.body, session.body["agent"]
        chosen = agent if isinstance(agent, dict) else {"id": agent}
        at = format_time(session.created)
        resources = [
            {
                "id": f"sesrsc_{number}",
                "created_at": at,
                "updated_at": at,
                **{name: value for name, value in each.items() if name != "authorization_token"},
            }
            for number, each in enumerate(body.get("resources", ()), 1)
        ]
        return {
            "id": session.id,
            "type": "session",
            "status": session.status,
            "title": body.get("title"),
            "agent": _agent(chosen),
            "environment_id": body["environment_id"],
            "metadata": body.get("metadata", {}),
            "resources": resources,
            "vault_ids": body.get("vault_ids", []),
            "budget": body.get("budget"),
            "outcome_evaluations": [],
            "stats": {"active_seconds": 1.5, "duration_seconds": 2.5},
            "usage": {
                "input_tokens": 100 * session.cents,
                "output_tokens": 10 * session.cents,
                "list_cost": {"amount": str(session.cents), "currency": "USD"},
            },
            "created_at": at,
            "updated_at": format_time(session.updated),
            "archived_at": None if session.archived is None else format_time(session.archived),
        }


def _agent(chosen: Mapping[str, Any]) -> dict[str, object]:
    return {
        "id": chosen["id"],
        "type": "agent",
        "name": "coder",
        "description": None,
        "version": 1,
        "model": {"id": chosen.get("model") or "claude-sonnet-5"},
        "system": None,
        "tools": [],
        "skills": [],
        "mcp_servers": [],
        "multiagent": None,
        "execution_identity": {"type": "service_account"},
    }


def problem(status: int, text: str) -> Response:
    """Return an error response of the service."""
    words = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
    error = {"type": words.get(status, "invalid_request_error" if status < 500 else "api_error"), "message": text}
    return json_reply({"type": "error", "error": error, "request_id": "req_1"}, status=status)


def _refusal(name: str, headers: Mapping[str, str]) -> Response | None:
    if KEY not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
        return problem(401, "invalid x-api-key")
    if not name:
        return problem(404, "Not Found")
    if "anthropic-version" not in headers:
        return problem(400, "anthropic-version: header is required")
    if name not in ("list_files", "get_file") and BETA not in headers.get("anthropic-beta", ""):
        return problem(400, f"this endpoint requires the beta header {BETA}")
    return None


def _route(request: Request) -> tuple[str, tuple[str, ...]]:
    at = request.path.find("/v1/")
    path = request.path[at:] if at >= 0 else ""
    return match_route(ROUTES, request.method, path)


def _page(documents: Sequence[object], request: Request) -> Response:
    query = dict(request.query)
    start = int(query.get("page", "page_0").removeprefix("page_"))
    end = start + int(query.get("limit", "20"))
    following = f"page_{end}" if end < len(documents) else None
    return json_reply({"data": documents[start:end], "next_page": following})


def _text(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]
