"""The same transports over httpx2, for programs that need pure Python or pass a client.

Invariants:

- the invariants of `transport`; the same tests check all four classes;
- the options apply to a client that was passed in, too, except what is set when it is created: its connections,
  proxies and certificates. It is never closed here.

httpx2 has no time limit for a whole request. Under asyncio it is put around it; in the blocking one each read from a
socket gets what is left of it, in the status line and the headers as well as in the body. Of a client that was brought
only the reads of the body do.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from .. import errors
from .._installation import install_command
from .._protocol.effects import Request, Response
from .network import (
    ACCEPT_ENCODING,
    USER_AGENT,
    Clients,
    Route,
    TransportOptions,
    address,
    bad_certificates,
    check_length,
    closed,
    failure,
    joined,
    limit_of,
    read_certificates,
    too_large,
    unreadable,
    unsendable,
)

try:
    import httpcore2
    import httpx2
except ImportError:
    raise errors.ConfigurationError(
        "the httpx2 transport needs httpx2", remedy=f"install it with: {install_command('httpx2')}"
    ) from None

_DEFAULT_HEADERS = {"accept": "*/*", "accept-encoding": ACCEPT_ENCODING, "user-agent": USER_AGENT}

# zlib's `wbits` for each coding that we accept; RFC 9110, section 8.4.1: "deflate" is the zlib format.
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

# As much as is inflated at a time, so that a small answer cannot become a large one at a stroke: httpx2's own figure.
_PIECE = 2**20

# Errors before a connection is established; a proxy's refusal is one of them, since there is no tunnel then.
_NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

# What httpx2 refuses before it sends anything. Their words quote what was to be sent.
_UNSENDABLE = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)

# What reading an answer may raise beside httpx2's own errors.
_UNREADABLE = (httpx2.InvalidURL, ValueError, TypeError)

# The bytes of a field's value (RFC 9110, section 5.5): HTAB, and everything but controls.
_CONTROLS = frozenset(range(0x20)) - {0x09} | {0x7F}


class Httpx2Transport:
    """Send requests with httpx2, blocking; *client* is used, and left open, if it is given."""

    def __init__(self, options: TransportOptions | None = None, *, client: httpx2.Client | None = None) -> None:
        self._options = options or TransportOptions()
        make = _client if client is None else lambda *_: client
        self._clients: Clients[httpx2.Client] = Clients(self._options, make)
        self._is_owner = client is None

    def send(self, request: Request) -> Response:
        """Return the response to *request*; see `Transport`."""
        client = self._clients.take(request)
        translate = partial(_translated, request=request, proxy=self._clients.proxy(request))
        deadline = _Deadline(request, self._options)
        try:
            outgoing = _outgoing(request, self._options)
            _CURRENT.deadline = deadline
            answer = client.send(outgoing, stream=True, auth=httpx2.Auth(), follow_redirects=False)
            stream = _Stream(answer, deadline, translate)
            if request.stream and answer.status_code < 300:
                return Response(answer.status_code, _mapping(answer), url=request.url, stream=stream)
            try:
                return self._whole(answer, stream, request)
            finally:
                stream.close()
        except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
            raise translate(error) from None

    def close(self) -> None:
        """Close every client that is ours."""
        for client in self._clients.close():
            if self._is_owner:
                client.close()

    def _whole(self, answer: httpx2.Response, stream: _Stream, request: Request) -> Response:
        check_length(request, answer.headers, self._options.max_body)
        size, chunks = 0, []
        while chunk := stream.read():
            size += len(chunk)
            if size > self._options.max_body:
                raise too_large(request, self._options.max_body)
            chunks.append(chunk)
        return Response(answer.status_code, _mapping(answer), b"".join(chunks), request.url)


class AsyncHttpx2Transport:
    """Send requests with httpx2, under asyncio; *client* is used, and left open, if it is given."""

    def __init__(self, options: TransportOptions | None = None, *, client: httpx2.AsyncClient | None = None) -> None:
        self._options = options or TransportOptions()
        make = _async_client if client is None else lambda *_: client
        self._clients: Clients[httpx2.AsyncClient] = Clients(self._options, make)
        self._is_owner = client is None

    async def send(self, request: Request) -> Response:
        """Return the response to *request*; see `Transport`."""
        client = self._clients.take(request)
        translate = partial(_translated, request=request, proxy=self._clients.proxy(request))
        deadline = _Deadline(request, self._options)
        try:
            outgoing = _outgoing(request, self._options)
            async with asyncio.timeout(deadline.left()):
                answer = await client.send(outgoing, stream=True, auth=httpx2.Auth(), follow_redirects=False)
                stream = _AsyncStream(answer, deadline, translate)
                if request.stream and answer.status_code < 300:
                    return Response(answer.status_code, _mapping(answer), url=request.url, stream=stream)
                try:
                    return await self._whole(answer, stream, request)
                finally:
                    await stream.aclose()
        except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
            raise translate(error) from None

    async def aclose(self) -> None:
        """Close every client that is ours."""
        for client in self._clients.close():
            if self._is_owner:
                await client.aclose()

    async def _whole(self, answer: httpx2.Response, stream: _AsyncStream, request: Request) -> Response:
        check_length(request, answer.headers, self._options.max_body)
        size, chunks = 0, []
        while chunk := await stream.aread():
            size += len(chunk)
            if size > self._options.max_body:
                raise too_large(request, self._options.max_body)
            chunks.append(chunk)
        return Response(answer.status_code, _mapping(answer), b"".join(chunks), request.url)


class _Stream:
    """The rest of a blocking answer, chunk by chunk."""

    def __init__(
        self, answer: httpx2.Response, deadline: _Deadline, translate: Callable[[Exception], Exception]
    ) -> None:
        self._answer, self._deadline, self._translate = answer, deadline, translate
        self._chunks = _inflated(answer)
        self._is_closed = False

    def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end. Raises `errors.TransportError`."""
        if self._is_closed:
            raise self._translate(httpx2.StreamClosed())
        try:
            self._deadline.check()
            _CURRENT.deadline = self._deadline
            return next(self._chunks, b"")
        except Exception as error:  # noqa: BLE001 - as in `send`
            raise self._translate(error) from None

    def close(self) -> None:
        """Close the connection; may be called more than once."""
        self._is_closed = True
        self._answer.close()


class _AsyncStream:
    """The rest of an asynchronous answer, chunk by chunk."""

    def __init__(
        self, answer: httpx2.Response, deadline: _Deadline, translate: Callable[[Exception], Exception]
    ) -> None:
        self._answer, self._deadline, self._translate = answer, deadline, translate
        self._chunks = _ainflated(answer)
        self._is_closed = False

    async def aread(self) -> bytes:
        """Return the next chunk, ``b""`` at the end. Raises `errors.TransportError`."""
        if self._is_closed:
            raise self._translate(httpx2.StreamClosed())
        try:
            self._deadline.check()
            return await anext(self._chunks, b"")
        except Exception as error:  # noqa: BLE001 - as in `send`
            raise self._translate(error) from None

    async def aclose(self) -> None:
        """Close the connection; may be called more than once."""
        self._is_closed = True
        await self._answer.aclose()


class _Deadline:
    """The deadline of a request: its limit, else, unless it is streamed, the transport's."""

    def __init__(self, request: Request, options: TransportOptions) -> None:
        limit = limit_of(request, options)
        if limit is None and not request.stream:
            limit = options.timeout
        self._end = None if limit is None else time.monotonic() + limit

    def left(self) -> float | None:
        """Return the seconds that are left, None for any number."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise where no time is left."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError


class _Current(threading.local):
    """The deadline of the request that this thread is waiting for."""

    deadline: _Deadline | None = None


_CURRENT = _Current()


class _BoundedStream(httpcore2.NetworkStream):
    """A connection whose reads end with the deadline of the current request."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the data that arrives within *timeout*, or within the rest of the request's time."""
        left = None if _CURRENT.deadline is None else _CURRENT.deadline.left()
        if left == 0:
            raise httpcore2.ReadTimeout
        return self._stream.read(max_bytes, _least(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send *buffer*."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Return the connection, encrypted."""
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        """Return the extra information of the connection."""
        return self._stream.get_extra_info(info)


class _BoundedBackend(httpcore2.SyncBackend):
    """Opens connections whose reads end with the deadline of the current request."""

    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        """Return a new connection."""
        return _BoundedStream(super().connect_tcp(*arguments, **options))


class _Inflater:
    """Undo a content coding, a bounded piece at a time."""

    def __init__(self, coding: str) -> None:
        wbits = _CODINGS.get(coding)
        self._zlib = None if wbits is None else zlib.decompressobj(wbits)
        self._is_begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield *data* decoded; never an empty piece."""
        if self._zlib is None:
            yield data
            return
        self._is_begun = True
        while piece := self._zlib.decompress(data, _PIECE):
            yield piece
            data = self._zlib.unconsumed_tail

    def finish(self) -> None:
        """Raise where the coding does not end as it must."""
        if self._zlib is not None and self._is_begun and not self._zlib.eof:
            raise zlib.error("the compressed answer is cut short")


def _inflated(answer: httpx2.Response) -> Iterator[bytes]:
    if answer.is_stream_consumed:  # made whole by the transport of a client that was brought
        yield answer.content
        return
    inflater = _Inflater(answer.headers.get("content-encoding", "").lower())
    for data in answer.iter_raw():
        yield from inflater.pieces(data)
    inflater.finish()


async def _ainflated(answer: httpx2.Response) -> AsyncIterator[bytes]:
    if answer.is_stream_consumed:  # as above
        yield answer.content
        return
    inflater = _Inflater(answer.headers.get("content-encoding", "").lower())
    async for data in answer.aiter_raw():
        for piece in inflater.pieces(data):
            yield piece
    inflater.finish()


def _client(options: TransportOptions, route: Route) -> httpx2.Client:
    transport = httpx2.HTTPTransport(
        verify=_trust(options.environ), trust_env=False, limits=_limits(options), proxy=route.proxy
    )
    # httpx2 has no option for httpcore2's `network_backend`; tests check this line.
    transport._pool._network_backend = _BoundedBackend()  # noqa: SLF001
    return httpx2.Client(transport=transport, trust_env=False, cookies=_no_cookies())


def _async_client(options: TransportOptions, route: Route) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(
        verify=_trust(options.environ), trust_env=False, limits=_limits(options), proxy=route.proxy
    )
    return httpx2.AsyncClient(transport=transport, trust_env=False, cookies=_no_cookies())


def _limits(options: TransportOptions) -> httpx2.Limits:
    return httpx2.Limits(
        max_connections=None, max_keepalive_connections=options.max_idle, keepalive_expiry=options.keep_alive
    )


def _no_cookies() -> CookieJar:
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    if pem := read_certificates(environ):
        try:
            context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
        except ssl.SSLError:
            raise bad_certificates(environ) from None
    return context


def _outgoing(request: Request, options: TransportOptions) -> httpx2.Request:
    """Return *request* as httpx2 sends it. Raises `errors.ConfigurationError` for what is not HTTP: nothing was sent."""
    try:
        return _built(request, options)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise unsendable(request) from None


def _built(request: Request, options: TransportOptions) -> httpx2.Request:
    outgoing = httpx2.Request(
        request.method,
        address(request),
        headers=request.headers,
        content=request.body or None,
        extensions={"timeout": _timeout(request, options).as_dict()},
    )
    for name, value in _DEFAULT_HEADERS.items():
        outgoing.headers.setdefault(name, value)
    return outgoing


def _timeout(request: Request, options: TransportOptions) -> httpx2.Timeout:
    total = _Deadline(request, options).left()
    read = options.read_timeout if request.stream else total
    return httpx2.Timeout(total, connect=_least(total, options.connect_timeout), read=_least(total, read))


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _mapping(answer: httpx2.Response) -> dict[str, str]:
    headers = joined((name.decode("ascii").lower(), _value(value)) for name, value in answer.headers.raw)
    if headers.get("content-encoding", "").lower() in _CODINGS:  # undone, and the length was the coded one's
        del headers["content-encoding"]
        headers.pop("content-length", None)
    return headers


def _value(value: bytes) -> str | None:
    """Return a field's value, None for one that is not ASCII. Raises ValueError for one that no field may have."""
    if not _CONTROLS.isdisjoint(value):
        message = "a header holds a control character"
        raise ValueError(message)
    return value.decode("ascii") if value.isascii() else None


def _translated(error: Exception, request: Request, proxy: str | None) -> Exception:
    if isinstance(error, errors.CoatcheckError):
        return error
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        is_sent = not isinstance(error, _NEVER_CONNECTED)
        return failure(request, "", is_sent=is_sent, is_timeout=True, proxy=proxy)
    if isinstance(error, _UNSENDABLE):
        return unsendable(request)
    if isinstance(error, httpx2.TransportError | zlib.error):
        return _failed(error, request, proxy)
    if isinstance(error, httpx2.StreamError) or type(error) is RuntimeError:  # so does a closed client
        return closed(request)
    return unreadable(request, _reason(error)) if isinstance(error, _UNREADABLE) else error


def _failed(error: Exception, request: Request, proxy: str | None) -> errors.CoatcheckError:
    if "location header" in str(error):
        # httpx2 reads the Location of an answer that it must not follow, and does not report which 3xx that was.
        return errors.UnreadableResponseError("the service redirects to something that is not an address", status=300)
    return failure(request, _reason(error), is_sent=not isinstance(error, _NEVER_CONNECTED), proxy=proxy)


def _reason(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, BaseExceptionGroup):
        return _reason(error.exceptions[-1])
    if isinstance(error, OSError) and (error.errno or 0) > 1:  # 1 is an ssl.SSLError's, less a resolver's
        return os.strerror(error.errno or 0)
    return str(error) or type(error).__name__
