"""How requests reach a service: a blocking and an asynchronous protocol, implemented with pyreqwest.

Invariants:

- a transport returns a response of any status and follows no redirect;
- it sends a request once, without cookies, referer or netrc, and does not retry. hyper, below reqwest, takes another
  connection only for a request of which no byte was written;
- it never holds more of a response than `TransportOptions.max_body`;
- a failure is an `errors.TransportError`, or an `errors.ConfigurationError` before anything was sent.

pyreqwest is imported with the first request: decoding a saved response needs no network.
"""

from __future__ import annotations

import atexit
import sys
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Protocol, TypeVar, overload

from .._protocol.effects import Request, Response
from .network import (
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyreqwest.client import BaseClientBuilder, Client, SyncClient
    from pyreqwest.http import HeaderMap
    from pyreqwest.request import BaseRequestBuilder, StreamRequest, SyncStreamRequest
    from pyreqwest.response import Response as Answer, ResponseBodyReader, SyncResponse, SyncResponseBodyReader

    B = TypeVar("B", bound=BaseClientBuilder)
    R = TypeVar("R", bound=BaseRequestBuilder)

__all__ = ["AsyncReqwestTransport", "AsyncTransport", "ReqwestTransport", "Transport", "TransportOptions"]

# How much of a whole answer is read ahead of us. A body of 1 MB costs 157 µs with it and 228 µs at the library's
# 64 KiB (loopback, November 2026); 4 MiB covers the largest task details seen, of 3.5 MB.
READ_AHEAD = 4 * 2**20

# Methods of which RFC 9110, section 8.6, expects a length even where there is no body.
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})

# hyper-util's name for all phases before a connection: DNS, TCP, TLS, proxy. pyreqwest's own classes do not
# distinguish: its ConnectError is also raised for a connection that is lost after the request went out.
_NEVER_CONNECTED = "client error (Connect)"


class Transport(Protocol):
    """What sends a request and waits for its answer."""

    def send(self, request: Request) -> Response:
        """Return the response to *request*, with any status.

        With ``stream=True`` the answer to a successful request has a `stream` with ``read()`` (``b""`` at the end) and
        ``close()``; each read has a time limit, and `request.timeout`, where given, still bounds the whole.

        Raises `errors.TransportError` and `errors.ConfigurationError`.
        """
        ...

    def close(self) -> None:
        """Close all connections; may be called more than once."""
        ...


class CancellableTransport(Transport, Protocol):
    """A transport whose requests another thread can end."""

    def cancel(self, request: Request) -> None:
        """End *request*, and with it all that share its connections; later requests get new ones."""
        ...


class AsyncTransport(Protocol):
    """`Transport` for asyncio; a stream has ``aread()`` and ``aclose()``."""

    async def send(self, request: Request) -> Response:
        """Return the response to *request*, with any status."""
        ...

    async def aclose(self) -> None:
        """Close all connections; may be called more than once."""
        ...


class ReqwestTransport:
    """Send requests with pyreqwest, blocking; many threads may share one.

    A signal is only seen when the request ends. `close`, from another thread, ends it at once.
    """

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = options or TransportOptions()
        self._clients: Clients[SyncClient] = Clients(self._options, _client)

    def send(self, request: Request) -> Response:
        """Return the response to *request*; see `Transport`."""
        client = self._clients.take(request)
        try:
            exchange = _built(client, request, self._options)
            if request.stream:
                return self._stream(exchange, request)
            with exchange as answer:
                return self._whole(answer, request)
        except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
            raise _translated(error, request, self._clients.proxy(request)) from None

    def cancel(self, request: Request) -> None:
        """End *request*, as `CancellableTransport` says.

        pyreqwest 0.15.1 imports its exceptions where it raises the first one, and aborts the process where a signal's
        handler raises during that import; in the thread that cancels, none does.
        """
        import pyreqwest.exceptions  # noqa: F401 - with json 2 ms, when a signal comes

        if (client := self._clients.discard(request)) is not None:
            client.close()

    def close(self) -> None:
        """Close every client; requests under way fail."""
        for client in self._clients.close():
            client.close()

    def _stream(self, exchange: SyncStreamRequest, request: Request) -> Response:
        answer = exchange.__enter__()
        if answer.status < 300:
            translate = partial(_translated, request=request, proxy=self._clients.proxy(request))
            stream = _Stream(exchange, answer.body_reader, translate)
            return Response(answer.status, _mapping(answer.headers), url=request.url, stream=stream)
        try:
            return self._whole(answer, request)
        finally:
            exchange.__exit__(None, None, None)

    def _whole(self, answer: SyncResponse, request: Request) -> Response:
        headers, limit = _mapping(answer.headers), self._options.max_body
        check_length(request, headers, limit)
        reader, size, chunks = answer.body_reader, 0, []
        while (chunk := reader.read_chunk()) is not None:
            size += len(chunk)
            if size > limit:
                raise too_large(request, limit)
            chunks.append(chunk)
        return Response(answer.status, headers, b"".join(chunks), request.url)


class AsyncReqwestTransport:
    """Send requests with pyreqwest, under asyncio.

    Cancelling returns at once. pyreqwest 0.15 leaves the connection to itself then: it is closed when the
    answer comes or the request's time is up, and a request that was not yet on its way may still be sent.
    """

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = options or TransportOptions()
        self._clients: Clients[Client] = Clients(self._options, _async_client)

    async def send(self, request: Request) -> Response:
        """Return the response to *request*; see `Transport`."""
        client = self._clients.take(request)
        try:
            exchange = _built(client, request, self._options)
            if request.stream:
                return await self._stream(exchange, request)
            async with exchange as answer:
                return await self._whole(answer, request)
        except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
            raise _translated(error, request, self._clients.proxy(request)) from None

    async def aclose(self) -> None:
        """Close every client; requests under way fail."""
        for client in self._clients.close():
            await client.close()

    async def _stream(self, exchange: StreamRequest, request: Request) -> Response:
        answer = await exchange.__aenter__()
        if answer.status < 300:
            translate = partial(_translated, request=request, proxy=self._clients.proxy(request))
            stream = _AsyncStream(exchange, answer.body_reader, translate)
            return Response(answer.status, _mapping(answer.headers), url=request.url, stream=stream)
        try:
            return await self._whole(answer, request)
        finally:
            await exchange.__aexit__(None, None, None)

    async def _whole(self, answer: Answer, request: Request) -> Response:
        headers, limit = _mapping(answer.headers), self._options.max_body
        check_length(request, headers, limit)
        reader, size, chunks = answer.body_reader, 0, []
        while (chunk := await reader.read_chunk()) is not None:
            size += len(chunk)
            if size > limit:
                raise too_large(request, limit)
            chunks.append(chunk)
        return Response(answer.status, headers, b"".join(chunks), request.url)


class _Stream:
    """The rest of a blocking answer, chunk by chunk."""

    def __init__(
        self, exchange: SyncStreamRequest, reader: SyncResponseBodyReader, translate: Callable[[Exception], Exception]
    ) -> None:
        self._exchange: SyncStreamRequest | None = exchange
        self._reader, self._translate = reader, translate

    def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end. Raises `errors.TransportError`."""
        if self._exchange is None:
            raise self._translate(RuntimeError())
        try:
            while (chunk := self._reader.read_chunk()) is not None:
                if chunk:  # an empty one is not the end
                    return bytes(chunk)
        except Exception as error:  # noqa: BLE001 - as in `send`
            raise self._translate(error) from None
        return b""

    def close(self) -> None:
        """Close the connection; may be called more than once."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.__exit__(None, None, None)


class _AsyncStream:
    """The rest of an asynchronous answer, chunk by chunk."""

    def __init__(
        self, exchange: StreamRequest, reader: ResponseBodyReader, translate: Callable[[Exception], Exception]
    ) -> None:
        self._exchange: StreamRequest | None = exchange
        self._reader, self._translate = reader, translate

    async def aread(self) -> bytes:
        """Return the next chunk, ``b""`` at the end. Raises `errors.TransportError`."""
        if self._exchange is None:
            raise self._translate(RuntimeError())
        try:
            while (chunk := await self._reader.read_chunk()) is not None:
                if chunk:  # an empty one is not the end
                    return bytes(chunk)
        except Exception as error:  # noqa: BLE001 - as in `send`
            raise self._translate(error) from None
        return b""

    async def aclose(self) -> None:
        """Close the connection; may be called more than once."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.__aexit__(None, None, None)


def import_pyreqwest() -> None:
    """Import pyreqwest in the main thread, or else in a thread that never ends.

    Its allocator (mimalloc) uses the memory of the thread that loads it for the whole process: with pyreqwest 0.15.1 a
    client that is built after that thread has ended is a segmentation fault.
    """
    if "pyreqwest.client" in sys.modules:
        return
    if current_thread() is main_thread():
        _import_client()
        return
    is_imported = Event()
    Thread(target=_import_and_stay, args=(is_imported,), name="coatcheck-import", daemon=True).start()
    is_imported.wait()


def _import_and_stay(is_imported: Event) -> None:
    with suppress(ImportError):  # raised again in the thread that needs the module
        _import_client()
    is_imported.set()
    Event().wait()


def _import_client() -> None:
    import pyreqwest.client  # noqa: F401 - 5 ms, when there is something to send


def _client(options: TransportOptions, route: Route) -> SyncClient:
    import_pyreqwest()
    from pyreqwest.client import SyncClientBuilder

    with _certificates_judged(options):
        return _configured(SyncClientBuilder(), options, route).build()


# Seconds between the end of a program that used an asynchronous client and the end of its interpreter.
PAUSE_AT_EXIT = 0.05


@cache
def pause_at_exit() -> None:
    """Let pyreqwest's threads finish their last task before the interpreter ends.

    They still take the GIL after an answer was delivered. With pyreqwest 0.15.1 one process in 75 that ended at once
    was aborted ("PyGILState_Release: thread state must be current"), and none of 150 that paused.
    """
    atexit.register(time.sleep, PAUSE_AT_EXIT)


def _async_client(options: TransportOptions, route: Route) -> Client:
    import_pyreqwest()
    pause_at_exit()
    from pyreqwest.client import ClientBuilder

    with _certificates_judged(options):
        return _configured(ClientBuilder(), options, route).build()


@contextmanager
def _certificates_judged(options: TransportOptions) -> Iterator[None]:
    """Blame the certificates where no client can be built: nothing else in its options can be wrong."""
    try:
        yield
    except Exception as error:
        from pyreqwest.exceptions import BuilderError  # with json 2 ms, when something is wrong

        if isinstance(error, BuilderError):
            raise bad_certificates(options.environ) from None
        raise


def _configured(builder: B, options: TransportOptions, route: Route) -> B:
    builder = builder.follow_redirects(enable=False).referer(enable=False).no_proxy()
    builder = builder.brotli(enable=False).zstd(enable=False).http1_lower_case_headers().user_agent(USER_AGENT)
    builder = builder.pool_max_idle_per_host(options.max_idle).pool_idle_timeout(timedelta(seconds=options.keep_alive))
    if options.connect_timeout is not None:
        builder = builder.connect_timeout(timedelta(seconds=options.connect_timeout))
    return _with_certificates(_with_timeouts(builder, options, route), options, route)


def _with_timeouts(builder: B, options: TransportOptions, route: Route) -> B:
    limit = options.read_timeout if route.is_stream else options.timeout
    if limit is None:
        return builder
    set_limit = builder.read_timeout if route.is_stream else builder.timeout
    return set_limit(timedelta(seconds=limit))


def _with_certificates(builder: B, options: TransportOptions, route: Route) -> B:
    if route.proxy is not None:
        from pyreqwest.proxy import ProxyBuilder  # for those who have one

        builder = builder.proxy(ProxyBuilder.all(route.proxy))
    elif route.is_plain:
        # Never uses TLS: `Clients` passes it http:// alone, and there is no redirect and no proxy. Whoever has no
        # system certificates (slim images) can still use the local cloud, 3 ms earlier.
        return builder.danger_accept_invalid_certs(enable=True)
    pem = read_certificates(options.environ)
    return builder.add_root_certificate_pem(pem) if pem else builder


@overload
def _built(client: SyncClient, request: Request, options: TransportOptions) -> SyncStreamRequest: ...
@overload
def _built(client: Client, request: Request, options: TransportOptions) -> StreamRequest: ...
def _built(
    client: SyncClient | Client, request: Request, options: TransportOptions
) -> SyncStreamRequest | StreamRequest:
    """Return *request* as pyreqwest sends it. Raises `errors.ConfigurationError` for what is not HTTP: nothing was sent."""
    try:
        limit = limit_of(request, options)
        return _prepared(client.request(request.method, address(request)), request, limit).build_streamed()
    except ValueError:  # pyreqwest's BuilderError is one
        raise unsendable(request) from None


def _prepared(builder: R, request: Request, limit: float | None) -> R:
    builder = builder.streamed_read_buffer_limit(0 if request.stream else READ_AHEAD)
    if request.headers:
        builder = builder.headers(request.headers)
    if request.body:
        builder = builder.body_bytes(request.body)
    elif request.method in _BODY_METHODS:
        builder = builder.header("content-length", "0")
    if limit is not None:
        builder = builder.timeout(timedelta(seconds=max(limit, 0.0)))
    return builder


def _mapping(raw: HeaderMap) -> dict[str, str]:
    try:
        return joined(raw.items())
    except ValueError:  # pyreqwest returns no value with a byte above 0x7F, and does not name the field
        return joined(pair for name in dict.fromkeys(raw) for pair in _values(raw, name))


def _values(raw: HeaderMap, name: str) -> list[tuple[str, str | None]]:
    try:
        return [(name, value) for value in raw.getall(name)]
    except ValueError:
        return [(name, None)]


def _translated(error: Exception, request: Request, proxy: str | None) -> Exception:
    from pyreqwest.exceptions import BuilderError, RequestError, RequestTimeoutError  # loaded long ago

    if isinstance(error, BuilderError):  # an address that is none of http: raised before anything is sent
        return unsendable(request)

    if isinstance(error, RequestError):
        causes = [cause["message"] for cause in error.details["causes"] or ()] or [error.message]
        is_sent = _NEVER_CONNECTED not in causes
        is_timeout = isinstance(error, RequestTimeoutError)
        return failure(request, causes[-1], is_sent=is_sent, is_timeout=is_timeout, proxy=proxy)
    if type(error) is RuntimeError:  # a closed stream's
        return closed(request)
    return unreadable(request, str(error)) if isinstance(error, ValueError) else error
