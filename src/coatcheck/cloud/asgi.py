"""Any handler as an ASGI application: bytes of a socket in, bytes out, and the faults that need a socket.

Law 1. Only names of this machine are answered: a page of another site that has its name point at loopback is not.
Law 2. Handlers run in threads, since they touch SQLite; the loop only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from .. import errors
from .._protocol.effects import Request, Response
from ..testing.emulator_transport import Handler
from .responses import detail

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# A starting diff is the largest thing that is sent here; the diffs of DESIGN's own benchmark have 2 MB.
MAX_BODY = 64 * 1024 * 1024
# As many as our own client has in flight (32), and as many streams beside them.
HANDLER_THREADS, STREAM_THREADS = 32, 64
# Nobody waits longer than this for an answer that a scripted timeout holds back.
MAX_STALL = 120.0

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

WRONG_HOST = detail("This server answers to names of loopback only", status=421)
TOO_LARGE = detail("The body is too large", status=413)
BROKEN = detail("Internal Server Error", status=500)


class TransportProtocol(H11Protocol):
    """HTTP/1.1 that lets the application reach its connection, to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the state that every request's scope gets."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class CloudApp:
    """ASGI over *handler*; `close` ends its threads."""

    def __init__(self, handler: Handler, *, max_body: int = MAX_BODY) -> None:
        self._handler = handler
        self._max_body = max_body
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
            cut(scope)
        except errors.TransportError:
            cut(scope)
        else:
            await self._send(response, receive, send, scope["method"] == "HEAD")

    async def _answer(self, scope: Message, receive: Receive) -> Response:
        request = read_scope(scope)
        if not is_ours(dict(request.headers).get("host", "")):
            return WRONG_HOST
        body = await read_body(receive, self._max_body)
        if body is None:
            return TOO_LARGE
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._handle, msgspec.structs.replace(request, body=body)
        )

    def _handle(self, request: Request) -> Response:
        try:
            return self._handler.handle(request)
        except errors.TransportError:
            raise
        except Exception:
            import logging  # 5 ms to import, and this never happens

            # one bad request must not end the server; its reason goes to the log
            logging.getLogger("coatcheck.cloud").exception("%s %s", request.method, request.path)
            return BROKEN

    async def _send(self, response: Response, receive: Receive, send: Send, is_head: bool) -> None:  # noqa: FBT001
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
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            while not gone.done() and (
                chunk := await asyncio.get_running_loop().run_in_executor(self._streams, stream.read)
            ):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            stream.close()


def read_scope(scope: Message) -> Request:
    """Return what a request asks, without its body."""
    return Request(
        scope["method"],
        scope["raw_path"].decode("latin-1").partition("?")[0],
        query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
    )


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Return the whole body, None as soon as it is larger than *limit*."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)
    gone = "the client went away"
    raise errors.TransportError(gone)


def is_ours(host: str) -> bool:
    """Whether a ``Host`` header names this machine (no header: HTTP/1.0, which no browser speaks)."""
    try:
        return not host or urlsplit(f"//{host}").hostname in HOSTS
    except ValueError:
        return False


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stall(receive: Receive) -> None:
    try:
        async with asyncio.timeout(MAX_STALL):
            await _disconnected(receive)
    except TimeoutError:
        pass


# struct linger {int on, int seconds}: on with 0 seconds makes close() send a reset (socket(7), SO_LINGER).
_LINGER_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


def cut(scope: Message) -> None:
    """Reset the connection of a request."""
    import socket

    transport = scope.get("state", {}).get("transport")
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
