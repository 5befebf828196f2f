"""Retry requests when that is safe, and only then.

Invariants:
- GET, HEAD and DELETE are retried after 429, a server error or a lost connection, and so is what a provider
  declares idempotent: the service identifies it by a key and performs it once.
- Anything else is retried only when it certainly was not performed: no connection, or 429.
- A request that went out and got no answer in the transport's time is not sent again: the next one would take as
  long. A poll is repeated at its next time.
- ``Retry-After`` is honoured; the last response is returned with any status, the last error is raised.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import errors
from .._protocol.effects import Request, Response, Script, Sender, Sleep
from .._protocol.logs import INFO, log
from .._protocol.retry_after import is_throttled, retry_after
from .backoff import RetryPolicy

# RFC 9110 section 9.2.2, less PUT: no service here has an idempotent PUT that we send.
SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "DELETE"})
TRANSIENT = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524})  # 52x: Cloudflare's own


def retrying(send: Sender, *, policy: RetryPolicy, random: Callable[[], float]) -> Sender:
    """Return a `Sender` that waits out throttling, server errors and lost connections."""

    def sender(request: Request) -> Script[Response]:
        retries = 0
        while True:
            try:
                response = yield from send(request)
            except errors.TransportError as error:
                pause = policy.pause(retries, random=random) if may_repeat(request, error) else None
                if pause is None:
                    raise
            else:
                if response.status < 400 or not is_transient(request, response):
                    return response
                pause = policy.pause(retries, random=random, requested=retry_after(response.headers))
                if pause is None:
                    return response
            log("http", INFO, "retry %d of %s in %.1f s", retries + 1, request.method, pause)
            yield Sleep(pause)
            retries += 1

    return sender


def may_repeat(request: Request, error: errors.TransportError) -> bool:
    """Whether *request* may be sent again after it got no answer."""
    if isinstance(error, errors.TransportTimeoutError) and error.request_sent and not request.idempotent:
        return False
    return is_safe_to_repeat(request) or not error.request_sent


def is_safe_to_repeat(request: Request) -> bool:
    """Whether *request* does the same however often it arrives."""
    return request.idempotent or request.method in SAFE_TO_REPEAT


def is_transient(request: Request, response: Response) -> bool:
    """Whether the answer is a transient error, after which *request* may be sent again."""
    if is_throttled(response.status, response.headers):
        return True
    return response.status in TRANSIENT and is_safe_to_repeat(request)
