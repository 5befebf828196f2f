"""Requests of an ASGI server: their head, their body within limits, and their connection.

Guarantees:

- a body that is framed in two ways is refused (RFC 9112 sections 6.1 and 6.3);
- reading stops as soon as a body is larger than its limit;
- the bodies that are held at once take at most the memory of their `BodyBudget`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from .. import errors
from .._protocol.effects import Request
from .handler import SMALL_BODY

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class BodyBudget:
    """Memory for request bodies. Bodies of `SMALL_BODY` or less are not counted."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Hold *size* bytes while the block runs; waits until they are free."""
        if size <= SMALL_BODY:
            yield
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            async with self._changed:
                self._changed.notify_all()


# RFC 9112 section 3.2.2: a server accepts a whole URL as the target, and its authority replaces the Host header.
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)


def read_scope(scope: Message) -> Request:
    """Return what a request asks, without its body."""
    path = scope["raw_path"].decode("latin-1").partition("?")[0]
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    if absolute := _ABSOLUTE.fullmatch(path):
        path = absolute[2] or "/"
        headers = (*(pair for pair in headers if pair[0] != "host"), ("host", absolute[1] or "-"))
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Request(scope["method"], path, query=tuple(query), headers=headers)


def body_size(request: Request, *, version: str) -> int | None:
    """Return how many bytes the body has, None where only its end will tell (chunked).

    Raises `ValueError` for framing that two programs could read in two ways (RFC 9112 sections 6.1 and 6.3).
    """
    lengths = [value for name, value in request.headers if name == "content-length"]
    is_chunked = any(name == "transfer-encoding" for name, _ in request.headers)
    if version not in ("1.0", "1.1") or (is_chunked and (lengths or version == "1.0")):
        message = "a chunked body has no Content-Length, and HTTP/1.0 no chunked bodies"
        raise ValueError(message)
    return None if is_chunked else int(lengths[0]) if lengths else 0


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


_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header names this machine (no header: HTTP/1.0, which no browser sends)."""
    return not host or _LOOPBACK.fullmatch(host) is not None


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# struct linger {int on, int seconds}: on with 0 seconds makes close() send a reset (socket(7), SO_LINGER).
_LINGER_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


def reset_connection(scope: Message) -> None:
    """Reset the connection of a request."""
    import socket

    transport = scope.get("state", {}).get("transport")
    if transport is not None and not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
