"""An emulator of an A2A 1.0 agent, with its card and both bindings over HTTP.

Invariants:

- a task takes its next state each time it is requested, and waits in a state that needs input for a message;
- a task that has ended takes no message, and another message to its context is another task;
- a stream takes a task to its end, or to where it needs input;
- both bindings do the same and report the same errors, as A2A 1.0, sections 5.3 and 5.4 map them;
- every request but that of the card needs the header *authorization*, by default a bearer token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import json_reply
from ._service import HttpService
from .generic_http import PATCH

TOKEN = "a2a-test-token"  # noqa: S105 - of nobody
LIFE = ("SUBMITTED", "WORKING", "COMPLETED")
ENDS = frozenset({"COMPLETED", "FAILED", "CANCELED", "REJECTED"})
PAUSES = frozenset({"INPUT_REQUIRED", "AUTH_REQUIRED"})
PAGE_SIZE = 2
BOTH = ("HTTP+JSON", "JSONRPC")
CARD_PATH = "/.well-known/agent-card.json"
HTTP_PATH, RPC_PATH = "/a2a/v1", "/a2a/rpc"
WORDS = {
    "INPUT_REQUIRED": "Which of the two files do you mean?",
    "AUTH_REQUIRED": "Open https://agent.example/login.",
    "FAILED": "The tests never passed.",
    "REJECTED": "This agent writes no poems.",
}
# A reason of an ErrorInfo, with its HTTP status and its code in JSON-RPC (A2A 1.0, section 5.4).
ERRORS: Mapping[str, tuple[int, int]] = {
    "TASK_NOT_FOUND": (404, -32001),
    "TASK_NOT_CANCELABLE": (400, -32002),
    "UNSUPPORTED_OPERATION": (400, -32004),
    "INVALID_PARAMS": (400, -32602),
    "METHOD_NOT_FOUND": (404, -32601),
}
# Each call: its method in JSON-RPC, its method and path over HTTP, and the verb that it is for.
CALLS: tuple[tuple[str, str, re.Pattern[str], str], ...] = tuple(
    (name, method, re.compile(path), verb)
    for name, method, path, verb in (
        ("SendMessage", "POST", r"/message:send", "create_task"),
        ("SendStreamingMessage", "POST", r"/message:stream", "create_task"),
        ("GetTask", "GET", r"/tasks/([^/:]+)", "get_task"),
        ("ListTasks", "GET", r"/tasks", "list_tasks"),
        ("CancelTask", "POST", r"/tasks/([^/:]+):cancel", "cancel_task"),
        ("SubscribeToTask", "POST", r"/tasks/([^/:]+):subscribe", "stream_task"),
    )
)
STREAMS = frozenset({"SubscribeToTask", "SendStreamingMessage"})
VERBS = {name: verb for name, _, _, verb in CALLS}
Document = dict[str, Any]


class AgentTask(msgspec.Struct):
    """A task of the agent, the states that follow, and when it last changed."""

    id: str
    context: str
    life: list[str]
    changed: float
    history: list[Document]
    state: str = ""
    parts: Sequence[Document] = ()

    def advance(self, now: float) -> None:
        """Take the next state, unless it has ended or needs input."""
        if self.life and self.state not in ENDS | PAUSES:
            self.state, self.changed = self.life.pop(0), now


class A2ARefusal(Exception):  # noqa: N818 - an error response
    """An error of the agent, by its reason."""


class A2AEmulator(HttpService):
    """The agent. *life* are the states of new tasks, without their prefix.

    *bindings* are those of its card, in order. *contexts* is what it does with a context that the client names: "keep",
    "replace" or "refuse". With *at_once* it answers with a message, and there is no task. *parts* are the parts of the
    artifact of a task that is completed; None: a message, a diff and a file.
    """

    def __init__(
        self,
        life: Iterable[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        bindings: Sequence[str] = BOTH,
        contexts: Literal["keep", "replace", "refuse"] = "keep",
        at_once: bool = False,
        parts: Sequence[Document] | None = None,
        is_streaming: bool = True,
        has_push: bool = False,
        authorization: str = f"Bearer {TOKEN}",
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life, self.bindings = tuple(life), tuple(bindings)
        self.contexts, self.at_once, self.parts, self.authorization = contexts, at_once, parts, authorization
        self.is_streaming, self.has_push, self.token = is_streaming, has_push, TOKEN
        self._tasks: dict[str, AgentTask] = {}

    @property
    def tasks(self) -> tuple[AgentTask, ...]:
        """Every task, oldest first."""
        return tuple(self._tasks.values())

    def messages(self) -> list[Document]:
        """Return the messages that the agent received, as they were sent."""
        bodies = [msgspec.json.decode(request.body) for request in self.seen("create_task")]
        return [body.get("params", body)["message"] for body in bodies]

    def _route_of(self, request: Request) -> str:
        return _verb(request)

    def _answer(self, request: Request) -> Response:
        if request.path.endswith(CARD_PATH):
            return json_reply(self._card(request))
        if dict(request.headers).get("authorization") != self.authorization:
            return json_reply({"error": {"code": 401, "message": "Who are you?"}}, status=401)
        return self._rpc(request) if _is_rpc(request) else self._http(request)

    def _card(self, request: Request) -> Document:
        origin = _origin(request)
        urls = {"HTTP+JSON": f"{origin}{HTTP_PATH}", "JSONRPC": f"{origin}{RPC_PATH}", "GRPC": f"{origin}/grpc"}
        return {
            "name": "Emulated agent",
            "description": "It says hello.",
            "version": "1",
            "supportedInterfaces": [
                {"url": urls[binding], "protocolBinding": binding, "protocolVersion": "1.0"}
                for binding in self.bindings
            ],
            "capabilities": {"streaming": self.is_streaming, "pushNotifications": self.has_push},
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain", "text/x-diff"],
            "skills": [{"id": "code", "name": "Code", "description": "It changes code.", "tags": ["code"]}],
        }

    # -- bindings ----------------------------------------------------------------------------------------------------

    def _http(self, request: Request) -> Response:
        name, ids = _http_call(request)
        body = msgspec.json.decode(request.body) if request.body else {}
        try:
            if name in STREAMS:
                return _event_stream(self._stream(name, {**body, **ids}))
            return json_reply(self._perform(name, {**body, **dict(request.query), **ids}))
        except A2ARefusal as refusal:
            return _http_error(str(refusal))

    def _rpc(self, request: Request) -> Response:
        call = msgspec.json.decode(request.body)
        envelope: Document = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            if call["method"] in STREAMS:
                events = self._stream(call["method"], call["params"])
                return _event_stream({**envelope, "result": event} for event in events)
            return json_reply({**envelope, "result": self._perform(call["method"], call["params"])})
        except A2ARefusal as refusal:
            reason = str(refusal)
            return json_reply({**envelope, "error": {"code": ERRORS[reason][1], "message": _sentence(reason)}})

    def _perform(self, name: str, parameters: Document) -> Document:
        calls: Mapping[str, Callable[[Document], Document]] = {
            "SendMessage": self._send,
            "GetTask": self._get,
            "ListTasks": self._list,
            "CancelTask": self._cancel,
        }
        if name not in calls:
            raise A2ARefusal("METHOD_NOT_FOUND")
        return calls[name](parameters)

    # -- calls -------------------------------------------------------------------------------------------------------

    def _send(self, parameters: Document) -> Document:
        message = parameters["message"]
        if not message.get("messageId") or not message.get("parts"):
            raise A2ARefusal("INVALID_PARAMS")
        if self.at_once:
            words = {"text": f"Done: {message['parts'][0]['text']}"}
            return {"message": {"messageId": "answer1", "role": "ROLE_AGENT", "parts": [words]}}
        if message.get("taskId"):
            return {"task": self._document(self._continue(message))}
        task = self._create(message)
        return {"task": self._document(task)}

    def _continue(self, message: Document) -> AgentTask:
        task = self._find(message["taskId"])
        if task.state in ENDS:
            raise A2ARefusal("UNSUPPORTED_OPERATION")
        task.history.append(message)
        if task.state in PAUSES:
            task.state, task.changed = "WORKING", self.clock.time()
        return task

    def _create(self, message: Document) -> AgentTask:
        id = f"task-{len(self._tasks) + 1}"
        context = message.get("contextId")
        is_known = any(task.context == context for task in self._tasks.values())
        if context and not is_known and self.contexts == "refuse":
            raise A2ARefusal("INVALID_PARAMS")
        if not context or (not is_known and self.contexts == "replace"):
            context = f"context-{len(self._tasks) + 1}"
        task = AgentTask(id, context, list(self.life), self.clock.time(), [message])
        task.state = task.life.pop(0)
        self._tasks[id] = task
        return task

    def _get(self, parameters: Document) -> Document:
        task = self._find(parameters["id"])
        task.advance(self.clock.time())
        return self._document(task)

    def _cancel(self, parameters: Document) -> Document:
        task = self._find(parameters["id"])
        if task.state in ENDS:
            raise A2ARefusal("TASK_NOT_CANCELABLE")
        task.life, task.state, task.changed = [], "CANCELED", self.clock.time()
        return self._document(task)

    def _stream(self, name: str, parameters: Document) -> list[Document]:
        """Return the events of a task: it continues to its end, or to where it needs input."""
        if name == "SendStreamingMessage":
            answer = self._send(parameters)
            parameters = {"id": answer["task"]["id"]}
        task = self._find(parameters["id"])
        if not self.is_streaming or task.state in ENDS:
            raise A2ARefusal("UNSUPPORTED_OPERATION")
        ids = {"taskId": task.id, "contextId": task.context}
        events: list[Document] = [{"task": self._document(task)}]
        while task.life and task.state not in ENDS | PAUSES:
            task.advance(self.clock.time())
            document = self._document(task)
            events += [{"artifactUpdate": {**ids, "artifact": each}} for each in document.get("artifacts", ())]
            events.append({"statusUpdate": {**ids, "status": document["status"]}})
        return events

    def _list(self, parameters: Document) -> Document:
        context = parameters.get("contextId")
        tasks = [task for task in reversed(self._tasks.values()) if context in (None, task.context)]
        start = int(parameters.get("pageToken") or 0)
        end = start + min(PAGE_SIZE, int(parameters.get("pageSize", PAGE_SIZE)))
        listed = [self._document(task, has_artifacts=False) for task in tasks[start:end]]
        if str(parameters.get("historyLength")) == "0":
            listed = [{name: value for name, value in task.items() if name != "history"} for task in listed]
        following = str(end) if end < len(tasks) else ""
        return {"tasks": listed, "nextPageToken": following, "pageSize": PAGE_SIZE, "totalSize": len(tasks)}

    def _find(self, id: str) -> AgentTask:
        if id not in self._tasks:
            raise A2ARefusal("TASK_NOT_FOUND")
        return self._tasks[id]

    # -- documents ---------------------------------------------------------------------------------------------------

    def _document(self, task: AgentTask, *, has_artifacts: bool = True) -> Document:
        status: Document = {"state": f"TASK_STATE_{task.state}", "timestamp": format_time(task.changed)}
        if words := WORDS.get(task.state):
            status["message"] = {"messageId": f"{task.id}-status", "role": "ROLE_AGENT", "parts": [{"text": words}]}
        document: Document = {"id": task.id, "contextId": task.context, "status": status, "history": task.history}
        if has_artifacts and task.state == "COMPLETED":
            parts = self.parts if self.parts is not None else _parts_of(task)
            document["artifacts"] = [{"artifactId": "result", "name": "result", "parts": parts}]
        return document


def _parts_of(task: AgentTask) -> list[Document]:
    return [
        {"text": f"Done: {task.history[0]['parts'][0]['text']}", "mediaType": "text/plain"},
        {"text": PATCH, "mediaType": "text/x-diff", "metadata": {"base_commit": "f" * 40}},
        {"text": "hello\n", "filename": "hello.txt"},
        {"data": {"pull_request": {"title": "Say hello", "url": "https://git.example/pull/1", "number": 1}}},
    ]


def _event_stream(events: Iterable[Document]) -> Response:
    body = b"".join(b"data: %s\n\n" % msgspec.json.encode(event) for event in events)
    return Response(200, {"content-type": "text/event-stream"}, body)


def _is_rpc(request: Request) -> bool:
    return request.path == RPC_PATH


def _verb(request: Request) -> str:
    if request.path.endswith(CARD_PATH):
        return "get_card"
    if _is_rpc(request):
        return VERBS.get(msgspec.json.decode(request.body).get("method"), "")
    return VERBS.get(_http_call(request)[0], "")


def _http_call(request: Request) -> tuple[str, dict[str, str]]:
    """Return the call that *request* makes over HTTP, and the id in its path; "" for none."""
    path = request.path.removeprefix(HTTP_PATH)
    for name, method, pattern, _ in CALLS:
        if method == request.method and (match := pattern.fullmatch(path)):
            return name, {"id": match[1]} if match.groups() else {}
    return "", {}


def _sentence(reason: str) -> str:
    return reason.replace("_", " ").capitalize()


def _http_error(reason: str) -> Response:
    """Return an error with an ErrorInfo (https://google.aip.dev/193)."""
    status = ERRORS[reason][0]
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "a2a-protocol.org",
    }
    return json_reply({"error": {"code": status, "message": _sentence(reason), "details": [info]}}, status=status)


def _origin(request: Request) -> str:
    """Return the origin to which *request* was sent."""
    if request.url:
        scheme, _, rest = request.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"
    return f"http://{dict(request.headers)['host']}"
