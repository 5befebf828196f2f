"""The responses that the conformance tests give a provider: lost and unreadable ones, and `Retry-After` in every form."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from .._protocol.effects import Clock, Request, Response
from ..cloud.faults import Fault, ResetAfterAccept, StatusAfterAccept, Timeout


class BodyAfterAccept(Fault, frozen=True):
    """Create what was requested, then respond 200 with *body* and no other header than its type."""

    body: bytes
    content_type: str = "application/json"

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Act, then respond."""
        del request, clock
        answer()
        return Response(200, {"content-type": self.content_type}, self.body)


class BodyPrefix(Fault, frozen=True):
    """Put *prefix* before the body of the response."""

    prefix: bytes

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Respond with the prefix."""
        del request, clock
        response = answer()
        return msgspec.structs.replace(response, body=self.prefix + response.body)


# Faults after which a task may exist although the client received no response that it can read.
LOST_RESPONSES: Mapping[str, Fault] = {
    "reset": ResetAfterAccept(on="create_task"),
    "status 502": StatusAfterAccept(502, on="create_task"),
    "timeout": Timeout(on="create_task", is_accepted=True),
    "half of a document": BodyAfterAccept(b'{"id": "', on="create_task"),
    "another type": BodyAfterAccept(b"[]", on="create_task"),
    "ids of another type": BodyAfterAccept(b'{"id": 5, "name": [], "task": {"id": {}}}', on="create_task"),
    "web page": BodyAfterAccept(b"<!doctype html><title>Sign in</title>", "text/html", on="create_task"),
    "UTF-16": BodyAfterAccept("{}".encode("utf-16"), on="create_task"),
}
# `Retry-After` in every form (RFC 9110, sections 10.2.3 and 5.6.7), with the seconds that it means; None for what is none.
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
RETRY_AFTER: Mapping[str, float | None] = {
    "7": 7.0,
    "0": 0.0,
    " 7 ": 7.0,
    "Sun, 06 Nov 1994 08:50:37 GMT": 60.0,
    "Sunday, 06-Nov-94 08:50:37 GMT": 60.0,
    "Sun Nov  6 08:50:37 1994": 60.0,
    "Sun, 06 Nov 1994 08:50:37": 60.0,
    "Sun, 06 Nov 1994 08:48:37 GMT": 0.0,
    "7.5": None,
    "-7": None,
    "+7": None,
    "1e3": None,
    "\u0667": None,
    "soon": None,
    "": None,
}
