"""An emulator of Cursor's API for cloud agents (REST v1), of the files that agents leave, and of GitHub's public diffs.

Invariants:

- a run advances by one step when it is requested, and to its end when its stream is; with *step_seconds*, by the clock;
- an id of an agent is taken once: a create that repeats it is refused with 409 (``agent_id_conflict``);
- presigned URLs and GitHub refuse the key of the service;
- unknown fields of a request are refused.

See docs/reference/protocols/cursor.md.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import Refusal, json_reply
from ._service import HttpService, match_route
from .cursor_runs import DIFF, EVENTS, LIFE, Agent, Run, end_of
from .live_chunks import LiveChunks, sent

KEY = "cursor-test-key"
CREATE_FIELDS = frozenset(
    {
        *("agentId", "prompt", "model", "name", "repos", "env", "autoCreatePR", "workOnCurrentBranch", "mode"),
        *("skipReviewerRequest", "openAsCursorGithubApp", "envVars", "runEnvVars", "metadata", "mcpServers"),
        "customSubagents",
    }
)
RUN_FIELDS = frozenset({"prompt", "model", "mcpServers", "envVars", "mode"})

ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("GET", r"/v1/me", "get_me"),
        ("GET", r"/v1/models", "list_models"),
        ("GET", r"/v1/repositories", "list_environments"),
        ("POST", r"/v1/agents", "create_task"),
        ("GET", r"/v1/agents", "list_tasks"),
        ("GET", r"/v1/agents/([^/]+)", "get_task"),
        ("DELETE", r"/v1/agents/([^/]+)", "delete_task"),
        ("POST", r"/v1/agents/([^/]+)/archive", "archive_task"),
        ("POST", r"/v1/agents/([^/]+)/unarchive", "unarchive_task"),
        ("GET", r"/v1/agents/([^/]+)/usage", "get_agent_usage"),
        ("GET", r"/v1/agents/([^/]+)/artifacts", "list_files"),
        ("GET", r"/v1/agents/([^/]+)/artifacts/download", "get_file_url"),
        ("GET", r"/v1/agents/([^/]+)/runs", "list_runs"),
        ("POST", r"/v1/agents/([^/]+)/runs", "send_message"),
        ("GET", r"/v1/agents/([^/]+)/runs/([^/]+)", "get_run"),
        ("POST", r"/v1/agents/([^/]+)/runs/([^/]+)/cancel", "cancel_task"),
        ("GET", r"/v1/agents/([^/]+)/runs/([^/]+)/stream", "stream_task"),
        ("GET", r"/files/(.+)", "get_file"),
        ("GET", r"/repos/([^/]+/[^/]+)", "get_repository"),
        ("GET", r"/repos/([^/]+/[^/]+)/(?:pulls/\d+|compare/.+)", "get_diff"),
    )
)
# The routes of others, which must not be sent the key.
PUBLIC = frozenset({"get_file", "get_repository", "get_diff"})


class CodedRefusal(Fault, frozen=True, kw_only=True):
    """Refuse a request with the *reason* that the service has for it, its code."""

    status: int
    reason: str
    help_url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Refuse."""
        del request, answer, clock
        refused = refusal(self.status, self.reason, help_url=self.help_url).response
        return msgspec.structs.replace(refused, headers={**refused.headers, **dict(self.headers)})


def refusal(status: int, code: str, message: str | None = None, *, help_url: str | None = None) -> Refusal:
    """Return a refusal in the service's form (docs/reference/protocols/cursor.md, "6 Errors and limits")."""
    error = {"code": code, "message": message or code.replace("_", " ").capitalize(), "helpUrl": help_url}
    shown = {name: value for name, value in error.items() if value is not None}
    return Refusal(json_reply({"error": shown}, status=status))


class CursorEmulator(HttpService):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* is the states of a run, *events* what its stream contains. *files* are what each agent leaves, by path;
    *public* the repositories whose diffs GitHub serves. *retention* is whether streams of ended runs are kept.
    *step_seconds* is how long a step takes; without it, each poll advances a run. `base_url` is where presigned
    URLs point to. `requests` are all received requests, with those of faults.
    """

    def __init__(
        self,
        life: Sequence[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        events: Sequence[tuple[str, Mapping[str, object]]] = EVENTS,
        files: Mapping[str, bytes] | None = None,
        public: Iterable[str] = ("owner/repo",),
        has_usage: bool = True,
        retention: bool = True,
        step_seconds: float | None = None,
        base_url: str = "http://127.0.0.1:9",
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life, self.events = tuple(life), tuple(events)
        self.public = frozenset(public)
        self.files = dict(files or {})
        self.has_usage, self.retention = has_usage, retention
        self.step_seconds, self.base_url = step_seconds, base_url
        self.token = KEY
        self._agents: dict[str, Agent] = {}
        self._runs = 0
        self._answers: Mapping[str, Callable[..., Response]] = {
            name: getattr(self, f"_{name}") for _, _, name in ROUTES
        }

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the id of every agent, oldest first."""
        return tuple(self._agents)

    def _route_of(self, request: Request) -> str:
        return find_route(request)[0]

    def _answer(self, request: Request) -> Response:
        name, parts = find_route(request)
        try:
            if not name:
                raise refusal(404, "not_found")
            self._check_key(request, name)
            return self._answers[name](request, *parts)
        except Refusal as refused:
            return refused.response

    def _check_key(self, request: Request, name: str) -> None:
        sent = dict(request.headers).get("authorization")
        if name in PUBLIC:
            if sent is not None:
                raise refusal(400, "validation_error", "Only one auth mechanism allowed")
        elif sent != f"Bearer {self.token}":
            raise refusal(401, "unauthorized", "Invalid API key")

    def _agent(self, id: str) -> Agent:
        if id not in self._agents:
            raise refusal(404, "agent_not_found")
        return self._agents[id]

    def _run(self, id: str, run: str) -> Run:
        for each in self._agent(id).runs:
            if each.id == run:
                if self.step_seconds is not None:
                    self._advance_by_clock(each)
                return each
        raise refusal(404, "run_not_found")

    def _advance_by_clock(self, run: Run) -> None:
        due = int((self.clock.time() - run.created) / (self.step_seconds or 1.0))
        run.advance(self.clock.time(), steps=max(0, due - run.step))

    # -- the account -------------------------------------------------------------------------------------------------

    def _get_me(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        return json_reply({"apiKeyName": "test", "userId": 1, "createdAt": format_time(self.clock.time())})

    def _list_models(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        models: list[object] = [
            {"id": id, "displayName": id.title(), "aliases": []} for id in ("composer-2", "gpt-test")
        ]
        return json_reply({"items": models})

    def _list_environments(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        return json_reply(
            {"items": [{"url": "https://github.com/owner/repo"}, {"url": "https://github.com/owner/empty"}]}
        )

    # -- agents ------------------------------------------------------------------------------------------------------

    def _create_task(self, request: Request) -> Response:
        asked = read_body(request, CREATE_FIELDS)
        id = asked.get("agentId") or f"bc-{uuid.uuid5(uuid.NAMESPACE_URL, str(len(self.requests)))}"
        if not re.fullmatch(r"bc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(id)):
            raise refusal(400, "validation_error", "agentId must be bc-<uuid>")
        if id in self._agents:
            raise refusal(409, "agent_id_conflict")
        agent = Agent(str(id), asked, now=self.clock.time() + len(self._agents) / 1000)
        run = self._start(agent)
        self._agents[agent.id] = agent
        return json_reply({"agent": agent.document(), "run": agent.run_document(run)}, status=201)

    def _start(self, agent: Agent) -> Run:
        self._runs += 1
        run = Run(self.life, number=self._runs, now=max(self.clock.time(), agent.created))
        agent.runs.append(run)
        return run

    def _list_tasks(self, request: Request) -> Response:
        query = dict(request.query)
        has_archived = query.get("includeArchived") != "false"
        newest = [agent for agent in reversed(self._agents.values()) if has_archived or not agent.archived]
        return page([agent.document() for agent in newest], query)

    def _get_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return json_reply(self._agent(id).document())

    def _delete_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        del self._agents[self._agent(id).id]
        return json_reply({"id": id})

    def _archive_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._agent(id).archived = True
        return json_reply({"id": id})

    def _unarchive_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._agent(id).archived = False
        return json_reply({"id": id})

    def _get_agent_usage(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._agent(id)
        if not self.has_usage:
            raise refusal(403, "feature_unavailable")
        tokens = {
            "inputTokens": 1000,
            "outputTokens": 200,
            "cacheWriteTokens": 0,
            "cacheReadTokens": 0,
            "totalTokens": 1200,
        }
        return json_reply({"totalUsage": tokens, "cost": {"rawCostCents": 4.5, "chargedCents": 5.0}, "runs": []})

    # -- runs --------------------------------------------------------------------------------------------------------

    def _list_runs(self, request: Request, id: str) -> Response:
        agent = self._agent(id)
        self._polled(id, agent.runs[-1].id)
        return page([agent.run_document(run) for run in reversed(agent.runs)], dict(request.query))

    def _polled(self, id: str, run: str) -> Run:
        """Return a run, which a poll advances unless the clock does."""
        known = self._run(id, run)
        if self.step_seconds is None:
            known.advance(self.clock.time())
        return known

    def _send_message(self, request: Request, id: str) -> Response:
        agent = self._agent(id)
        read_body(request, RUN_FIELDS)
        if agent.archived:
            raise refusal(409, "agent_archived")
        if not self._run(id, agent.runs[-1].id).has_ended:
            raise refusal(409, "agent_busy")
        return json_reply({"run": agent.run_document(self._start(agent))}, status=201)

    def _get_run(self, request: Request, id: str, run: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return json_reply(self._agent(id).run_document(self._polled(id, run)))

    def _cancel_task(self, request: Request, id: str, run: str) -> Response:  # noqa: ARG002 - every answer is given the request
        known = self._run(id, run)
        if known.has_ended:
            raise refusal(409, "run_not_cancellable")
        known.cancelled, known.updated = True, self.clock.time()
        return json_reply({"id": run})

    def _stream_task(self, request: Request, id: str, run: str) -> Response:
        known, last = self._run(id, run), dict(request.headers).get("last-event-id", "")
        if known.has_ended and not self.retention:
            raise refusal(410, "stream_expired")
        if last and not last.isdecimal():
            raise refusal(400, "invalid_last_event_id")
        headers = {"content-type": "text/event-stream", "x-cursor-stream-retention-seconds": "3600"}
        return Response(200, headers, stream=LiveChunks(self._live(self._agent(id), known, after=int(last or 0))))

    def _live(self, agent: Agent, run: Run, *, after: int) -> Iterator[bytes]:
        """Yield the events of a run until it has ended."""
        if self.step_seconds is None:
            run.advance(self.clock.time(), steps=len(run.life))
        yield sent("status", {"runId": run.id, "status": run.status if not run.has_ended else "RUNNING"})
        while not run.has_ended:
            yield sent("heartbeat", {})
            self.clock.sleep(self.step_seconds or 0.0)
            with self._lock:
                self._advance_by_clock(run)
        yield from end_of(agent, run, self.events, after=after)

    # -- files and GitHub --------------------------------------------------------------------------------------------

    def _list_files(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._agent(id)
        updated = format_time(self.clock.time())
        files = [{"path": path, "sizeBytes": len(body), "updatedAt": updated} for path, body in self.files.items()]
        return json_reply({"items": files})

    def _get_file_url(self, request: Request, id: str) -> Response:
        self._agent(id)
        path = dict(request.query).get("path", "")
        if path not in self.files:
            raise refusal(404, "artifact_not_found")
        expires = format_time(self.clock.time() + 900)
        return json_reply({"url": f"{self.base_url}/files/{path}?signature=s3cret", "expiresAt": expires})

    def _get_file(self, request: Request, path: str) -> Response:
        if dict(request.query).get("signature") != "s3cret":
            raise refusal(403, "forbidden")
        return Response(200, {"content-type": "application/octet-stream"}, self.files[path])

    def _get_repository(self, request: Request, name: str) -> Response:  # noqa: ARG002 - every answer is given the request
        if name not in self.public:
            raise refusal(404, "not_found")
        return json_reply({"default_branch": "main"})

    def _get_diff(self, request: Request, name: str) -> Response:
        if name not in self.public:
            raise refusal(404, "not_found")
        if dict(request.headers).get("accept") != "application/vnd.github.diff":
            raise refusal(415, "unsupported")
        return Response(200, {"content-type": "application/vnd.github.diff; charset=utf-8"}, DIFF)


def find_route(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the verb of a request and the parts of its path; "" for an unknown route."""
    return match_route(ROUTES, request.method, request.path)


def read_body(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """Return the body of a request; a prompt is required, and an unknown field refused."""
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise refusal(400, "missing_body") from None
    if unknown := set(asked) - known:
        raise refusal(400, "validation_error", f"Unrecognized key: {min(unknown)}")
    prompt = asked.get("prompt")
    if not isinstance(prompt, dict) or not prompt.get("text"):
        raise refusal(400, "validation_error", "prompt.text is required")
    return asked


def page(documents: Sequence[object], query: Mapping[str, str]) -> Response:
    """Return a page of a list; the cursor is the number of items before it."""
    start, limit = int(query.get("cursor") or 0), int(query.get("limit") or 20)
    following = start + limit
    cursor = {"nextCursor": str(following)} if following < len(documents) else {}
    return json_reply({"items": documents[start:following], **cursor})
