"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over a channel, as generators of effects.

Invariants:

- an answer belongs to the call with its id, in whatever order answers come; one that no call waits for belongs to a
  script that has ended, and is dropped;
- notifications and requests of the other side that come meanwhile are kept in order, and returned by `next_message`;
- a message that is no JSON object is an error, and so is a channel that ends before an answer;
- the member ``jsonrpc`` is sent, and not required: Codex's app-server leaves it out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Self, TypeAlias, TypeVar

import msgspec

from .. import errors
from .decode import MAX_DETAIL, read_json, scrub
from .effects import ChannelEffect, Receive, Send

T = TypeVar("T")
Messages: TypeAlias = Generator[ChannelEffect, Any, T]

# How long an answer may take (seconds), as an HTTP answer may.
TIMEOUT = 60.0
# How many messages of the other side are kept before they are read; a service that sends more does not answer.
MAX_KEPT = 10_000

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
# Errors that name a fault of the call, which was not performed.
REFUSALS = frozenset({PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS})
_NULL = msgspec.Raw(b"null")


class RpcError(msgspec.Struct, frozen=True):
    """The error in an answer; `data` is whatever the other side adds."""

    code: int = INTERNAL_ERROR
    message: str = ""
    data: msgspec.Raw = _NULL


class _Message(msgspec.Struct, frozen=True):
    id: object = None
    method: str | None = None
    params: msgspec.Raw = _NULL
    result: msgspec.Raw = _NULL
    error: RpcError | None = None


class RpcAnswer(msgspec.Struct, frozen=True):
    """The answer to a call of *method*: a result, or an error."""

    method: str
    result: msgspec.Raw = _NULL
    error: RpcError | None = None

    def check(self) -> None:
        """Raise the answer's error: `InvalidRequestError` for a call that was refused, else `ProviderUnavailableError`."""
        if self.error is not None:
            raise error_of(self.method, self.error)

    def decode(self, shape: type[T]) -> T:
        """Return the result as *shape*. Raises the answer's error, and `UnreadableResponseError`."""
        self.check()
        return read_json(self.result, shape, at="$.result")


def error_of(method: str, error: RpcError) -> errors.ProviderError:
    """Return what an answer's error raises."""
    detail = " ".join(scrub(error.message).split())[:MAX_DETAIL] or f"code {error.code}"
    if error.code in REFUSALS:
        return errors.InvalidRequestError(f"{method} was refused: {detail}", status=400, detail=detail)
    return errors.ProviderUnavailableError(f"{method} failed: {detail}", status=500, detail=detail)


class Notification(msgspec.Struct, frozen=True):
    """A message of the other side that expects no answer; `params` is JSON."""

    method: str
    params: msgspec.Raw = _NULL


class ServerRequest(msgspec.Struct, frozen=True):
    """A call of the other side; its `id` is what `JsonRpc.respond` takes."""

    id: int | str
    method: str
    params: msgspec.Raw = _NULL


class JsonRpc:
    """One side of a connection. Calls are numbered; notifications and calls of the other side are kept until they are read.

    *timeout* is how long each message is waited for (seconds).
    """

    def __init__(self, channel: Any, *, timeout: float = TIMEOUT) -> None:
        self.channel, self.timeout = channel, timeout
        self._last_id = 0
        self._answers: dict[int, _Message] = {}
        self._waiting: dict[int, str] = {}
        self._kept: deque[Notification | ServerRequest] = deque()

    @classmethod
    def over(cls, channel: Any, *, timeout: float = TIMEOUT) -> Self:
        """Return the connection over *channel*: the one that another script began, where it is shared."""
        if not isinstance(channel.session, cls):
            channel.session = cls(channel, timeout=timeout)
        rpc: Self = channel.session
        rpc.channel, rpc.timeout = channel, timeout
        return rpc

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, is_change: bool = False
    ) -> Messages[RpcAnswer]:
        """Call *method* and return its answer."""
        id = yield from self.begin(method, params, is_change=is_change)
        return (yield from self.answer_to(id))

    def begin(self, method: str, params: Mapping[str, Any] | None = None, *, is_change: bool = False) -> Messages[int]:
        """Send a call, and return the id for `answer_to`."""
        self._last_id += 1
        id = self._last_id
        yield self._message({"id": id, "method": method, "params": params or {}}, is_change=is_change)
        self._waiting[id] = method
        return id

    def answer_to(self, id: int) -> Messages[RpcAnswer]:
        """Return the answer to a call that was begun."""
        try:
            while id not in self._answers:
                yield from self._read(self.timeout)
            message = self._answers.pop(id)
            return RpcAnswer(self._waiting[id], message.result, message.error)
        finally:
            self._waiting.pop(id, None)

    def call_all(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> Messages[tuple[RpcAnswer, ...]]:
        """Send several calls at once, and return their answers in the order of the calls."""
        ids, answers = [], []
        for method, params in calls:
            id = yield from self.begin(method, params)
            ids.append(id)
        for id in ids:
            answer = yield from self.answer_to(id)
            answers.append(answer)
        return tuple(answers)

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> Messages[None]:
        """Send a notification."""
        yield self._message({"method": method} | ({} if params is None else {"params": params}))

    def respond(self, request: ServerRequest, result: object) -> Messages[None]:
        """Answer a call of the other side."""
        yield self._message({"id": request.id, "result": result}, is_change=True)

    def refuse(self, request: ServerRequest, message: str, *, code: int = METHOD_NOT_FOUND) -> Messages[None]:
        """Answer a call of the other side with an error."""
        yield self._message({"id": request.id, "error": {"code": code, "message": message}})

    def next_message(self, timeout: float | None = None) -> Messages[Notification | ServerRequest | None]:
        """Return the next notification or call of the other side, None where none comes in *timeout* seconds."""
        while not self._kept:
            try:
                yield from self._read(self.timeout if timeout is None else timeout)
            except errors.TransportTimeoutError:
                return None
        return self._kept.popleft()

    def take_messages(self) -> tuple[Notification | ServerRequest, ...]:
        """Return the messages that were received and not yet read, without waiting for more."""
        messages = tuple(self._kept)
        self._kept.clear()
        return messages

    def _message(self, members: Mapping[str, object], *, is_change: bool = False) -> Send:
        return Send(self.channel, msgspec.json.encode({"jsonrpc": "2.0", **members}), is_change)

    def _read(self, timeout: float) -> Messages[None]:
        raw = yield Receive(self.channel, timeout)
        if raw is None:
            raise errors.TransportError("the service closed the connection before it answered")
        self._take(read_json(raw, _Message))

    def _take(self, message: _Message) -> None:
        if message.method is None:
            self._take_answer(message)
        elif len(self._kept) >= MAX_KEPT:
            raise errors.UnreadableResponseError(f"the service sent {MAX_KEPT} notifications in place of an answer")
        elif isinstance(message.id, int | str):
            self._kept.append(ServerRequest(message.id, message.method, message.params))
        else:
            self._kept.append(Notification(message.method, message.params))

    def _take_answer(self, message: _Message) -> None:
        if message.id is None and message.error is not None:  # of a message that the other side could not read
            raise error_of("a message", message.error)
        if type(message.id) is int and message.id in self._waiting:
            self._answers[message.id] = message
