"""An emulator of OpenHands Cloud: the start of conversations, their list and their log, and the sandboxes behind it.

Invariants:

- a conversation is listed once its start has ended, which takes a step for each request about it;
- the agent-server of a sandbox takes the key of the sandbox only, and answers only while the sandbox runs;
- a create that repeats an id starts another conversation: the service is not known to recognise it.

See docs/reference/protocols/openhands-cloud.md.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import Refusal, json_reply
from ._service import HttpService, match_route
from .openhands import OpenHandsEmulator, body_of, find_route as find_server_route, page, refusal
from .openhands_conversations import DIFF, LIFE, MODEL

KEY = "openhands-cloud-test-key"
START = ("WORKING", "WAITING_FOR_SANDBOX", "READY")
_ROOT = "/api/v1/app-conversations"
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("POST", _ROOT, "create_task"),
        ("GET", _ROOT, "get_task"),
        ("GET", f"{_ROOT}/search", "list_tasks"),
        ("GET", f"{_ROOT}/start-tasks/search", "list_starts"),
        ("DELETE", f"{_ROOT}/([^/]+)", "delete_task"),
        ("GET", r"/api/v1/conversation/([^/]+)/events/search", "list_events"),
        ("POST", r"/api/v1/sandboxes/([^/]+)/resume", "resume"),
    )
)


class Start:
    """The start of a conversation."""

    def __init__(self, asked: Mapping[str, Any], steps: Sequence[str], *, now: float) -> None:
        self.id, self.asked, self.steps, self.step, self.created = str(uuid.uuid4()), asked, tuple(steps), 0, now

    @property
    def status(self) -> str:
        """The state."""
        return self.steps[self.step]

    def document(self) -> dict[str, object]:
        """Return the document of the start task, whose ids have no hyphens."""
        id = uuid.UUID(self.asked["conversation_id"]).hex
        return {
            "id": self.id,
            "status": self.status,
            "detail": "no sandbox is free" if self.status == "ERROR" else None,
            "app_conversation_id": id if self.status == "READY" else None,
            "request": {**self.asked, "conversation_id": id},
            "created_at": format_time(self.created, timespec="microseconds"),
        }


class OpenHandsCloudEmulator(HttpService):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* is the states of a run, *start* those of its start, *change* what its workspace differs by. `sandboxes` is the
    agent-server of all sandboxes, `states` their states by conversation. `base_url` is where sandboxes are. *step_seconds* is how long a
    step of a run takes; without it, each request of a conversation is a step.
    """

    def __init__(
        self,
        life: Sequence[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        start: Sequence[str] = START,
        change: bytes = DIFF,
        base_url: str = "http://127.0.0.1:9",
        step_seconds: float | None = None,
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.start = tuple(start)
        self.sandboxes = OpenHandsEmulator(life, clock=self.clock, change=change, step_seconds=step_seconds)
        self.base_url, self.token = base_url, KEY
        self.states: dict[str, str] = {}
        self._starts: list[Start] = []
        self._answers: Mapping[str, Callable[..., Response]] = {
            name: getattr(self, f"_{name}") for _, _, name in ROUTES
        }

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the id of every start task, oldest first."""
        return tuple(start.id for start in self._starts)

    def _route_of(self, request: Request) -> str:
        return find_route(request)[0]

    def _answer(self, request: Request) -> Response:
        name, parts = find_route(request)
        try:
            if not name and find_server_route(request)[0]:
                return self._in_sandbox(request)
            if dict(request.headers).get("authorization") != f"Bearer {self.token}":
                raise refusal(401, "Unauthorized")
            if not name:
                raise refusal(404, "Not Found")
            return self._answers[name](request, *parts)
        except Refusal as refused:
            return refused.response

    def _in_sandbox(self, request: Request) -> Response:
        """Return the response of an agent-server, which is not sent the key of the Cloud."""
        if "authorization" in dict(request.headers):
            raise refusal(400, "the key of the Cloud was sent to a sandbox")
        id = find_server_route(request)[1][0]
        if self.states.get(id) != "RUNNING":
            raise refusal(503, "no sandbox")
        return self.sandboxes.handle(request)

    def _create_task(self, request: Request) -> Response:
        start = Start(body_of(request, "initial_message"), self.start, now=self.clock.time())
        self._starts.append(start)
        return json_reply(start.document())

    def _advance(self) -> None:
        """Take a step of each start; one that ends creates its conversation."""
        for start in self._starts:
            if start.status in ("READY", "ERROR"):
                continue
            start.step += 1
            if start.status == "READY":
                workspace = {"working_dir": "/workspace/project/repo"}
                known = self.sandboxes.start({**start.asked, "workspace": workspace, "autotitle": False})
                known.title = start.asked.get("title") or "Say hello"
                self.states[known.id] = "RUNNING"

    def _document(self, id: str) -> dict[str, object]:
        known = self.sandboxes.conversation(id)
        is_running = self.states[id] == "RUNNING"
        return {
            "id": id.replace("-", ""),
            "sandbox_id": f"sandbox-{id[:8]}",
            "sandbox_status": self.states[id],
            "execution_status": known.status if is_running else None,
            "conversation_url": f"{self.base_url}/api/conversations/{id}" if is_running else None,
            "session_api_key": self.sandboxes.token if is_running else None,
            "selected_repository": known.asked.get("selected_repository"),
            "selected_branch": known.asked.get("selected_branch"),
            "title": known.title,
            "llm_model": MODEL,
            "pr_number": [],
            "created_at": format_time(known.created, timespec="microseconds"),
            "updated_at": format_time(known.updated, timespec="microseconds"),
        }

    def _get_task(self, request: Request) -> Response:
        self._advance()
        id = str(uuid.UUID(dict(request.query)["ids"]))
        return json_reply([self._document(id) if id in self.states else None])

    def _list_tasks(self, request: Request) -> Response:
        self._advance()
        return page([self._document(id) for id in reversed(self.states)], request)

    def _list_starts(self, request: Request) -> Response:
        return page([start.document() for start in reversed(self._starts)], request)

    def _delete_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        if self.states.pop(str(uuid.UUID(id)), None) is None:
            raise refusal(404, "Conversation not found")
        self._starts = [start for start in self._starts if start.asked["conversation_id"] != id]
        return json_reply({"success": True})

    def _list_events(self, request: Request, id: str) -> Response:
        events = self.sandboxes.conversation(str(uuid.UUID(id))).events
        newest = dict(request.query).get("sort_order") == "TIMESTAMP_DESC"
        return page(events[::-1] if newest else events, request)

    def _resume(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        for known in self.states:
            if id == f"sandbox-{known[:8]}":
                self.states[known] = "RUNNING"
        return json_reply({"success": True})


def find_route(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the verb of a request and the parts of its path; "" for an unknown route."""
    return match_route(ROUTES, request.method, request.path)
