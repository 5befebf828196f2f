"""A provider of A2A for tests, with the emulator of an agent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck.cloud.faults import Answer, RepeatingCursor
from coatcheck.providers.a2a.provider import A2AProvider
from coatcheck.providers.a2a.service import Service
from coatcheck.testing.emulators.a2a import HTTP_PATH, RPC_PATH, TOKEN, A2AEmulator

BASE = "http://127.0.0.1:9"


class Settings:
    """Settings of a provider, by name."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        del variable
        return self._values.get(name)


def provider(base_url: str = BASE, **settings: str) -> A2AProvider:
    """Return the provider of the agent at *base_url*."""
    return A2AProvider(Service.of(Settings(base_url=base_url, **settings)))


def agent(binding: str) -> Callable[..., A2AEmulator]:
    """Return what makes an agent whose card prefers *binding*."""
    others = [each for each in ("HTTP+JSON", "JSONRPC") if each != binding]
    return partial(A2AEmulator, bindings=("GRPC", binding, *others))


def recorded(binding: str, life: tuple[str, ...]) -> bytes:
    """Return the response for a task whose states were *life*."""
    emulator = A2AEmulator(life)
    message = {"messageId": "m1", "contextId": "c1", "role": "ROLE_USER", "parts": [{"text": "Say hello"}]}
    call(emulator, binding, "SendMessage", {"message": message})
    body = b""
    for _ in life[1:]:
        body = call(emulator, binding, "GetTask", {"id": "task-1"}).body
    return body


def call(emulator: A2AEmulator, binding: str, name: str, parameters: dict[str, Any]) -> Response:
    """Make a call, as another client of the agent."""
    headers = (("authorization", f"Bearer {TOKEN}"), ("host", "127.0.0.1:9"))
    if binding == "JSONRPC":
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 7, "method": name, "params": parameters})
        return emulator.handle(Request("POST", RPC_PATH, headers=headers, body=body))
    if name == "GetTask":
        return emulator.handle(Request("GET", f"{HTTP_PATH}/tasks/{parameters['id']}", headers=headers))
    body = msgspec.json.encode(parameters)
    return emulator.handle(Request("POST", f"{HTTP_PATH}/message:send", headers=headers, body=body))


class RepeatingRpcCursor(RepeatingCursor, frozen=True, kw_only=True):
    """The same for JSON-RPC, where the cursor is in the bodies."""

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        call = msgspec.json.decode(request.body)
        query = tuple((name, str(value)) for name, value in call["params"].items())
        return super().act(msgspec.structs.replace(request, query=query), answer, clock)

    def _first_page(self, request: Request, answer: Answer) -> Response:
        del request
        return Response(200, body=msgspec.json.encode(self.edit({"result": {"tasks": []}})))

    def edit(self, document: object) -> object:
        assert isinstance(document, dict)
        return {**document, "result": {**document["result"], self.key: self.cursor}}
