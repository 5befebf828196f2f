"""An emulator of Codex Cloud's threads: the app-server protocol over WebSockets, and reading over HTTPS.

Invariants:

- a handshake carries the token in a subprotocol, a request over HTTPS in ``authorization``; each only there;
- every connection of the account is notified about every thread;
- a thread starts in an environment config, and other environments are refused; commands and files are refused;
- the history of a thread is empty until *history_seconds* after a turn has begun.

See docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from ..._protocol.effects import Request, Response
from ...cloud.faults import Status, take
from .codex_app_server import METHODS, CodexAppServerEmulator, EmulatedConnection, RefusalError, model_document, page
from .codex_threads import Thread, Turn

Document: TypeAlias = "Mapping[str, Any]"

SUBPROTOCOL, CLIENT_PREFIX, TOKEN_PREFIX = "codex-app-server", "codex-client.", "openai-bearer."
ACCOUNT = "acc-1"
CONFIGS: tuple[Document, ...] = (
    {
        "id": f"{ACCOUNT}~asenvcfg_1",
        "name": "Repository",
        "status": "ready",
        "environment_id": "ccarenv_1",
        "version_id": "v-1",
        "latest_ready_version_id": "v-1",
        "repositories": [{"repository_id": "github-42", "ref": "main"}],
        "network_policy": {"type": "unrestricted"},
        "install_script": "export SECRET=not-shown",
    },
)
REFUSED_METHODS = ("command/exec", "thread/archive", "thread/unarchive", "thread/delete", "account/rateLimits/read")
GRPC_NOT_FOUND = 5
# The client's method that a route belongs to, for faults and `seen`.
ROUTES: Mapping[str, str] = {
    "v1/threads": "list_tasks",
    "v1/threads/*": "get_task",
    "v2/threads/*/turns": "turns",
    "v2/threads/*/items": "stream_task",
    "v2/models": "list_models",
    "v1/environment-configs": "list_environments",
    "v1/environment-configs/*": "resolve_environment",
}


class CodexCloudThreadsEmulator(CodexAppServerEmulator):
    """The emulator. It takes the arguments of `CodexAppServerEmulator`; *history_seconds* delays the history of a turn.

    `configs` are the environments, by the scope in which they are listed.
    """

    def __init__(self, *arguments: Any, history_seconds: float = 0.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.history_seconds = history_seconds
        self.configs: dict[str, list[Document]] = {"user": list(CONFIGS), "workspace": []}

    def seen(self, name: str) -> list[Request]:
        """Return the requests for a method of the client."""
        return [*super().seen(name), *(each for each in self.requests if ROUTES.get(route_of(each.path)) == name)]

    def handle(self, request: Request) -> Response:
        """Return the answer to a handshake, or to a request over HTTPS."""
        if request.channel is not None:
            return self._connect(request)
        with self.lock:
            self.requests.append(request)
            self.advance()
            fault = take(self.faults, ROUTES.get(route_of(request.path), ""), "")
            return fault.act(request, lambda: self._answer(request), self.clock) if fault else self._answer(request)

    def _connect(self, request: Request) -> Response:
        with self.lock:
            self.requests.append(request)
            if self.faults and isinstance(self.faults[0], Status) and self.faults[0].on in ("", "create_task"):
                fault = take(self.faults, self.faults[0].on)
                assert fault is not None  # noqa: S101 - it is the first
                return fault.act(request, lambda: Response(101), self.clock)
            offered = request.channel.subprotocols if request.channel else ()
            is_offered = SUBPROTOCOL in offered and any(each.startswith(CLIENT_PREFIX) for each in offered)
            if (
                not is_offered
                or f"{TOKEN_PREFIX}{self.token}" not in offered
                or "authorization" in dict(request.headers)
            ):
                return refusal(401, -32002, "unauthorized")
            selected = {"sec-websocket-protocol": SUBPROTOCOL}
            return Response(101, selected, url=request.url, stream=CloudConnection(self))

    def _answer(self, request: Request) -> Response:
        if dict(request.headers).get("authorization") != f"Bearer {self.token}":
            return refusal(401, -32002, "unauthorized")
        answer = _ANSWERS.get(ROUTES.get(route_of(request.path), ""))
        if answer is None or request.method != "GET":
            return refusal(405, -32600, "method not allowed")
        try:
            return Response(200, {"content-type": "application/json"}, msgspec.json.encode(answer(self, request)))
        except RefusalError as error:
            return refusal(404, error.code, str(error), {"grpcStatusCode": GRPC_NOT_FOUND})

    def thread_of(self, request: Request) -> Thread:
        """Return the thread that a path names."""
        thread = self.threads.get(request.path.split("/")[3])
        if thread is None:
            text = "thread not found"
            raise RefusalError(text)
        return thread

    def listed_turns(self, thread: Thread) -> list[Turn]:
        """Return the turns that the history has."""
        begun = self.clock.time() - self.history_seconds
        return [turn for turn in thread.turns if turn.started_at <= begun]

    def list_threads(self, request: Request) -> object:
        """Return a page of the threads, the newest first."""
        threads = [thread for thread in reversed(self.threads.values()) if thread.turns]
        return page(threads, _params(request), document_of)

    def list_turns(self, request: Request) -> object:
        """Return a page of turns."""
        params = _params(request)
        turns = self.listed_turns(self.thread_of(request))
        ordered = turns if params.get("sortDirection") == "asc" else turns[::-1]
        return page(ordered, params, lambda turn: turn.document(params.get("itemsView", "summary")))

    def list_items(self, request: Request) -> object:
        """Return a page of items, the oldest first."""
        turns = self.listed_turns(self.thread_of(request))
        entries = [{"turnId": turn.id, "item": item} for turn in turns for item in turn.items]
        return page(entries, _params(request), lambda entry: entry)

    def list_configs(self, request: Request) -> object:
        """Return a page of the environments of a scope, in snake case."""
        params = _params(request)
        listed = page(self.configs[params["scope"]], params, lambda config: config)
        return {"data": listed["data"], "next_cursor": listed["nextCursor"]}

    def read_config(self, request: Request) -> object:
        """Return an environment."""
        id = request.path.split("/")[3].replace("%7E", "~")
        config = next((each for known in self.configs.values() for each in known if each["id"] == id), None)
        if config is None:
            text = "environment config not found"
            raise RefusalError(text)
        return config

    def list_models(self, request: Request) -> object:
        """Return the models."""
        return page(["gpt-cloud"], _params(request), model_document)


class CloudConnection(EmulatedConnection):
    """One connection of the account, which is notified about every thread."""

    _server: CodexCloudThreadsEmulator

    def __init__(self, server: CodexCloudThreadsEmulator) -> None:
        super().__init__(server)
        self.methods = {name: method for name, method in METHODS.items() if name not in REFUSED_METHODS}
        for thread in server.threads.values():
            thread.subscribers.add(self)

    def _start_thread(self, params: Mapping[str, Any]) -> object:
        known = {config["id"] for configs in self._server.configs.values() for config in configs}
        wanted = [each.get("environmentConfigId") for each in params.get("environments", ())]
        if not wanted or not known.issuperset(wanted) or "cwd" in params:
            text = "thread/start needs a known environmentConfigId"
            raise RefusalError(text)
        super()._start_thread(params)
        thread = next(reversed(self._server.threads.values()))
        thread.subscribers.update(self._server.connections)
        return {**thread.started(), "thread": document_of(thread)}


def document_of(thread: Thread) -> Document:
    """Return a thread as the service sends it: it has environments and no checkout."""
    environments = [dict(each) for each in thread.params.get("environments", ())]
    return {**thread.document(), "gitInfo": None, "path": None, "environments": environments}


def route_of(path: str) -> str:
    """Return a path with a star for an id."""
    parts = path.strip("/").split("/")
    return "/".join((*parts[:2], *("*" for _ in parts[2:3]), *parts[3:]))


def refusal(status: int, code: int, message: str, data: Mapping[str, Any] | None = None) -> Response:
    """Return a refusal as the service sends it over HTTPS."""
    error = {"code": code, "message": message} | ({"data": data} if data else {})
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode({"error": error}))


def _params(request: Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query)
    return params | ({"limit": int(params["limit"])} if "limit" in params else {})


_ANSWERS: Mapping[str, Callable[[CodexCloudThreadsEmulator, Request], object]] = {
    "list_tasks": CodexCloudThreadsEmulator.list_threads,
    "get_task": lambda emulator, request: {"thread": document_of(emulator.thread_of(request))},
    "turns": CodexCloudThreadsEmulator.list_turns,
    "stream_task": CodexCloudThreadsEmulator.list_items,
    "list_models": CodexCloudThreadsEmulator.list_models,
    "list_environments": CodexCloudThreadsEmulator.list_configs,
    "resolve_environment": CodexCloudThreadsEmulator.read_config,
}
