"""Conditional requests: the ETag of the last response is sent with the next request, and 304 stands for that response.

Only for requests that are ``conditional``, which a provider sets where its service supports it. Tags are compared by
the service and sent back verbatim, quotes and weakness included; a 304 without a tag keeps the old one
(`docs/reference/protocols/services.md`, 1.4; RFC 9110 sections 13.1.2 and 15.4.5).
"""

from __future__ import annotations

import msgspec

from .._protocol.effects import Request, Response, Script, Sender

# How many answers are kept: one for each of a thousand watched runs, and as many pages.
MEMORY = 2048


def conditional(send: Sender, *, memory: int = MEMORY) -> Sender:
    """Return a `Sender` that stores tagged responses; an unchanged one is returned with status 200."""
    known: dict[tuple[str, object], tuple[str, Response]] = {}  # the oldest first; each step is safe between threads

    def remember(key: tuple[str, object], response: Response) -> None:
        if response.status == 200 and (tag := response.headers.get("etag")):
            known.pop(key, None)
            known[key] = tag, response
            if len(known) > memory:
                known.pop(next(iter(tuple(known))), None)

    def remembered(request: Request) -> Script[Response]:
        key = request.origin + (request.url or request.path), request.query
        tagged = known.get(key)
        response = yield from send(request.with_headers(("if-none-match", tagged[0])) if tagged else request)
        if response.status == 304 and tagged:
            if tag := response.headers.get("etag"):
                known[key] = tag, tagged[1]
            return msgspec.structs.replace(tagged[1], unchanged=True)
        remember(key, response)
        return response

    def sender(request: Request) -> Script[Response]:
        return remembered(request) if request.conditional else send(request)

    return sender
