"""Follow redirects, for GET alone, and send no secret to another origin.

Invariants:
- Only GET (and HEAD) is followed; a redirected POST is an error that the caller sees as its status.
- When scheme, host or port changes, only the headers of `HARMLESS_HEADERS` are kept.
- A redirect from https to plain http is not followed.
"""

from __future__ import annotations

import msgspec

from .. import errors
from .._protocol.effects import Request, Response, Script
from .._protocol.urls import origin_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# An allow-list, so that a provider's new account header is not forgotten here.
HARMLESS_HEADERS = frozenset({"accept", "user-agent"})
# The number of curl's default is 50, of browsers 20; an API that needs more than five is a loop.
MAX_REDIRECTS = 5


def transmit_following(request: Request) -> Script[Response]:
    """Send a request and follow its redirects: the innermost `Send`."""
    response: Response = yield request
    if response.status not in REDIRECTS or request.method not in ("GET", "HEAD"):
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
    from urllib.parse import urljoin  # 2 ms, and few services redirect

    try:
        url = urljoin(request.url, location)
        scheme, host, _ = origin_of(url)
    except ValueError:  # of a port or an IPv6 address that is none
        url, scheme, host = "", "", ""
    if not url.isascii() or not url.isprintable() or not url:
        raise errors.UnreadableResponseError("the service redirects to something that is not an address", status=status)
    if scheme not in ("http", "https") or not host:
        raise errors.ProviderError("the service redirects to something that is not an http address", status=status)
    if scheme == "http" and origin_of(request.url)[0] == "https":
        raise errors.ProviderError(f"the service redirects to {host} without encryption; not followed", status=status)
    headers = request.headers
    if origin_of(url) != origin_of(request.url):
        headers = tuple(pair for pair in headers if pair[0] in HARMLESS_HEADERS)
    return msgspec.structs.replace(request, url=url, query=(), headers=headers)
