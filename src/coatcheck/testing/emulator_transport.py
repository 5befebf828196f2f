"""Put a server of ours where the network would be, in the same process.

A *handler* is anything with ``handle(request) -> Response`` that may raise `coatcheck.errors.TransportError`, such as
`coatcheck.cloud.scripted_cloud.ScriptedCloud`. Both transports do what the real ones do with an answer: inflate it, find it
cut short or too large, and hand it out whole or in chunks.
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

# Enough for every honest answer of a test, little enough for a test machine.
MAX_BODY = 64 * 1024 * 1024


class ChunkSource(Protocol):
    """The body of an answer that comes in chunks; ``b""`` is its end."""

    def read(self) -> bytes:
        """Return the next chunk."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class EmulatorTransport:
    """A blocking transport to *handler*; `requests` is what went through it."""

    def __init__(self, handler: Handler, *, max_body: int = MAX_BODY) -> None:
        self.handler = handler
        self.max_body = max_body
        self.requests: list[Request] = []
        self.is_closed = False

    def send(self, request: Request) -> Response:
        """Answer *request*, or raise what a transport raises."""
        self.requests.append(request)
        return deliver(self.handler, request, self.max_body)

    def close(self) -> None:
        """Note that nobody will ask any more."""
        self.is_closed = True


class AsyncEmulatorTransport:
    """The asynchronous twin of `EmulatorTransport`."""

    def __init__(self, handler: Handler, *, max_body: int = MAX_BODY) -> None:
        self._inner = EmulatorTransport(handler, max_body=max_body)
        self.requests = self._inner.requests

    @property
    def is_closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._inner.is_closed

    async def send(self, request: Request) -> Response:
        """Answer *request*, or raise what a transport raises."""
        response = self._inner.send(request)
        if response.stream is None:
            return response
        return msgspec.structs.replace(response, stream=AsyncChunks(response.stream))

    async def aclose(self) -> None:
        """Note that nobody will ask any more."""
        self._inner.close()


class Chunks:
    """A body as a stream of one chunk."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        """Return the body, then nothing."""
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """Read no more."""
        self._body = b""


class AsyncChunks:
    """The asynchronous face of a stream."""

    def __init__(self, source: ChunkSource) -> None:
        self._source = source

    async def aread(self) -> bytes:
        """Return the next chunk."""
        return self._source.read()

    async def aclose(self) -> None:
        """Read no more."""
        self._source.close()


def deliver(handler: Handler, request: Request, max_body: int = MAX_BODY) -> Response:
    """Return what a client sees of the handler's answer to *request*."""
    response = handler.handle(as_received(request))
    if request.stream and response.status < 300:
        stream = response.stream or Chunks(_inflate(response, max_body))
        return Response(status=response.status, headers=response.headers, url=request.url, stream=stream)
    body = _inflate(response, max_body) if response.stream is None else _read_all(response.stream, max_body)
    return Response(status=response.status, headers=response.headers, body=body, url=request.url)


def as_received(request: Request) -> Request:
    """Return *request* as a server sees it: an absolute URL is its path and query."""
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
        message = "the connection was closed before the whole answer came"
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
        message = f"the answer is not the gzip that it says: {error}"
        raise errors.TransportError(message, request_sent=True) from None
    if not inflater.eof and len(inflated) <= max_body:
        message = "the answer's gzip ends too early"
        raise errors.TransportError(message, request_sent=True)
    return inflated


def _too_large(max_body: int) -> errors.TransportError:
    message = f"the answer is larger than {max_body} bytes"
    return errors.TransportError(message, request_sent=True)
