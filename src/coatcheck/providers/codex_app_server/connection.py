"""A connection to a host, and what its errors mean.

Invariants:

- a connection is initialized once (docs/reference/protocols/codex-app-server.md, "2 Handshake");
- nearly every error has the code -32600, so it is classified by the method and by what was read before, never by its
  text: where a thread cannot be read it is not there, and what is refused afterwards does not fit its state.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from ...provider import USER_AGENT, JsonRpc, RpcAnswer, errors, open_channel
from . import wire
from .endpoints import NAME, Service

T = TypeVar("T")

OVERLOADED = -32001
# Of Codex Cloud (docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads").
UNAUTHORIZED = -32002
REFUSED = -32600
# Pieces of texts that come again whole.
UNWANTED = (
    "item/agentMessage/delta",
    "item/plan/delta",
    "item/reasoning/textDelta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/summaryPartAdded",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
)
CAPABILITIES: Mapping[str, Any] = {"experimentalApi": True, "optOutNotificationMethods": list(UNWANTED)}


class HostConnection(JsonRpc):
    """A connection to a host. `codex_home` is the host's CODEX_HOME, where it reported one."""

    is_initialized = False
    codex_home: str | None = None

    def folder(self, service: Service) -> str:
        """Return the folder on the host for checkouts. Raises `ConfigurationError` where it is not known."""
        if service.workspaces is not None:
            return service.workspaces.rstrip("/")
        if not self.codex_home:
            raise errors.ConfigurationError(
                "the host does not report its CODEX_HOME", remedy=f"set {NAME}.workspaces to a folder on the host"
            )
        return f"{self.codex_home.rstrip('/')}/coatcheck"


def connect(service: Service) -> Generator[Any, Any, HostConnection]:
    """Return a connection to the host that takes calls."""
    channel = yield from open_channel(service.open())
    connection = HostConnection.over(channel)
    if not connection.is_initialized:
        yield from initialize(connection, CAPABILITIES)
    return connection


def initialize(connection: HostConnection, capabilities: Mapping[str, Any]) -> Generator[Any, Any, None]:
    """Begin the protocol on a new connection."""
    connection.is_initialized = True
    parameters = {
        "clientInfo": {"name": "coatcheck", "title": "coatcheck", "version": USER_AGENT.partition("/")[2]},
        "capabilities": capabilities,
    }
    answer = yield from connection.call("initialize", parameters)
    connection.codex_home = checked(answer).decode(wire.Initialized).codexHome
    yield from connection.notify("initialized")


def checked(answer: RpcAnswer) -> RpcAnswer:
    """Return *answer*. Raises `RateLimitError` for a host that is overloaded, else the error of the answer."""
    code = answer.error.code if answer.error is not None else None
    if code == OVERLOADED:
        raise errors.RateLimitError(f"the host is overloaded: {answer.method} was not taken", detail=_detail(answer))
    if code == UNAUTHORIZED:
        raise errors.AuthenticationError(f"{answer.method} was not authorized", status=401, detail=_detail(answer))
    answer.check()
    return answer


def call(
    connection: JsonRpc, method: str, parameters: Mapping[str, Any], shape: type[T], *, is_change: bool = False
) -> Generator[Any, Any, T]:
    """Call *method* and return its result as *shape*."""
    answer = yield from connection.call(method, parameters, is_change=is_change)
    return checked(answer).decode(shape)


def change(
    connection: JsonRpc, method: str, parameters: Mapping[str, Any], *, id: str
) -> Generator[Any, Any, RpcAnswer]:
    """Call *method*, which changes a thread that was read before. Raises `ConflictError` where its state does not fit."""
    answer = yield from connection.call(method, parameters, is_change=True)
    if answer.error is not None and answer.error.code == REFUSED:
        error = error_for_state(answer, id)
        raise error
    return checked(answer)


def error_for_state(answer: RpcAnswer, id: str) -> errors.ConflictError:
    """Return the error for a call that does not fit the state of the thread *id*."""
    detail = _detail(answer)
    is_resumed = answer.method == "thread/resume"
    return errors.ConflictError(
        f"{answer.method} is not possible for {NAME}:{id} now: {detail}",
        status=409,
        detail=detail,
        remedy=f"if it is archived: coatcheck unarchive {NAME}:{id}"
        if is_resumed
        else f"see its state with: coatcheck show {NAME}:{id}",
    )


def _detail(answer: RpcAnswer) -> str | None:
    """Return the reason in an answer's error, without what looks like a secret."""
    try:
        answer.check()
    except errors.ProviderError as error:
        return error.detail
    return None


def require_thread(answer: RpcAnswer, id: str) -> RpcAnswer:
    """Return the answer to a call that reads a thread. Raises `NotFoundError` where there is none."""
    if answer.error is not None and answer.error.code == REFUSED:
        raise errors.NotFoundError(f"the host has no thread {id}", status=404, detail=answer.error.message or None)
    return checked(answer)
