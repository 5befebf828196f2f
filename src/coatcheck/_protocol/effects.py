"""Effects: the operations that generators yield and drivers perform.

Invariants:

- An `Exchange` is a sequence of requests to a service: it yields requests and is sent responses.
- A `Script` is what the engine builds from exchanges: it may also sleep, call, lock and emit.
- Neither performs I/O; only the two drivers in `_runtime` do.
- The error of an effect is raised in the script that yielded it.

Models: ``httpx.Auth.auth_flow``, ``psycopg.generators``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import msgspec

from .._version import __version__

T = TypeVar("T")

Pairs: TypeAlias = tuple[tuple[str, str], ...]

# The value of the "user-agent" header of every request.
USER_AGENT = f"coatcheck/{__version__}"


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request to an *origin* that the provider declared, answered by a whole `Response`.

    `path` starts with a slash and is percent-encoded; `query` is not. `url` is filled by the engine, and a request
    that has one (a redirect) is sent there. With ``stream=True`` the response has no body but a `stream`: yield
    `Read` for its chunks. With ``conditional=True`` it may be sent as a conditional request and answered from
    the cache (HTTP 304). With ``idempotent=True`` it may be retried with any method: it carries a key by which the
    service recognises it. With ``is_preparation=True`` it creates no task whatever its method, so that a lost answer to
    it leaves no submission in doubt. `timeout` is in seconds for the whole request; None takes the client's.
    `at_most` lowers either, for a wait whose deadline comes first; it does not concern a streamed response.
    `channel` is what an `Open` asks for; its response has a `stream` for `Send`, `Receive` and `Close`.
    """

    method: str
    path: str
    query: Pairs = ()
    headers: Pairs = ()
    body: bytes = b""
    origin: str = "api"
    stream: bool = False
    is_public: bool = False
    conditional: bool = False
    idempotent: bool = False
    is_preparation: bool = False
    timeout: float | None = None
    at_most: float | None = None
    url: str = ""
    channel: Open | None = None

    _secret_headers: ClassVar[frozenset[str]] = frozenset(
        {"authorization", "cookie", "x-goog-api-key", "x-api-key", "proxy-authorization"}
    )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url.partition('?')[0] or f'{self.origin}:{self.path}'}>"

    def with_headers(self, *headers: tuple[str, str]) -> Request:
        """Return a copy with *headers* (lower-case names) added, replacing any of the same name."""
        names = dict(headers)
        kept = [pair for pair in self.headers if pair[0] not in names]
        return msgspec.structs.replace(self, headers=(*kept, *headers))


class Response(msgspec.Struct, frozen=True, gc=False):
    """A complete HTTP response; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    url: str = ""
    stream: Any = None
    unchanged: bool = False

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Read(msgspec.Struct, frozen=True, gc=False):
    """Return the next chunk of a streamed response; ``b""`` is its end (the end of a stream, never of a task)."""

    stream: Any


class Open(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Open a channel, over which both sides send messages: a WebSocket, a Unix socket, or a program started here.

    The scheme of the origin's base URL decides: ``ws`` and ``wss`` (RFC 6455), ``unix`` (``unix:///path/of/socket``),
    ``stdio`` (the program `command`). A message is a WebSocket message, or with `is_lines`, and always for a program,
    a line. The handshake passes through the login and the retries as a GET request does. Returns a `Response`: with status 101 and the
    channel as its `stream`, or as the service sent it in place of a channel; `coatcheck.provider.channel_of` checks it.

    `timeout` is in seconds, for the handshake; None takes the client's. A subprotocol may be a secret, so its ``repr``
    shows none. A program runs until the client is closed: later `Open` effects of the same command use it when its present user has closed
    the channel, one after the other.
    """

    path: str = ""
    query: Pairs = ()
    headers: Pairs = ()
    subprotocols: tuple[str, ...] = ()
    origin: str = "api"
    command: tuple[str, ...] = ()
    is_lines: bool = False
    is_public: bool = False
    timeout: float | None = None

    def __repr__(self) -> str:
        return f"<Open {' '.join(self.command[:1]) or f'{self.origin}:{self.path}'}>"

    def with_subprotocols(self, *names: str) -> Open:
        """Return a copy that offers *names* as well."""
        return msgspec.structs.replace(self, subprotocols=(*self.subprotocols, *names))

    def to_request(self) -> Request:
        """Return the request that opens the channel."""
        return Request(
            "GET",
            self.path,
            self.query,
            self.headers,
            origin=self.origin,
            is_public=self.is_public,
            timeout=self.timeout,
            channel=self,
        )


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send one message. With `is_change` it may create or change something, so it must not be sent twice.

    Raises `TransportError`, with `request_sent` False where the channel had ended before.
    """

    channel: Any
    message: bytes
    is_change: bool = False

    def __repr__(self) -> str:
        return f"<Send {len(self.message)} bytes>"


class Receive(msgspec.Struct, frozen=True, gc=False):
    """Return the next message, None at the orderly end of the channel.

    Raises `TransportTimeoutError` after `timeout` seconds; the channel can be used afterwards.
    """

    channel: Any
    timeout: float


class Close(msgspec.Struct, frozen=True, gc=False):
    """Close a channel. A script that ends, however it does, closes its channels as well."""

    channel: Any


class Sleep(msgspec.Struct, frozen=True, gc=False):
    """Wait this many seconds."""

    seconds: float


class Call(msgspec.Struct, frozen=True):
    """Do local blocking work: inline in the blocking driver, in a thread under asyncio. Returns its result."""

    function: Callable[[], Any]


class Lock(msgspec.Struct, frozen=True):
    """A value that names lock files, taken in this order; waiting for one ends after `timeout` seconds."""

    paths: tuple[str, ...]
    timeout: float = 30.0


class Exclusive(msgspec.Struct, frozen=True):
    """Perform `script` while holding `lock` (across threads, tasks and processes). Returns its result.

    With `is_whole`, a started script runs to its end even if its caller is cancelled under asyncio: the response to
    a one-use token must not be lost because of a cancellation.
    """

    lock: Lock
    script: Any  # Script[Any]
    is_whole: bool = False


class Together(msgspec.Struct, frozen=True):
    """Perform several scripts, at once under asyncio, one after the other in the blocking driver.

    Returns a list of their results, or of the `CoatcheckError` that each raised; what they emit is ignored.
    """

    scripts: tuple[Any, ...]  # tuple[Script[Any], ...]


class Emit(msgspec.Struct, frozen=True, gc=False):
    """Yield a value to the caller's iteration."""

    value: Any


ChannelEffect: TypeAlias = Open | Send | Receive | Close
Effect: TypeAlias = Request | Read | Sleep | Call | Exclusive | Together | Emit | ChannelEffect
Exchange: TypeAlias = Generator[Request | Read | ChannelEffect, Any, T]
Events: TypeAlias = Generator[Request | Read | Emit | ChannelEffect, Any, None]
Script: TypeAlias = Generator[Effect, Any, T]
Sender: TypeAlias = Callable[[Request], Script[Response]]


class Clock(Protocol):
    """Time as an argument: the real one in programs, `coatcheck.testing.FakeClock` in tests."""

    def time(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, blocking."""
        ...

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Wait, asynchronously."""
        ...


def transmit(request: Request) -> Script[Response]:
    """Send one request without retries: the innermost `Sender`."""
    response: Response = yield request
    return response
