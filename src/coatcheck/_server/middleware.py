"""Middleware in pure ASGI: checks that a request passes before the application sees it.

Guarantees:

- a request is refused before its body is read, by `CheckHead`, `LoopbackOnly` and `RequireBearer`;
- refusals are problem documents (RFC 9457);
- behind `LimitBody` an application is given a body that is complete and within the limit.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from .. import errors
from .._protocol.effects import Response
from .asgi_requests import bearer_token, body_size, header, is_loopback_host, reset_connection, with_origin_target
from .asgi_types import App, Message, Receive, Scope, Send
from .handler import SMALL_BODY
from .problems import closing, problem
from .request_bodies import read_body

# Bytes of target and headers; h11's own limit concerns only what arrives in several pieces.
MAX_HEAD = 16 * 1024

HEAD_TOO_LARGE = closing(problem(431, "The headers are too large"))
BAD_FRAMING = closing(problem(400, "This is not a request of HTTP/1.1 or 1.0 with one way to read its body"))
WRONG_HOST = problem(421, "This server answers to names of loopback only")
NO_TOKEN = problem(401, "A bearer token of this server is required", headers={"www-authenticate": "Bearer"})
BODY_TOO_LARGE = closing(problem(413, "The body is too large"))
BODY_TOO_SLOW = closing(problem(408, "The body did not arrive in time"))


async def send_response(response: Response, send: Send) -> None:
    """Send a whole response."""
    length = {} if response.status == 204 else {"content-length": str(len(response.body))}
    headers = {**length, **response.headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": response.body})


class CheckHead:
    """Refuse headers that are too large and ambiguous bodies; make the target a path."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not supported")
        parts = (scope["raw_path"], scope["query_string"], *itertools.chain(*scope["headers"]))
        if sum(map(len, parts)) > MAX_HEAD:
            return await send_response(HEAD_TOO_LARGE, send)
        try:
            body_size(scope)
        except ValueError:
            return await send_response(BAD_FRAMING, send)
        return await self._app(with_origin_target(scope), receive, send)


class LoopbackOnly:
    """Refuse a ``Host`` header that does not name this machine: a page of another site may resolve to it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if is_loopback_host(header(scope, b"host")):
            await self._app(scope, receive, send)
        else:
            await send_response(WRONG_HOST, send)


class RequireBearer:
    """Refuse a request whose bearer token *accepts* does not accept. *accepts* is called in a thread."""

    def __init__(self, app: App, accepts: Callable[[str], bool]) -> None:
        self._app, self._accepts = app, accepts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        token = bearer_token(header(scope, b"authorization"))
        is_accepted: bool = token != "" and await asyncio.to_thread(self._accepts, token)
        if is_accepted:
            await self._app(scope, receive, send)
        else:
            await send_response(NO_TOKEN, send)


class LimitBody:
    """Read a body of at most *limit* bytes within *seconds*, then call the application."""

    def __init__(self, app: App, *, limit: int = SMALL_BODY, seconds: float = 20.0) -> None:
        self._app, self._limit, self._seconds = app, limit, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if (body_size(scope) or 0) > self._limit:
            return await send_response(BODY_TOO_LARGE, send)
        try:
            async with asyncio.timeout(self._seconds):
                body = await read_body(receive, self._limit)
        except TimeoutError:
            return await send_response(BODY_TOO_SLOW, send)
        except errors.TransportError:
            return reset_connection(scope)
        if body is None:
            return await send_response(BODY_TOO_LARGE, send)
        return await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `Receive` that gives *body*, then what *receive* gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
