"""Follow redirects, for GET alone, and send no secret to another origin.

Invariants:
- Only GET (and HEAD) is followed; of a redirected POST, or a redirected channel, the caller sees the status.
- When scheme, host or port changes, only the headers of `HARMLESS_HEADERS` are kept.
- A redirect from https to plain http is not followed.
"""

from __future__ import annotations

import msgspec

from .. import errors
from .._protocol.effects import Request, Response, Script
from .._protocol.urls import REDIRECTS, absolute_url, origin_of

# An allow-list, so that a provider's new account header is not forgotten here.
HARMLESS_HEADERS = frozenset({"accept", "user-agent"})
# The number of curl's default is 50, of browsers 20; an API that needs more than five is a loop.
MAX_REDIRECTS = 5


def transmit_following(request: Request) -> Script[Response]:
    """Send a request and follow its redirects: the innermost `Sender`."""
    response: Response = yield request
    if response.status not in REDIRECTS or request.method not in ("GET", "HEAD") or request.channel is not None:
        return response
    return (yield from _follow(request, response))


def _follow(request: Request, response: Response) -> Script[Response]:
    for _ in range(MAX_REDIRECTS):
        if (location := response.headers.get("location")) is None:
            return response
        request = redirected(request, location, status=response.status)
        response = yield request
        if response.status not in REDIRECTS:
            return response
    host = origin_of(request.url)[1]
    raise errors.ProviderError(f"{host} redirects more than {MAX_REDIRECTS} times", status=response.status)


def redirected(request: Request, location: str, *, status: int) -> Request:
    """Return *request* as it goes to *location*. Raises `ProviderError` where it must not go."""
    url = absolute_url(location, relative_to=request.url)
    if url is None:
        raise errors.UnreadableResponseError("the service redirects to something that is not an address", status=status)
    scheme, host, _ = origin_of(url)
    if scheme not in ("http", "https") or not host:
        raise errors.ProviderError("the service redirects to something that is not an http address", status=status)
    if scheme == "http" and origin_of(request.url)[0] == "https":
        raise errors.ProviderError(f"the service redirects to {host} without encryption; not followed", status=status)
    headers = request.headers
    if origin_of(url) != origin_of(request.url):
        headers = tuple(pair for pair in headers if pair[0] in HARMLESS_HEADERS)
    return msgspec.structs.replace(request, url=url, query=(), headers=headers)
