"""Drive one exchange with canned answers: no HTTP, no client."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from coatcheck._protocol.effects import Emit, Read, Request, Response
from coatcheck.providers._chatgpt.credentials import LOGIN
from coatcheck.providers.codex.endpoints import Service
from coatcheck.providers.codex.provider import CodexProvider

DATA = Path(__file__).parents[2] / "data/codex"

PROVIDER = CodexProvider(Service.at("https://chatgpt.com/backend-api", name="codex"), LOGIN)


class AnsweredExchange(NamedTuple):
    """What an exchange requested, returned and emitted."""

    requests: list[Request]
    result: Any
    emitted: list[Any]

    @property
    def lines(self) -> list[str]:
        """Return each request as a line."""
        return [line(request) for request in self.requests]


class Stream:
    """A streamed body in chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = [*chunks, b""]


def recorded(name: str) -> bytes:
    """Return the bytes of a transcript."""
    return (DATA / f"{name}.json").read_bytes()


def answer(body: object, status: int = 200, **headers: str) -> Response:
    """Return a response: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json", **headers}, data)


def line(request: Request) -> str:
    """Return *request* as ``METHOD path?query``, not encoded."""
    query = "&".join(f"{name}={value}" for name, value in request.query)
    return f"{request.method} {request.path}{'?' if query else ''}{query}"


def answer_exchange(exchange: Generator[Any, Any, Any], *answers: Response) -> AnsweredExchange:
    """Send *answers* to *exchange* one by one; all of them are used, and no more are requested."""
    waiting, requests, emitted, reply = list(answers), [], [], None
    try:
        while True:
            wish = exchange.send(reply)
            if isinstance(wish, Request):
                requests.append(wish)
                reply = waiting.pop(0)
            elif isinstance(wish, Read):
                reply = wish.stream.chunks.pop(0)
            else:
                assert isinstance(wish, Emit)
                emitted.append(wish.value)
                reply = None
    except StopIteration as stop:
        assert not waiting
        return AnsweredExchange(requests, stop.value, emitted)
