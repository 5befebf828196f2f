"""Run a provider's exchange: every layer between its requests and the transport.

A channel is opened as a GET request is sent; its messages go to the driver, and count as requests.
The order, from the exchange outwards: conditional, retry, rate limit, locate, authenticate, transmit and follow redirects.
Retrying is outside of the rate limit so that each attempt waits its turn, and of authenticating so that each gets a fresh secret;
locating precedes authenticating because signatures cover the URL.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from .. import errors
from .._protocol.effects import (
    Clock,
    Close,
    Effect,
    Emit,
    Exchange,
    Open,
    Receive,
    Request,
    Response,
    Script,
    Send,
    Sender,
)
from .authenticate import authenticated
from .conditional import conditional
from .rate_limit import RateLimiter, rate_limited, spaced
from .redirect import transmit_following
from .retry import retrying

if TYPE_CHECKING:
    from .._protocol.login_contract import Credentials
    from .._protocol.provider import Provider
    from .backoff import RetryPolicy
    from .reachability import Reachability

T = TypeVar("T")

# One verb requests pages of what belongs to a task (activities, jobs, history): the longest history of AWS has 25,000
# events, 1,000 a page; GitHub shows at most 1,000 jobs of a run. A service that sends more does not end.
MAX_REQUESTS = 1_000
# No further request of one verb begins later than this (seconds): a service may answer each slowly and in time.
MAX_SECONDS = 300.0
COUNTED = frozenset({Open, Request, Send})


class ExchangeRunner(Protocol):
    """Run an exchange with retries, a login and redirects around each request."""

    def __call__(self, exchange: Exchange[T], /) -> Script[T]: ...


class Bounds:
    """How many requests one exchange may make, and how long after its start it may still begin one."""

    def __init__(self, *, clock: Clock, seconds: float | None = MAX_SECONDS, requests: int = MAX_REQUESTS) -> None:
        self._clock, self._seconds, self._requests = clock, seconds, requests
        self._started, self._made = clock.monotonic(), 0

    def check(self, effect: Any) -> None:
        """Count *effect* where it is a request. Raises `CoatcheckError` where it may not be sent or waited for."""
        if type(effect) is Receive:
            self._check_time()
        if type(effect) not in COUNTED:
            return
        if self._made == self._requests:
            message = f"the service does not come to an end: stopped after {self._requests} requests"
            raise errors.UnreadableResponseError(message)
        if self._made and self._seconds is not None and self._clock.monotonic() - self._started >= self._seconds:
            message = f"the service does not come to an end: stopped after {self._seconds:g} seconds"
            raise errors.TransportTimeoutError(message, request_sent=False)
        self._made += 1

    def _check_time(self) -> None:
        """Raise `TransportTimeoutError` where no further message may be waited for: what was sent may be performed."""
        if self._seconds is not None and self._clock.monotonic() - self._started >= self._seconds:
            raise errors.TransportTimeoutError(
                f"the service does not come to an end: stopped after {self._seconds:g} seconds"
            )


def run_exchange(
    exchange: Exchange[T] | Generator[Effect, Any, T],
    send: Sender,
    *,
    remedy: str | None = None,
    bounds: Bounds | None = None,
) -> Script[T]:
    """Answer each request of *exchange* through *send*; other effects go straight out.

    *remedy* is what to do about a login that the service rejects, unless the provider sets one.
    *bounds* limit an exchange whose service always announces more.
    """
    channels: list[Any] = []
    try:
        wish: Any = next(exchange)
        while True:
            try:
                if bounds is not None:
                    bounds.check(wish)
                if type(wish) is Request:
                    answer: Any = yield from send(wish)
                elif type(wish) is Open:
                    answer = yield from _opened(wish, send, channels)
                else:
                    answer = yield wish
            except errors.CoatcheckError as error:
                wish = exchange.throw(error)  # `effects.py`: errors are thrown into the script
            else:
                wish = exchange.send(answer)
    except StopIteration as stop:
        yield from _closed(channels)
        result: T = stop.value
        return result
    except Exception as error:
        yield from _closed(channels)
        if isinstance(error, errors.AuthenticationError):
            error.remedy = error.remedy or remedy
        raise
    finally:
        exchange.close()


def _opened(wish: Open, send: Sender, channels: list[Any]) -> Script[Response]:
    """Open a channel, and add it to those that are open."""
    response = yield from send(wish.to_request())
    if response.stream is not None:
        channels.append(response.stream)
    return response


def _closed(channels: list[Any]) -> Script[None]:
    """Close what an exchange has left open: the script that it is part of may take long."""
    for channel in channels:
        yield Close(channel)


def sending(
    provider: Provider,
    credentials: Credentials,
    *,
    clock: Clock,
    random: Callable[[], float],
    policy: RetryPolicy,
    pace: RateLimiter,
    reachability: Reachability,
) -> Sender:
    """Return the `Sender` of a provider's requests, with every layer."""
    transmit = reachability.noting(transmit_following)
    inner = authenticated(transmit, provider=provider, credentials=credentials, clock=clock)
    inner = rate_limited(located(inner, origins=provider.origins), pace=pace, clock=clock)
    if provider.capabilities.write_pause:
        inner = spaced(inner, seconds=provider.capabilities.write_pause, clock=clock, lock=pace.lock)
    return conditional(retrying(inner, policy=policy, random=random))


def located(send: Sender, *, origins: Mapping[str, str]) -> Sender:
    """Return a `Sender` that resolves the origin of each request."""

    def sender(request: Request) -> Script[Response]:
        if request.url:
            return send(request)
        return send(msgspec.structs.replace(request, url=origins[request.origin] + request.path))

    return sender


def emitted(script: Script[Any]) -> Script[list[Any]]:
    """Collect what *script* emits in a list."""
    values = []
    try:
        effect = next(script)
        while True:
            if type(effect) is Emit:
                values.append(effect.value)
                effect = script.send(None)
                continue
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - the script may handle any error
                effect = script.throw(error)
            else:
                effect = script.send(answer)
    except StopIteration:
        return values
    finally:
        script.close()
