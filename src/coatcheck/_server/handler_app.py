"""A `Handler` as an ASGI application, with the faults of a test's handler that need a socket.

Guarantees:

- a body is read after the handler admitted the request, before a deadline, and within a limit of its route;
- all large bodies together hold at most `MAX_BODY` bytes of memory (`coatcheck._server.request_bodies`);
- handlers run in threads, since they use SQLite; the event loop only moves bytes;
- an error of the handler is a 500 and a log record, and ends nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import msgspec

from .. import errors
from .._protocol.effects import Request, Response
from .asgi_requests import body_size, header, read_scope, reset_connection, wait_for_disconnect
from .asgi_types import Receive, Scope, Send
from .handler import Handler
from .http_protocol import LOGGER, Limits
from .problems import closing, problem
from .request_bodies import BodyBudget

T = TypeVar("T")
# The response for a status and a sentence, in the form that the handler's service uses.
ErrorFormat: TypeAlias = Callable[[int, str], Response]
# A starting diff is the largest body; the diffs of our own benchmark have 2 MB.
MAX_BODY = 64 * 1024 * 1024
# As many as our own client has in flight (32), and as many streams beside them.
HANDLER_THREADS, STREAM_THREADS = 32, 64
# No client waits longer than this (seconds) for a response that a scripted timeout holds back.
MAX_STALL = 120.0
# How many characters of a request's path a log record shows.
MAX_LOGGED = 200


class HandlerApp:
    """ASGI over *handler*; `close` ends its threads.

    A handler that has a method ``admit`` is called before a body is read: it returns how many bytes the body may have,
    or the response that refuses the request. *error* is the form of errors; a problem document (RFC 9457) by default.
    """

    def __init__(
        self, handler: Handler, *, max_body: int = MAX_BODY, limits: Limits | None = None, error: ErrorFormat = problem
    ) -> None:
        self._handler, self._error = handler, error
        self._admit: Callable[[Request], int | Response] = getattr(handler, "admit", lambda _request: max_body)
        self._limits = limits or Limits()
        self._bodies = BodyBudget(max_body)
        self._open_streams = 0
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, "handler")
        self._streams = ThreadPoolExecutor(STREAM_THREADS, "stream")

    def close(self) -> None:
        """Take no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._streams.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._answer(scope, receive)
        except errors.TransportTimeoutError:
            await _stall(receive)
            reset_connection(scope)
        except errors.TransportError:
            reset_connection(scope)
        else:
            await self._send(response, receive, send, is_head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        request, size = read_scope(scope), body_size(scope)
        limit = await self._admitted(request, size)
        if isinstance(limit, Response):
            # a client that waits for 100 Continue may send its body or not: the connection cannot be used again
            return closing(limit) if header(scope, b"expect") else limit
        return await self._read_and_handle(request, receive, limit if size is None else size)

    async def _admitted(self, request: Request, size: int | None) -> int | Response:
        """Return how many bytes the body may have, or the response that refuses the request before it is read."""
        if size == 0:  # the handler itself refuses what it does not admit
            return 0
        limit = await self._in_thread(lambda: self._safely(self._admit, request))
        if isinstance(limit, int) and size is not None and size > limit:
            return self._error(413, "The body is too large")
        return limit

    async def _read_and_handle(self, request: Request, receive: Receive, limit: int) -> Response:
        try:
            async with self._bodies.reading(receive, limit=limit, timeout=self._limits.body) as body:
                if body is None:
                    return closing(self._error(413, "The body is too large"))
                whole = msgspec.structs.replace(request, body=body)
                return await self._in_thread(lambda: self._safely(self._handler.handle, whole))
        except TimeoutError:
            return closing(self._error(408, "The body did not arrive in time"))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def _safely(self, function: Callable[[Request], T], request: Request) -> T | Response:
        try:
            return function(request)
        except errors.TransportError:
            raise
        except Exception:  # noqa: BLE001 - one bad request must not end the server; its reason goes to the log
            LOGGER.exception("%s %s", request.method, ascii(request.path[:MAX_LOGGED]))
            return self._error(500, "Internal Server Error")

    async def _send(self, response: Response, receive: Receive, send: Send, *, is_head: bool) -> None:
        if response.stream is not None and (is_head or self._open_streams >= STREAM_THREADS):
            response.stream.close()
            response = msgspec.structs.replace(response, stream=None) if is_head else self._too_many_streams()
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

    def _too_many_streams(self) -> Response:
        response = self._error(429, "Too many event streams are open")
        return msgspec.structs.replace(response, headers={**response.headers, "retry-after": "5"})

    async def _send_stream(self, stream: Any, receive: Receive, send: Send) -> None:
        disconnected = asyncio.ensure_future(wait_for_disconnect(receive))
        self._open_streams += 1
        try:
            while not disconnected.done() and (
                chunk := await asyncio.get_running_loop().run_in_executor(self._streams, stream.read)
            ):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._open_streams -= 1
            disconnected.cancel()
            stream.close()


async def _stall(receive: Receive) -> None:
    try:
        async with asyncio.timeout(MAX_STALL):
            await wait_for_disconnect(receive)
    except TimeoutError:
        pass
