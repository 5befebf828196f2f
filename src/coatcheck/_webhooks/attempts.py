"""One attempt to deliver a message, and when the next one is due (docs/reference/protocols/webhooks.md, 7).

Invariants:
- only a status of 2xx is success; a redirect is a failure and is not followed; 410 disables the hook;
- the body of the response is not read;
- no proxy of the environment is used, and the connection goes to an address that `check_addresses` permitted;
- an attempt ends after `TIMEOUT` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from .. import errors
from .._protocol.effects import USER_AGENT
from .._protocol.retry_after import retry_after
from .._runtime.transport import import_pyreqwest
from .targets import Target, check_addresses

if TYPE_CHECKING:
    from pyreqwest.client import SyncClient

# Seconds of one attempt; the specification recommends 15 to 30.
TIMEOUT = 15.0
# Seconds between an attempt and the next one.
DELAYS = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
# A share of a delay by which it is lengthened at random, so that hooks that failed together are not retried together.
JITTER = 0.1
# The longest delay that a receiver may request.
MAX_RETRY_AFTER = 86_400.0

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one attempt: a status, or the reason why there is none. `retry_after` is in seconds.

    One that `is_final` would fail again, whenever it is repeated.
    """

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    is_final: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the message was accepted."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver accepts no further messages (HTTP 410)."""
        return self.status == 410


def next_delay(attempts: int, result: Result, *, random: float, most: int = len(DELAYS)) -> float | None:
    """Return the seconds until the next attempt after *attempts* failures, None where there is none.

    *random* is in [0, 1). A receiver's ``Retry-After`` lengthens the delay, up to `MAX_RETRY_AFTER`.
    """
    if result.is_success or result.is_gone or result.is_final or attempts > min(most, len(DELAYS)):
        return None
    delay = DELAYS[attempts - 1] * (1 + JITTER * random)
    return max(delay, min(result.retry_after or 0.0, MAX_RETRY_AFTER))


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of *host*; blocks. Raises `OSError`."""
    import socket

    return tuple(dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def post(target: Target, headers: Sequence[tuple[str, str]], body: bytes, *, resolver: Resolve = resolve) -> Result:
    """Send a message once; blocks for at most `TIMEOUT` seconds. Never raises for what the network does."""
    try:
        address = check_addresses(target, resolver(target.host, target.port))
    except errors.ConfigurationError as error:
        return Result(error=str(error))
    except OSError as error:
        return Result(error=f"cannot resolve {target.host}: {error.strerror or error}")
    with _client(target, address) as client:
        return _sent(client, target, headers, body)


def _client(target: Target, address: str) -> SyncClient:
    import_pyreqwest()
    from pyreqwest.client import SyncClientBuilder

    builder = SyncClientBuilder().no_proxy().follow_redirects(enable=False).referer(enable=False)
    builder = builder.http1_lower_case_headers().user_agent(USER_AGENT).timeout(timedelta(seconds=TIMEOUT))
    if target.scheme == "http":
        builder = builder.danger_accept_invalid_certs(
            enable=True
        )  # no TLS is spoken, and slim images have no certificates
    return builder.resolve(target.host, address, target.port).build()


def _sent(client: SyncClient, target: Target, headers: Sequence[tuple[str, str]], body: bytes) -> Result:
    request = client.post(f"{target.origin}{target.path}").headers((("content-type", "application/json"), *headers))
    try:
        with request.body_bytes(body).streamed_read_buffer_limit(0).build_streamed() as response:
            known: Mapping[str, str] = {
                name.lower(): value for name, value in response.headers.items() if value.isascii()
            }
            return Result(status=response.status, retry_after=retry_after(known))
    except Exception as error:  # noqa: BLE001 - pyreqwest has many classes, and all of them mean that it was not accepted
        return Result(error=_reason(error))


def _reason(error: Exception) -> str:
    """Return why a request failed, in one line without the address."""
    return " ".join(str(error).partition(" for url (")[0].split())[:200] or type(error).__name__
