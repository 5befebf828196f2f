"""A service as small as one can be, and a provider for it: what the engine and the clients are tried on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from coatcheck import errors
from coatcheck._model.catalogue import Environment, Model
from coatcheck._model.events import UnknownEvent
from coatcheck._model.outcome import Attempt, Message, Outcome
from coatcheck._model.tasks import Page, Task, TaskRef, TaskSpec, TaskState
from coatcheck._model.usage import Usage
from coatcheck._protocol.decode import check, decode, read_json
from coatcheck._protocol.effects import Emit, Exchange, Read, Request, Response
from coatcheck._protocol.login_contract import Login, Secret
from coatcheck._protocol.provider import Capabilities, Support, TaskFilter, Verb

STATES = {
    "queued": TaskState.QUEUED,
    "working": TaskState.RUNNING,
    "done": TaskState.SUCCEEDED,
    "broken": TaskState.FAILED,
    "stopped": TaskState.CANCELLED,
    "asking": TaskState.INPUT_REQUIRED,
    "paused": TaskState.PAUSED,
}
BASE = "http://127.0.0.1:9/toy"


class ToyTask(msgspec.Struct):
    id: str
    state: str = ""
    prompt: str = ""
    text: str = ""
    created: float = 0.0
    attempts: list[str] = []


class ToyPage(msgspec.Struct):
    tasks: list[ToyTask] = []
    next: str | None = None


class ToyProvider:
    """The provider of `ToyService`."""

    name = "toy"
    login = Login(
        name="toy", remedy="run: toy login", environment="TOY_TOKEN", trusted_hosts=frozenset({"toy.example"})
    )
    capabilities = Capabilities(
        verbs=dict.fromkeys(
            (
                Verb.CREATE_TASK,
                Verb.GET_TASK,
                Verb.LIST_TASKS,
                Verb.LIST_ATTEMPTS,
                Verb.GET_USAGE,
                Verb.LIST_ENVIRONMENTS,
                Verb.LIST_MODELS,
                Verb.CANCEL_TASK,
                Verb.SEND_MESSAGE,
                Verb.STREAM_EVENTS,
            ),
            Support.DOCUMENTED,
        ),
        reasons={"delete_task": "the toy keeps everything"},
        max_attempts=3,
    )

    def __init__(self, base_url: str = BASE) -> None:
        self.origins: Mapping[str, str] = {"api": base_url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        response = yield Request("GET", "/environments")
        names = decode(response, list[str])
        environment = spec.environment or names[0]
        if environment not in names:
            raise errors.ConfigurationError(f"no environment {environment!r}: {', '.join(names)}")
        return msgspec.structs.replace(spec, environment=environment, branch=spec.branch or "main")

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        body = {"prompt": spec.prompt, "attempts": spec.attempts}
        response = yield Request("POST", "/tasks", body=msgspec.json.encode(body))
        return self._task(decode(response, ToyTask))

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        response = yield Request("GET", f"/tasks/{ref.id}")
        return self._task(decode(response, ToyTask), raw=response.body)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        response = yield Request("GET", f"/tasks/{ref.id}")
        check(response)
        return response.body

    def list_attempts(self, task: Task) -> Exchange[tuple[Attempt, ...]]:
        response = yield Request("GET", f"/tasks/{task.ref.id}/attempts")
        states = decode(response, list[str])
        return tuple(
            Attempt(id=f"a{place}", placement=place, state=STATES[state], raw_state=state, outcome=Outcome())
            for place, state in enumerate(states)
        )

    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Exchange[Page]:
        query = (("filter", filter), *((("cursor", cursor),) if cursor else ()))
        response = yield Request("GET", "/tasks", query=query)
        page = decode(response, ToyPage)
        return Page(items=tuple(self._task(task, listed=True) for task in page.tasks), cursor=page.next)

    def list_environments(self, *, repository: str | None) -> Exchange[tuple[Environment, ...]]:
        response = yield Request("GET", "/environments")
        return tuple(Environment(id=name) for name in decode(response, list[str]))

    def list_models(self) -> tuple[Model, ...]:
        return (Model(id="toy-1"),)

    def get_usage(self) -> Exchange[Usage]:
        response = yield Request("GET", "/usage")
        check(response)
        return Usage(plan="toy")

    def cancel_task(self, ref: TaskRef) -> Exchange[None]:
        response = yield Request("POST", f"/tasks/{ref.id}/cancel")
        check(response)

    def send_message(self, ref: TaskRef, text: str, *, mode: str, model: str | None) -> Exchange[Task]:
        response = yield Request("POST", f"/tasks/{ref.id}/messages", body=text.encode())
        return self._task(decode(response, ToyTask))

    def stream_events(self, ref: TaskRef) -> Any:
        response = yield Request("GET", f"/tasks/{ref.id}/stream", stream=True)
        check(response)
        while chunk := (yield Read(response.stream)):
            for line in chunk.decode().splitlines():
                yield Emit(UnknownEvent(kind=line, ref=ref))

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        return self._task(read_json(response, ToyTask), raw=response)

    def _task(self, task: ToyTask, *, raw: bytes = b"", listed: bool = False) -> Task:
        outcome = Outcome(messages=(Message(text=task.text),)) if task.text else None
        return Task(
            ref=TaskRef(self.name, task.id),
            state=STATES.get(task.state, TaskState.UNKNOWN),
            raw_state=task.state or None,
            prompt=None if listed else task.prompt,
            environment="attic",
            branch="main",
            created_at=datetime.fromtimestamp(task.created, UTC),
            attempt_total=len(task.attempts) or None,
            outcome=None if listed else outcome,
            raw=raw,
        )


class ToyService:
    """The service: each poll moves a task to its next state. `script` answers requests before the service does.

    An entry of `script` is a `Response`, an exception, or None for "as usual".
    """

    def __init__(self, *script: Any, states: tuple[str, ...] = ("queued", "working", "done"), now: float = 0.0) -> None:
        self.script = list(script)
        self.states = states
        self.now = now
        self.tokens = {"good"}
        self.tasks: dict[str, ToyTask] = {}
        self.lives: dict[str, Any] = {}
        self.attempt_states: list[list[str]] = []
        self.requests: list[Request] = []
        self.pages: list[ToyPage] | None = None
        self.lose_after_create = False

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            return step
        if not any(("authorization", f"Bearer {token}") in request.headers for token in self.tokens):
            return reply({"detail": "who are you"}, 401)
        return self.route(request)

    def route(self, request: Request) -> Response:
        path = request.path.removeprefix("/toy")
        if (request.method, path) == ("POST", "/tasks"):
            return self.create(msgspec.json.decode(request.body))
        if path == "/tasks":
            return self.page(dict(request.query).get("cursor"))
        if path == "/environments":
            return reply(["attic", "cellar"])
        if path == "/usage":
            return reply({})
        id, _, rest = path.removeprefix("/tasks/").partition("/")
        if id not in self.tasks:
            return reply({"detail": "no such task"}, 404)
        return self.about(id, rest)

    def about(self, id: str, rest: str) -> Response:
        if rest == "attempts":
            return reply(self.attempt_states.pop(0) if len(self.attempt_states) > 1 else self.attempt_states[0])
        if rest == "cancel":
            self.lives[id] = itertools.repeat("stopped")
            return reply({})
        if rest == "stream":
            return Response(200, {}, b"began\nwent on\n")
        if rest == "messages":
            return reply(self.tasks[id])
        return reply(msgspec.structs.replace(self.tasks[id], state=next(self.lives[id])))

    def create(self, body: dict[str, Any]) -> Response:
        id = f"t{len(self.tasks) + 1}"
        attempts = [f"a{n}" for n in range(body["attempts"])] if body["attempts"] > 1 else []
        self.tasks[id] = ToyTask(id=id, state="queued", prompt=body["prompt"], created=self.now, attempts=attempts)
        self.lives[id] = itertools.chain(self.states, itertools.repeat(self.states[-1]))
        if self.lose_after_create:
            raise errors.TransportError("the connection was reset")
        return reply(self.tasks[id], 201)

    def page(self, cursor: str | None) -> Response:
        if self.pages is None:
            return reply(ToyPage(tasks=list(reversed(self.tasks.values()))))
        return reply(self.pages[int(cursor or 0)])

    def count(self, method: str, path: str) -> int:
        return sum(1 for request in self.requests if (request.method, request.path) == (method, f"/toy{path}"))


def reply(body: object, status: int = 200, **headers: str) -> Response:
    """Return a response with a JSON body."""
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, msgspec.json.encode(body)
    )
