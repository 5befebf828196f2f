"""WebSockets (RFC 6455) over TCP, TLS and Unix sockets, with the library websockets (the extra ``ws``).

Invariants:

- a redirect is not followed: the answer to the handshake is returned with its status;
- a message may be as large as a whole HTTP response (`TransportOptions.max_body`), in place of the library's 1 MiB;
- messages are not compressed, so a small one cannot become a large one;
- nothing is logged by the library, which would log every header of the handshake, subprotocols and messages included;
- a loopback address is not reached through a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors
from .._installation import install_command
from .._protocol.effects import Request, Response
from .channel_settings import (
    CLOSE_TIMEOUT,
    PING_INTERVAL,
    cut,
    ended_before,
    not_connected,
    not_opened,
    open_timeout,
    place_of,
    silent,
    socket_path,
    too_large,
)
from .network import (
    USER_AGENT,
    TransportOptions,
    address,
    bad_certificates,
    find_proxy,
    joined,
    read_certificates,
    unsendable,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from websockets.asyncio.client import ClientConnection as AsyncConnection
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import ClientConnection

# The close code of a message that is too large (RFC 6455, section 7.4.1).
TOO_BIG = 1009
# Normal closure, and going away.
ORDERLY = frozenset({1000, 1001})


class WebSocketChannel:
    """A WebSocket of blocking scripts."""

    def __init__(self, connection: ClientConnection, request: Request, limit: int) -> None:
        self._connection, self._place, self._limit = connection, place_of(request), limit
        self.session: Any = None

    def send(self, message: bytes) -> None:
        """Send one text message."""
        from websockets.exceptions import ConnectionClosed

        try:
            self._connection.send(message, text=True)
        except ConnectionClosed as error:
            raise _unsent(error, self._place) from None

    def receive(self, timeout: float) -> bytes | None:
        """Return the next message, None at the end."""
        from websockets.exceptions import ConnectionClosed

        try:
            return self._connection.recv(max(0.0, timeout), decode=False)
        except TimeoutError:
            raise silent(self._place) from None
        except ConnectionClosed as error:
            _check_end(error, self._place, self._limit)
            return None

    def close(self) -> None:
        """Close the connection; may be called more than once."""
        self._connection.close()


class AsyncWebSocketChannel:
    """A WebSocket of asynchronous scripts."""

    def __init__(self, connection: AsyncConnection, request: Request, limit: int) -> None:
        self._connection, self._place, self._limit = connection, place_of(request), limit
        self.session: Any = None

    async def asend(self, message: bytes) -> None:
        """Send one text message."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(message, text=True)
        except ConnectionClosed as error:
            raise _unsent(error, self._place) from None

    async def areceive(self, timeout: float) -> bytes | None:
        """Return the next message, None at the end."""
        import asyncio

        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(timeout):
                return await self._connection.recv(decode=False)
        except TimeoutError:
            raise silent(self._place) from None
        except ConnectionClosed as error:
            _check_end(error, self._place, self._limit)
            return None

    async def aclose(self) -> None:
        """Close the connection; may be called more than once."""
        await self._connection.close()


def _unsent(error: ConnectionClosed, place: str) -> errors.TransportError:
    """Return the error for a message that could not be sent; one that failed in the middle may have arrived."""
    return ended_before(place) if error.rcvd is not None else cut(place)


def _check_end(error: ConnectionClosed, place: str, limit: int) -> None:
    """Raise `TransportError` for an end of a connection that is not orderly."""
    if error.sent is not None and error.sent.code == TOO_BIG:
        raise too_large(place, limit)
    if error.rcvd is None or error.rcvd.code not in ORDERLY:
        raise cut(place, f"code {error.rcvd.code}" if error.rcvd else "")


def open_websocket(request: Request, options: TransportOptions) -> Response:
    """Return the answer to a handshake: with the channel, or as the server refused it."""
    connector = _import("websockets.sync.client", "reconnect")
    where = _where(request)
    try:
        connection = _without_redirects(connector)(**where, **_arguments(request, options)).__enter__()
    except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
        return _refusal(error, request, options)
    return Response(101, url=request.url, stream=WebSocketChannel(connection, request, options.max_body))


async def aopen_websocket(request: Request, options: TransportOptions) -> Response:
    """Do what `open_websocket` does, under asyncio."""
    connector = _import("websockets.asyncio.client", "connect")
    where = _where(request)
    try:
        connection = await _without_redirects(connector)(**where, **_arguments(request, options))
    except Exception as error:  # noqa: BLE001 - other errors are raised unchanged
        return _refusal(error, request, options)
    return Response(101, url=request.url, stream=AsyncWebSocketChannel(connection, request, options.max_body))


def _import(module: str, name: str) -> Any:
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except ImportError:
        raise errors.ConfigurationError(
            "WebSockets need one more package", remedy=f"install it with: {install_command('ws')}"
        ) from None


def _without_redirects(connector: Any) -> Any:
    """Return the library's class without its redirects: it would repeat a secret in a subprotocol at another host."""

    class Connector(connector):  # type: ignore[misc] # of either variant
        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    return Connector


def _where(request: Request) -> Mapping[str, Any]:
    if request.url.startswith("unix:"):
        # The URI is only the Host header of the handshake.
        return {"uri": "ws://localhost/", "unix": True, "path": socket_path(request)}
    return {"uri": address(request)}


def _arguments(request: Request, options: TransportOptions) -> Mapping[str, Any]:
    wish = request.channel
    arguments: dict[str, Any] = {
        "additional_headers": [pair for pair in request.headers if pair[0] != "user-agent"],
        "user_agent_header": dict(request.headers).get("user-agent", USER_AGENT),
        "subprotocols": list(wish.subprotocols) if wish and wish.subprotocols else None,
        "compression": None,
        "open_timeout": open_timeout(request, options),
        "close_timeout": CLOSE_TIMEOUT,
        "ping_interval": PING_INTERVAL,
        "ping_timeout": PING_INTERVAL,
        "max_size": options.max_body,
        "logger": _silent_logger(),
        "proxy": None,
    }
    if not request.url.startswith("unix:"):
        http = f"http{request.url.removeprefix('ws')}"
        arguments["proxy"] = find_proxy(http, options.environ)
        if http.startswith("https:"):
            arguments["ssl"] = _tls(options)
    return arguments


def _silent_logger() -> Any:
    """Return a logger that logs nothing, whatever the application has configured."""
    import logging

    logger = logging.Logger("coatcheck.websocket")  # noqa: LOG001 - of no hierarchy, so that nothing enables it
    logger.disabled = True
    logger.setLevel(logging.CRITICAL)
    return logger


def _tls(options: TransportOptions) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if pem := read_certificates(options.environ):
        try:
            context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
        except ssl.SSLError:
            raise bad_certificates(options.environ) from None
    return context


def _refusal(error: Exception, request: Request, options: TransportOptions) -> Response:
    """Return the response of a server that opened no WebSocket. Raises a `CoatcheckError` where there is none."""
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    if isinstance(error, InvalidStatus):
        return _answered(error, request, options)
    if isinstance(error, OSError):
        raise not_connected(request, error) from None
    if isinstance(error, (InvalidURI, ValueError)):
        raise unsendable(request) from None
    if isinstance(error, InvalidHandshake | EOFError):
        raise not_opened(request, "the answer is not that of a WebSocket server") from None
    raise error


def _answered(error: InvalidStatus, request: Request, options: TransportOptions) -> Response:
    answer = error.response
    headers = joined((name.lower(), value) for name, value in answer.headers.raw_items())
    body = bytes(answer.body or b"")[: options.max_body]
    return Response(answer.status_code, headers, body, request.url)
