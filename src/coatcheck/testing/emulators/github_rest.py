"""Responses of GitHub: errors, pages, ETags, rate limits, and downloads from another host.

See docs/reference/protocols/services.md, "1.1 Endpoints" and "1.4 Rate limits, conditional polling".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from ..._protocol.effects import Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault, Status

JSON = {"content-type": "application/json; charset=utf-8"}
HOUR, MINUTE = 3600.0, 60.0
# What a request costs against the secondary limit (docs/reference/protocols/services.md, "1.4 Rate limits, conditional
# polling").
POINTS = {"GET": 1, "HEAD": 1, "OPTIONS": 1}
WRITE_POINTS = 5
MAX_PAGE = 100
# How long the address of a download is valid (docs/reference/protocols/services.md, "1.1 Endpoints") (seconds).
BLOB_SECONDS = 60.0
MESSAGES = {401: "Bad credentials", 403: "Resource not accessible by personal access token", 404: "Not Found"}


class RefusalError(Exception):
    """Ends the handling of a request with `response`."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(f"HTTP {response.status}")


def reply(document: object, *, status: int = 200, **headers: str) -> Response:
    """Return a JSON response."""
    return Response(status, headers={**JSON, **headers}, body=msgspec.json.encode(document))


def error(status: int, message: str, **headers: str) -> Response:
    """Return an error response of GitHub."""
    fields = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return reply(fields, status=status, **headers)


def refusal(status: int, message: str) -> RefusalError:
    """Return the exception that refuses a request."""
    return RefusalError(error(status, message))


NOT_FOUND = refusal(404, "Not Found")


def worded(fault: Fault, response: Response) -> Response:
    """Return the response of a fault with the service's wording."""
    if not isinstance(fault, Status) or fault.is_html:
        return response
    fields = error(fault.status, fault.text or MESSAGES.get(fault.status, f"HTTP {fault.status}"))
    return msgspec.structs.replace(fields, headers={**response.headers, **JSON})


def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body, an empty one for no body."""
    try:
        return msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise refusal(400, "Problems parsing JSON") from None


def moment(seconds: float | None) -> str | None:
    """Return a time as the service writes it, in whole seconds."""
    return None if seconds is None else format_time(seconds)


def http_date(seconds: float) -> str:
    """Return a time as headers have it (RFC 9110 section 5.6.7)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def seconds_of(text: str) -> float:
    """Return a time in seconds since the epoch; refuses any other text."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise refusal(422, f"Invalid date: {text}") from None


def end_of(pull: Mapping[str, Any], end: str) -> str:
    """Return the branch at an end of a pull request."""
    return str(pull[end]["ref"])


# -- pages -------------------------------------------------------------------------------------------------------------


def page(request: Request, found: Sequence[object], *, key: str | None, base: str) -> Response:
    """Return a page with ``Link`` to the pages beside it; without a *key* the body is the list itself."""
    query = dict(request.query)
    size, number = _number(query, "per_page", 30, MAX_PAGE), _number(query, "page", 1, None)
    shown = list(found[(number - 1) * size : number * size])
    last = max(1, -(-len(found) // size))
    places = {"next": number + 1 if number < last else None, "prev": number - 1 if number > 1 else None}
    links = [
        f'<{base}{request.path}?{urlencode({**query, "page": each})}>; rel="{rel}"'
        for rel, each in places.items()
        if each is not None
    ]
    answer = reply(shown if key is None else {"total_count": len(found), key: shown})
    link = {"link": ", ".join(links)} if links else {}
    return msgspec.structs.replace(answer, headers={**answer.headers, **link})


def _number(query: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    text = query.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1 or (most and int(text) > most):
        raise refusal(422, f"Invalid request. {name} is out of range: {text}")
    return int(text)


# -- what is counted ---------------------------------------------------------------------------------------------------


class Meter:
    """The limits of one user: *limit* requests an hour and, where it is given, *points* a minute.

    `polls` counts all GET requests, `counted` those of the primary limit, `free` the 304 responses.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """

    def __init__(self, *, limit: int, points: int | None) -> None:
        self.limit, self.points = limit, points
        self.polls = self.counted = self.free = 0
        self.worst_minute = 0
        self._used, self._reset = 0, 0.0
        self._spent, self._minute = 0, 0.0

    def check(self, request: Request, now: float) -> None:
        """Count a request, and refuse it above a limit."""
        self._turn(now)
        self.polls += 1
        self._spent += POINTS.get(request.method, WRITE_POINTS)
        self.worst_minute = max(self.worst_minute, self._spent)
        if self.points is not None and self._spent > self.points:
            raise refusal(
                403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            )
        if self._used >= self.limit:
            raise refusal(403, "API rate limit exceeded for user ID 1.")

    def settle(self, response: Response) -> Response:
        """Count a response against the primary limit unless it is a 304, and add the headers of the limit."""
        if response.status == 304:
            self.free += 1
        elif self._used < self.limit:
            self._used += 1
            self.counted += 1
        return msgspec.structs.replace(response, headers={**response.headers, **self.headers()})

    def headers(self) -> dict[str, str]:
        """Return the headers of the primary limit, which every response has."""
        fields = {f"x-ratelimit-{name}": str(value) for name, value in self.document().items()}
        return {**fields, "x-ratelimit-resource": "core"}

    def document(self) -> dict[str, int]:
        """Return the limit as `GET /rate_limit` has it."""
        return {
            "limit": self.limit,
            "used": self._used,
            "remaining": self.limit - self._used,
            "reset": int(self._reset),
        }

    def _turn(self, now: float) -> None:
        if now >= self._reset:
            self._used, self._reset = 0, now + HOUR
        if now >= self._minute:
            self._spent, self._minute = 0, now + MINUTE


def tagged(request: Request, response: Response) -> Response:
    """Return *response* with its ETag, or 304 where the request has it; it covers Accept, Authorization and body.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    if request.method != "GET" or response.status != 200:
        return response
    headers = dict(request.headers)
    seed = f"{headers.get('accept')}\n{headers.get('authorization')}\n".encode() + response.body
    tag = f'W/"{hashlib.sha256(seed).hexdigest()}"'
    given = [each.strip().removeprefix("W/") for each in headers.get("if-none-match", "").split(",")]
    if tag.removeprefix("W/") in given:
        return Response(304, headers={"etag": tag})
    return msgspec.structs.replace(response, headers={**response.headers, "etag": tag})


class RepeatingLink(Fault, frozen=True, kw_only=True):
    """A list whose next page is always the second, which is empty."""

    on: str = "list_tasks"
    times: int | None = None

    def act(self, request: Request, answer: Any, clock: Any) -> Response:
        """Respond with a link to the second page."""
        del clock
        found: Response = answer()
        link = f'<https://api.github.com{request.path}?per_page=100&page=2>; rel="next"'
        return msgspec.structs.replace(found, headers={**found.headers, "link": link})
