"""Transports that pass requests to a handler in the same process, without a network.

A *handler* is anything with ``handle(request) -> Response`` that may raise `coatcheck.errors.TransportError`, such as
`coatcheck.cloud.scripted_cloud.ScriptedCloud`. Both transports treat a response as the real ones do: they decompress
it, report one that is truncated or too large, and return it whole or in chunks. A request with a `channel` is answered
with status 101 and a channel as its `stream`: an object with ``send(message)``, ``receive(timeout)`` and ``close()``.
"""

from __future__ import annotations

import zlib
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from .. import errors
from .._protocol.effects import Request, Response
from .._server.handler import Handler

__all__ = ["AsyncEmulatorTransport", "Chunks", "EmulatorTransport", "Handler"]

# Enough for every valid response in a test, and little enough for a test machine.
MAX_BODY = 64 * 1024 * 1024


class ChunkSource(Protocol):
    """The body of a response in chunks; ``b""`` is its end."""

    def read(self) -> bytes:
        """Return the next chunk."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


class Channel(Protocol):
    """A channel of an emulator."""

    def send(self, message: bytes) -> None:
        """Take a message, or raise `TransportError`."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """Return the next message, None at the end. Raises `TransportTimeoutError` where there is none."""
        ...

    def close(self) -> None:
        """End the channel."""
        ...


class EmulatorTransport:
    """A blocking transport to *handler*; `requests` are the requests that it has sent."""

    def __init__(self, handler: Handler, *, max_body: int = MAX_BODY) -> None:
        self.handler = handler
        self.max_body = max_body
        self.requests: list[Request] = []
        self.is_closed = False

    def send(self, request: Request) -> Response:
        """Return the response to *request*, or raise `TransportError`."""
        self.requests.append(request)
        return deliver(self.handler, request, self.max_body)

    def open_channel(self, request: Request) -> Response:
        """Return the answer to a handshake."""
        return self.send(request)

    def close_channels(self) -> None:
        """Do nothing: scripts close their channels."""

    def close(self) -> None:
        """Set `is_closed`."""
        self.is_closed = True


class AsyncEmulatorTransport:
    """The asyncio variant of `EmulatorTransport`."""

    def __init__(self, handler: Handler, *, max_body: int = MAX_BODY) -> None:
        self._inner = EmulatorTransport(handler, max_body=max_body)
        self.requests = self._inner.requests

    @property
    def is_closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._inner.is_closed

    async def send(self, request: Request) -> Response:
        """Return the response to *request*, or raise `TransportError`."""
        response = self._inner.send(request)
        if response.stream is None:
            return response
        return msgspec.structs.replace(response, stream=AsyncChunks(response.stream))

    async def open_channel(self, request: Request) -> Response:
        """Return the answer to a handshake."""
        response = self._inner.send(request)
        return (
            response
            if response.stream is None
            else msgspec.structs.replace(response, stream=AsyncChannel(response.stream))
        )

    async def aclose_channels(self) -> None:
        """Do nothing: scripts close their channels."""

    async def aclose(self) -> None:
        """Set `is_closed`."""
        self._inner.close()


class Chunks:
    """A body as a stream of one chunk."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        """Return the body, then ``b""``."""
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """Stop reading."""
        self._body = b""


class AsyncChunks:
    """An asyncio interface to a blocking stream."""

    def __init__(self, source: ChunkSource) -> None:
        self._source = source

    async def aread(self) -> bytes:
        """Return the next chunk."""
        return self._source.read()

    async def aclose(self) -> None:
        """Stop reading."""
        self._source.close()


class AsyncChannel:
    """An asyncio interface to a channel of an emulator."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.session: object = None

    async def asend(self, message: bytes) -> None:
        """Send a message."""
        self._channel.send(message)

    async def areceive(self, timeout: float) -> bytes | None:
        """Return the next message, None at the end."""
        return self._channel.receive(timeout)

    async def aclose(self) -> None:
        """Close the channel."""
        self._channel.close()


def deliver(handler: Handler, request: Request, max_body: int = MAX_BODY) -> Response:
    """Return the handler's response to *request* as a client receives it."""
    response = handler.handle(as_received(request))
    if response.status == 101 and request.channel is not None:
        return response
    if request.stream and response.status < 300:
        stream = response.stream or Chunks(_inflate(response, max_body))
        return Response(status=response.status, headers=response.headers, url=request.url, stream=stream)
    body = _inflate(response, max_body) if response.stream is None else _read_all(response.stream, max_body)
    return Response(status=response.status, headers=response.headers, body=body, url=request.url)


def as_received(request: Request) -> Request:
    """Return *request* as a server receives it: an absolute URL becomes path and query."""
    if not request.url:
        return request
    parts = urlsplit(request.url)
    query = (*parse_qsl(parts.query, keep_blank_values=True), *request.query)
    return msgspec.structs.replace(request, path=parts.path or "/", query=query)


def _read_all(stream: ChunkSource, max_body: int) -> bytes:
    body = bytearray()
    while chunk := stream.read():
        body += chunk
        if len(body) > max_body:
            stream.close()
            raise _too_large(max_body)
    return bytes(body)


def _inflate(response: Response, max_body: int) -> bytes:
    body = response.body
    if int(response.headers.get("content-length", len(body))) != len(body):
        message = "the connection was closed before the whole response was received"
        raise errors.TransportError(message, request_sent=True)
    if response.headers.get("content-encoding") == "gzip":
        body = _gunzip(body, max_body)
    if len(body) > max_body:
        raise _too_large(max_body)
    return body


def _gunzip(body: bytes, max_body: int) -> bytes:
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(body, max_body + 1)
    except zlib.error as error:
        message = f"the response is not valid gzip: {error}"
        raise errors.TransportError(message, request_sent=True) from None
    if not inflater.eof and len(inflated) <= max_body:
        message = "the gzip data of the response is truncated"
        raise errors.TransportError(message, request_sent=True)
    return inflated


def _too_large(max_body: int) -> errors.TransportError:
    message = f"the response is larger than {max_body} bytes"
    return errors.TransportError(message, request_sent=True)
