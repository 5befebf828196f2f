"""Any handler as an ASGI application: requests of a socket in, responses out, and the faults that need a socket.

Guarantees:

- only requests for names of this machine are answered, so that a page of another site whose name resolves to loopback
  is not (DNS rebinding);
- a body is read after the request was authenticated, before a deadline, and within a limit of its route;
- all large bodies together hold at most `MAX_BODY` bytes of memory; further ones wait;
- handlers run in threads, since they use SQLite; the event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

import msgspec

from .. import errors
from .._protocol.effects import Request, Response
from .._server.asgi_requests import (
    BodyBudget,
    Message,
    Receive,
    Send,
    body_size,
    is_loopback_host,
    read_body,
    read_scope,
    reset_connection,
    wait_for_disconnect,
)
from .._server.handler import SMALL_BODY, Handler
from .._server.http_protocol import LOGGER, Limits
from .._server.socket_owner import is_same_user
from .responses import closing, detail

T = TypeVar("T")
# A starting diff is the largest thing that is sent here; the diffs of our own benchmark have 2 MB.
MAX_BODY = 64 * 1024 * 1024
# Bytes of target and headers; h11's own limit of what is incomplete.
MAX_HEAD = 16 * 1024
# As many as our own client has in flight (32), and as many streams beside them.
HANDLER_THREADS, STREAM_THREADS = 32, 64
# Nobody waits longer than this for an answer that a scripted timeout holds back.
MAX_STALL = 120.0
# How much of a request's path a log record shows.
MAX_LOGGED = 200

WRONG_HOST = detail("This server answers to names of loopback only", status=421)
TOO_LARGE = detail("The body is too large", status=413)
TOO_SLOW = closing(detail("The body did not arrive in time", status=408))
HEAD_TOO_LARGE = closing(detail("The headers are too large", status=431))
BAD_FRAMING = closing(detail("This is not a request of HTTP/1.1 or 1.0 with one way to read its body", status=400))
TOO_MANY_STREAMS = detail("Too many event streams are open", status=429, headers={"retry-after": "5"})
BROKEN = detail("Internal Server Error", status=500)


class Pages(Protocol):
    """Web pages beside the protocol; *is_owner* says that the request comes from the user who runs the server."""

    def matches(self, request: Request) -> bool:
        """Whether the request asks for a page."""
        ...

    def handle(self, request: Request, *, is_owner: bool) -> Response:
        """Answer it."""
        ...


class CloudApp:
    """ASGI over *handler*; `close` ends its threads.

    A handler that has a method ``admit`` is asked before a body is read: it returns how many bytes the body may have,
    or the response that refuses the request.
    """

    def __init__(
        self, handler: Handler, *, max_body: int = MAX_BODY, pages: Pages | None = None, limits: Limits | None = None
    ) -> None:
        self._handler, self._pages = handler, pages
        self._admit: Callable[[Request], int | Response] = getattr(handler, "admit", lambda _request: max_body)
        self._max_body = max_body
        self._limits = limits or Limits()
        self._bodies = BodyBudget(max_body)
        self._open_streams = 0
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, "cloud")
        self._streams = ThreadPoolExecutor(STREAM_THREADS, "cloud-stream")

    def close(self) -> None:
        """Take no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._streams.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            message = f"no {scope['type']} here"
            raise ValueError(message)
        try:
            response = await self._answer(scope, receive)
        except errors.TransportTimeoutError:
            await _stall(receive)
            reset_connection(scope)
        except errors.TransportError:
            reset_connection(scope)
        else:
            await self._send(response, receive, send, scope["method"] == "HEAD")

    async def _answer(self, scope: Message, receive: Receive) -> Response:
        if sum(map(len, (scope["raw_path"], scope["query_string"], *itertools.chain(*scope["headers"])))) > MAX_HEAD:
            return HEAD_TOO_LARGE  # h11 limits only what arrives in several pieces
        try:
            request = read_scope(scope)
            size = body_size(request, version=scope.get("http_version", "1.1"))
        except ValueError:
            return BAD_FRAMING
        if not is_loopback_host(dict(request.headers).get("host", "")):
            return WRONG_HOST
        limit = await self._admitted(request, size)
        if isinstance(limit, Response):
            # a client that waits for 100 Continue may send its body or not: the connection cannot be used again
            return closing(limit) if "expect" in dict(request.headers) else limit
        return await self._read_and_handle(request, scope, receive, limit if size is None else size)

    async def _admitted(self, request: Request, size: int | None) -> int | Response:
        """Return how many bytes the body may have, or the response that refuses the request before it is read."""
        if size == 0:  # the handler itself refuses what it does not admit
            return 0
        is_page = self._pages is not None and self._pages.matches(request)
        limit = SMALL_BODY if is_page else await self._in_thread(lambda: self._safely(self._admit, request))
        return TOO_LARGE if isinstance(limit, int) and size is not None and size > limit else limit

    async def _read_and_handle(self, request: Request, scope: Message, receive: Receive, size: int) -> Response:
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._limits.body):
                    await held.enter_async_context(self._bodies.reserve(size))
                    body = await read_body(receive, size)
            except TimeoutError:
                return TOO_SLOW
            if body is None:
                return closing(TOO_LARGE)
            whole = msgspec.structs.replace(request, body=body)
            return await self._in_thread(lambda: self._handle(whole, scope))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def _handle(self, request: Request, scope: Message) -> Response:
        if self._pages is not None and self._pages.matches(request):
            pages, is_owner = self._pages, is_same_user(scope.get("client"), scope.get("server"))
            return self._safely(lambda asked: pages.handle(asked, is_owner=is_owner), request)
        return self._safely(self._handler.handle, request)

    def _safely(self, function: Callable[[Request], T], request: Request) -> T | Response:
        try:
            return function(request)
        except errors.TransportError:
            raise
        except Exception:  # noqa: BLE001 - one bad request must not end the server; its reason goes to the log
            LOGGER.exception("%s %s", request.method, ascii(request.path[:MAX_LOGGED]))
            return BROKEN

    async def _send(self, response: Response, receive: Receive, send: Send, is_head: bool) -> None:  # noqa: FBT001
        if response.stream is not None and (is_head or self._open_streams >= STREAM_THREADS):
            response.stream.close()
            whole = msgspec.structs.replace(response, stream=None)
            response = whole if is_head else TOO_MANY_STREAMS
        headers = {**response.headers}
        if response.stream is None:
            headers.setdefault("content-length", str(len(response.body)))
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": pairs})
        if response.stream is not None:
            await self._send_stream(response.stream, receive, send)
        else:
            is_cut_short = int(headers["content-length"]) > len(response.body) and not is_head
            await send({"type": "http.response.body", "body": response.body, "more_body": is_cut_short})

    async def _send_stream(self, stream: Any, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(wait_for_disconnect(receive))
        self._open_streams += 1
        try:
            while not gone.done() and (
                chunk := await asyncio.get_running_loop().run_in_executor(self._streams, stream.read)
            ):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._open_streams -= 1
            gone.cancel()
            stream.close()


async def _stall(receive: Receive) -> None:
    try:
        async with asyncio.timeout(MAX_STALL):
            await wait_for_disconnect(receive)
    except TimeoutError:
        pass
