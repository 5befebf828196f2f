"""An emulator of ``codex app-server``; a test gives the steps of each turn.

Invariants:

- a turn takes one step each *step_seconds* of the clock; waiting for a message advances a `FakeClock` to the next step;
- only connections that started, resumed or forked a thread are notified about it, except of its status; a request of the
  server waits until any connection answers it, and is sent again to each that resumes its thread;
- a thread without a turn is not listed, and its name is found only then; a turn that waits stays in progress;
- a thread that is not loaded takes no turn until it is resumed;
- a thread without a name and a turn cannot be forked, one that has forks cannot be deleted, and no list shows what a
  thread was forked from.

See docs/reference/protocols/codex-app-server.md, "3 Methods" to "8 Errors, limits, idempotency".
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ... import errors
from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault, Status, take
from ..fake_clock import FakeClock
from .codex_threads import BASE, Life, Pause, Thread, ordinary_turn

TOKEN = "app-server-test-token"  # noqa: S105 - of the emulator
REFUSED, NOT_KNOWN = -32600, "Invalid request: unknown method"
# The client's method that a call belongs to, for faults and `seen`.
VERBS: Mapping[str, str] = {
    "turn/start": "create_task",
    "thread/read": "get_task",
    "thread/list": "list_tasks",
    "turn/interrupt": "cancel_task",
    "turn/steer": "send_message",
    "thread/archive": "archive_task",
    "thread/unarchive": "unarchive_task",
    "thread/delete": "delete_task",
    "account/rateLimits/read": "get_usage",
    "model/list": "list_models",
    "thread/items/list": "stream_task",
    "command/exec": "command",
}


class RefusalError(Exception):
    """A call that is answered with an error."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        self.code = code
        super().__init__(message)


class CodexAppServerEmulator:
    """The emulator. Give `handle` to a transport of `coatcheck.testing`: it answers handshakes with connections.

    *life* returns the steps of a turn. `refusals` are codes with which a method is refused. `requests` are the handshakes and the calls, as requests with the path
    ``/METHOD``. A fault with a status answers the next handshake, any other one a call.
    """

    def __init__(
        self,
        life: Life = ordinary_turn,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        step_seconds: float = 10.0,
        token: str = TOKEN,
        rate_limits: Mapping[str, Any] | None = None,
    ) -> None:
        self.life, self.clock, self.step_seconds = life, clock or FakeClock(), step_seconds
        self.faults, self.token, self.rate_limits = list(faults), token, rate_limits
        self.requests: list[Request] = []
        self.threads: dict[str, Thread] = {}
        self.commands: list[Mapping[str, Any]] = []
        self.connections: list[EmulatedConnection] = []
        self.refusals: dict[str, int] = {}
        self.lock = threading.RLock()
        self._last_request = 0

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the ids of the threads that have a turn, the oldest first."""
        return tuple(thread.id for thread in self.threads.values() if thread.turns)

    def seen(self, name: str) -> list[Request]:
        """Return the calls for a method of the client."""
        return [request for request in self.requests if VERBS.get(request.path[1:]) == name]

    def handle(self, request: Request) -> Response:
        """Return the answer to a handshake."""
        with self.lock:
            self.requests.append(request)
            if self.faults and isinstance(self.faults[0], Status):
                fault = take(self.faults, self.faults[0].on)
                assert fault is not None  # noqa: S101 - it is the first
                return fault.act(request, lambda: Response(101), self.clock)
            if self.token and ("authorization", f"Bearer {self.token}") not in request.headers:
                return Response(401, {"content-type": "text/plain"}, b"invalid websocket bearer token")
            return Response(101, url=request.url, stream=EmulatedConnection(self))

    def cut(self) -> None:
        """Cut every connection; turns go on."""
        for connection in tuple(self.connections):
            connection.cut()

    def restart(self) -> None:
        """End the server with SIGKILL and start it again: turns that ran are interrupted without an end."""
        for thread in self.threads.values():
            thread.interrupt_by_restart()

    def advance(self) -> None:
        """Take every step that is due."""
        for thread in list(self.threads.values()):
            thread.advance(self.clock.time())

    def next_step(self) -> float | None:
        """Return the seconds until the next step, None where no turn runs."""
        times = [thread.next_at for thread in self.threads.values() if thread.next_at is not None]
        return max(0.0, min(times) - self.clock.time()) if times else None

    def send_request(self, thread: Thread, pause: Pause) -> None:
        """Send a request of the server to the connections of a thread."""
        pause.id, self._last_request = self._last_request, self._last_request + 1
        thread.send_to_subscribers(pause.request(thread))

    def answer_request(self, id: object, result: Mapping[str, Any]) -> None:
        """Take the answer to a request of the server."""
        for thread in self.threads.values():
            if thread.pending is not None and thread.pending.id == id:
                thread.resolve(result, self.clock.time() + self.step_seconds)


class EmulatedConnection:
    """One connection: what the client sends is answered at once, into a queue. `methods` are those that it answers."""

    def __init__(self, server: CodexAppServerEmulator) -> None:
        self._server = server
        self.methods: Mapping[str, str] = METHODS
        self._outgoing: deque[bytes] = deque()
        self._lost: errors.TransportError | None = None
        self._is_initialized = self._is_closed = False
        self.session: object = None
        server.connections.append(self)

    def cut(self) -> None:
        """Lose the connection, after what is already queued."""
        self._lost = errors.TransportError("the connection was cut")

    def queue(self, message: Mapping[str, Any]) -> None:
        """Send a message to the client."""
        self._outgoing.append(msgspec.json.encode(message))

    def send(self, message: bytes) -> None:
        """Take a message of the client."""
        if self._is_closed or self._lost is not None:
            text = "the connection is closed"
            raise errors.TransportError(text, request_sent=False)
        with self._server.lock:
            self._server.advance()
            self._take(message)

    def receive(self, timeout: float) -> bytes | None:
        """Return the next message; time passes until there is one."""
        server, remaining = self._server, timeout
        while True:
            with server.lock:
                server.advance()
                if self._outgoing:
                    return self._outgoing.popleft()
                if self._lost is not None:
                    raise self._lost
                pause = server.next_step()
            pause = remaining if pause is None else min(max(pause, 0.001), remaining)
            if remaining <= 0:
                text = "no message in time"
                raise errors.TransportTimeoutError(text)
            server.clock.sleep(pause)
            remaining -= pause

    def close(self) -> None:
        """Forget the connection."""
        self._is_closed = True
        if self in self._server.connections:
            self._server.connections.remove(self)
        for thread in self._server.threads.values():
            thread.subscribers.discard(self)

    def _take(self, message: bytes) -> None:
        try:
            call = msgspec.json.decode(message)
        except msgspec.DecodeError:  # a frame that is no JSON is dropped without an answer
            return
        if "method" not in call:
            self._server.answer_request(call.get("id"), call.get("result") or {})
        elif "id" in call:
            self._answer(call["id"], call["method"], call.get("params") or {})

    def _answer(self, id: object, method: str, params: Mapping[str, Any]) -> None:
        request = Request("POST", f"/{method}", body=msgspec.json.encode(params))
        self._server.requests.append(request)

        def answer() -> Response:
            return Response(200, body=msgspec.json.encode({"id": id, **self._result(method, params)}))

        fault = take(self._server.faults, VERBS.get(method, method))
        try:
            response = fault.act(request, answer, self._server.clock) if fault else answer()
        except errors.TransportTimeoutError as error:
            self._lost = error
        except errors.TransportError as error:
            self._lost = error
        else:
            self._reply(response)

    def _reply(self, response: Response) -> None:
        if response.status == 200:
            self._outgoing.appendleft(response.body)
        else:
            self._lost = errors.TransportError("the connection was reset")

    def _result(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if method in self._server.refusals:
            return {"error": {"code": self._server.refusals[method], "message": "refused"}}
        try:
            return {"result": self._method(method)(params)}
        except RefusalError as error:
            return {"error": {"code": error.code, "message": str(error)}}

    def _method(self, method: str) -> Callable[[Mapping[str, Any]], object]:
        if method != "initialize" and not self._is_initialized:
            raise RefusalError("Not initialized")
        if method not in self.methods:
            raise RefusalError(f"{NOT_KNOWN} `{method}`")
        answer: Callable[[Mapping[str, Any]], object] = getattr(self, self.methods[method])
        return answer

    # -- methods -----------------------------------------------------------------------------------------------------

    def _initialize(self, params: Mapping[str, Any]) -> object:
        if self._is_initialized:
            raise RefusalError("Already initialized")
        self._is_initialized = True
        agent = f"{params['clientInfo']['name']}/0.171.0 (emulator)"
        return {"userAgent": agent, "codexHome": "/home/codex/.codex", "platformFamily": "unix", "platformOs": "linux"}

    def _start_thread(self, params: Mapping[str, Any]) -> object:
        server = self._server
        thread = Thread(len(server.threads) + 1, server, params)
        server.threads[thread.id] = thread
        thread.subscribers.add(self)
        return thread.started()

    def _fork(self, params: Mapping[str, Any]) -> object:
        source = self._thread(params, problem="no rollout found for thread id")
        if source.name is None and not source.turns:
            raise RefusalError(f"no rollout found for thread id {source.id}")
        server = self._server
        fork = source.fork(len(server.threads) + 1, params)
        server.threads[fork.id] = fork
        fork.subscribers.add(self)
        return fork.started()

    def _thread(self, params: Mapping[str, Any], *, problem: str = "thread not loaded") -> Thread:
        thread = self._server.threads.get(params.get("threadId", ""))
        if thread is None:
            raise RefusalError(f"{problem}: {params.get('threadId')}")
        return thread

    def _loaded(self, params: Mapping[str, Any]) -> Thread:
        thread = self._thread(params, problem="thread not found")
        if not thread.is_loaded:
            raise RefusalError(f"thread not found: {thread.id}")
        return thread

    def _resume(self, params: Mapping[str, Any]) -> object:
        thread = self._thread(params, problem="no rollout found for thread id")
        if thread.is_archived:
            raise RefusalError(f"session {thread.id} is archived")
        thread.is_loaded = True
        thread.subscribers.add(self)
        if thread.pending is not None:
            self.queue(thread.pending.request(thread))
        return thread.started()

    def _read(self, params: Mapping[str, Any]) -> object:
        return {"thread": self._thread(params).document(), "readState": None}

    def _list(self, params: Mapping[str, Any]) -> object:
        wanted, term = bool(params.get("archived")), params.get("searchTerm") or ""
        folders = params.get("cwd") or ()
        folders = (folders,) if isinstance(folders, str) else folders
        threads = [
            thread
            for thread in reversed(self._server.threads.values())
            if thread.turns and thread.is_archived == wanted and term in (thread.name or "")
            if not folders or thread.cwd in folders
        ]
        return page(threads, params, lambda thread: {**thread.document(), "forkedFromId": None})

    def _turns(self, params: Mapping[str, Any]) -> object:
        turns = self._thread(params).turns
        ordered = turns if params.get("sortDirection") == "asc" else list(reversed(turns))
        return page(ordered, params, lambda turn: turn.document(params.get("itemsView", "summary")))

    def _items(self, params: Mapping[str, Any]) -> object:
        entries = [
            {"turnId": turn.id, "item": item, "startedAtMs": 0, "completedAtMs": 0}
            for turn in self._thread(params).turns
            for item in turn.items
        ]
        return page(entries, params, lambda entry: entry)

    def _name(self, params: Mapping[str, Any]) -> object:
        self._thread(params).name = params["name"]
        return {}

    def _start_turn(self, params: Mapping[str, Any]) -> object:
        return {"turn": self._loaded(params).start_turn(params).document("notLoaded")}

    def _steer(self, params: Mapping[str, Any]) -> object:
        thread = self._loaded(params)
        turn = thread.running
        if turn is None or turn.id != params.get("expectedTurnId"):
            raise RefusalError(f"expected active turn id `{params.get('expectedTurnId')}`")
        turn.add_message(params)
        return {"turnId": turn.id}

    def _interrupt(self, params: Mapping[str, Any]) -> object:
        thread = self._loaded(params)
        if thread.running is None:
            raise RefusalError("no active turn to interrupt")
        thread.end_turn("interrupted", self._server.clock.time())
        return {}

    def _archive(self, params: Mapping[str, Any]) -> object:
        thread = self._thread(params)
        if thread.is_archived:
            raise RefusalError(f"no rollout found for thread id {thread.id}")
        thread.is_archived = True
        return {}

    def _unarchive(self, params: Mapping[str, Any]) -> object:
        thread = self._thread(params)
        if not thread.is_archived:
            raise RefusalError(f"no archived rollout found for thread id {thread.id}")
        thread.is_archived = False
        return {"thread": thread.document()}

    def _delete(self, params: Mapping[str, Any]) -> object:
        thread = self._thread(params)
        if any(other.source == thread.id for other in self._server.threads.values()):
            raise RefusalError(f"cannot delete thread {thread.id}: forked history still references it")
        del self._server.threads[thread.id]
        return {}

    def _unsubscribe(self, params: Mapping[str, Any]) -> object:
        self._thread(params).subscribers.discard(self)
        return {"status": "unsubscribed"}

    def _execute(self, params: Mapping[str, Any]) -> object:
        self._server.commands.append(params)
        cwd = params.get("cwd")
        if cwd is None:  # a checkout is made or removed
            return {"exitCode": 0, "stdout": f"{BASE}\n", "stderr": ""}
        thread = next((thread for thread in self._server.threads.values() if thread.cwd == cwd), None)
        change = thread.change if thread else b""
        text = b64encode(change).decode()
        return {"exitCode": 0, "stdout": f"{BASE} {len(change)}\n{text}\n", "stderr": ""}

    def _models(self, params: Mapping[str, Any]) -> object:
        return page(["gpt-test", "old"], params, model_document)

    def _rate_limits(self, _: Mapping[str, Any]) -> object:
        if self._server.rate_limits is None:
            raise RefusalError("codex account authentication required to read rate limits")
        return {"rateLimits": self._server.rate_limits}


# The name of the connection's method for each call.
METHODS: Mapping[str, str] = {
    "initialize": "_initialize",
    "model/list": "_models",
    "thread/start": "_start_thread",
    "thread/fork": "_fork",
    "thread/resume": "_resume",
    "thread/read": "_read",
    "thread/list": "_list",
    "thread/turns/list": "_turns",
    "thread/items/list": "_items",
    "thread/name/set": "_name",
    "thread/archive": "_archive",
    "thread/unarchive": "_unarchive",
    "thread/delete": "_delete",
    "thread/unsubscribe": "_unsubscribe",
    "turn/start": "_start_turn",
    "turn/steer": "_steer",
    "turn/interrupt": "_interrupt",
    "command/exec": "_execute",
    "account/rateLimits/read": "_rate_limits",
}


def model_document(id: str) -> Mapping[str, object]:
    """Return a model as it is sent; "old" is hidden."""
    efforts = [{"reasoningEffort": effort, "description": effort} for effort in ("low", "high")]
    names = {"id": id, "model": id, "displayName": id, "description": f"The model {id}"}
    return {
        **names,
        "hidden": id == "old",
        "isDefault": id != "old",
        "supportedReasoningEfforts": efforts,
        "defaultReasoningEffort": "low",
    }


def page(entries: Any, params: Mapping[str, Any], document: Callable[[Any], object]) -> Mapping[str, object]:
    """Return a page of *entries*; a cursor is the number of those before it."""
    cursor = params.get("cursor")
    try:
        start = int(cursor or 0)
    except ValueError:
        text = "invalid cursor"
        raise RefusalError(text) from None
    size = max(1, params.get("limit") or 25)
    end = start + size
    following = str(end) if end < len(entries) else None
    shown = [document(entry) for entry in entries[start:end]]
    return {"data": shown, "nextCursor": following, "backwardsCursor": None}
