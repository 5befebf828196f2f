"""Responses and errors of Jules: google.rpc.Status, pages, filters and field masks. Pure.

See docs/reference/protocols/jules.md, "1.2 Error envelope" and "1.5 Pagination, filters, order".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ..._protocol.effects import Request, Response
from ...cloud.faults import Fault, Status

T = TypeVar("T")

JSON = {"content-type": "application/json; charset=UTF-8"}
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
MESSAGES = {
    404: "Requested entity was not found.",
    429: "Resource has been exhausted (e.g. check quota).",
    503: "The service is currently unavailable.",
}
MAX_PAGE = 100


class RefusalError(Exception):
    """Ends the handling of a request with `response`."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(f"HTTP {response.status}")


def reply(document: object) -> Response:
    """Return a JSON response."""
    return Response(200, headers=JSON, body=msgspec.json.encode(document))


# Both an empty object and no byte at all have been seen (docs/reference/protocols/jules.md, "1.2 Error envelope"); no
# byte is the harder one.
EMPTY = Response(200, headers=JSON)


def error(status: int, message: str, *, word: str | None = None, details: Sequence[object] = ()) -> Response:
    """Return an error response with google.rpc.Status."""
    body: dict[str, object] = {"code": status, "message": message, "status": word or STATUSES.get(status, "UNKNOWN")}
    if details:
        body["details"] = list(details)
    return Response(status, headers=JSON, body=msgspec.json.encode({"error": body}))


def worded(fault: Fault, response: Response) -> Response:
    """Return the response of a fault with the service's wording."""
    if not isinstance(fault, Status) or fault.is_html:
        return response
    refusal = error(fault.status, fault.text or MESSAGES.get(fault.status, f"HTTP {fault.status}"))
    return msgspec.structs.replace(refusal, headers={**response.headers, **JSON})


def invalid(message: str, *, details: Sequence[object] = ()) -> RefusalError:
    """Return the exception that refuses a request with 400."""
    return RefusalError(error(400, message, details=details))


NOT_FOUND = RefusalError(error(404, MESSAGES[404]))
PRECONDITION = RefusalError(error(400, "Precondition check failed.", word="FAILED_PRECONDITION"))


# -- authentication ----------------------------------------------------------------------------------------------------

# Both refusals carry the same reason, and the second text is false (docs/reference/protocols/jules.md, "1.2 Error
# envelope").
NO_KEY = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential."
WRONG_KEY = "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that assert a principal."
CREDENTIALS_MISSING = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "CREDENTIALS_MISSING",
    "domain": "googleapis.com",
    "metadata": {"method": "google.labs.jules.v1alpha.JulesService", "service": "jules.googleapis.com"},
}


def check_key(request: Request, key: str) -> None:
    """Refuse a request without the key."""
    given = dict(request.headers).get("x-goog-api-key")
    if given != key:
        raise RefusalError(error(401, WRONG_KEY if given else NO_KEY, details=[CREDENTIALS_MISSING]))


# -- requests ----------------------------------------------------------------------------------------------------------

SESSION_FIELDS = {"prompt", "title", "sourceContext", "requirePlanApproval", "automationMode"}
CONTEXT_FIELDS = {"source", "githubRepoContext", "workingBranch", "environmentVariablesEnabled"}
MODES = {"AUTOMATION_MODE_UNSPECIFIED", "AUTO_CREATE_PR"}
MODE_TYPE = "type.googleapis.com/google.labs.jules.v1alpha.AutomationMode"


def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body, an empty one for no body."""
    try:
        return msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise invalid("Invalid JSON payload received. Unexpected token.") from None


def check_fields(body: Mapping[str, object], known: set[str], *, at: str | None) -> None:
    """Refuse the first field that is not *known*."""
    if unknown := set(body) - known:
        where = f" at '{at}'" if at else ""
        raise invalid(f'Invalid JSON payload received. Unknown name "{min(unknown)}"{where}: Cannot find field.')


def checked_session(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a new session, or refuse them for their first error.

    See docs/reference/protocols/jules.md, "1.2 Error envelope" and "2.2 Session".
    """
    check_fields(body, SESSION_FIELDS, at="session")
    mode = body.get("automationMode", "AUTO_CREATE_PR")
    if mode not in MODES:
        message = f"Invalid value at 'session.automation_mode' ({MODE_TYPE}), \"{mode}\""
        violation = {"field": "session.automation_mode", "description": message}
        raise invalid(
            message, details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
        )
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise invalid("Request contains an invalid argument.")
    context = body.get("sourceContext", {})
    check_fields(context, CONTEXT_FIELDS, at="session.source_context")
    if context and not context.get("githubRepoContext", {}).get("startingBranch"):
        raise invalid("Request contains an invalid argument.")
    return body


# -- lists -------------------------------------------------------------------------------------------------------------


def page(
    key: str, found: Sequence[T], query: Mapping[str, str], default: int, *, show: Callable[[T], object] | None = None
) -> Response:
    """Return a page; its token is opaque, and an empty list has no key at all.

    See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
    """
    start, size = _offset(query.get("pageToken")), page_size(query, default)
    shown = found[start : start + size]
    following = {"nextPageToken": _token(start + size)} if start + size < len(found) else {}
    return reply({**({key: list(map(show, shown) if show else shown)} if shown else {}), **following})


def page_size(query: Mapping[str, str], default: int) -> int:
    """Return the page size; more than a hundred is a hundred.

    See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
    """
    try:
        size = int(query.get("pageSize") or 0)
    except ValueError:
        raise invalid("Invalid value at 'page_size' (TYPE_INT32)") from None
    if size < 0:
        raise invalid("Request contains an invalid argument.")
    return min(size or default, MAX_PAGE)


def _token(offset: int) -> str:
    return base64.b64encode(b"offset:%d" % offset).decode()


def _offset(token: str | None) -> int:
    try:
        return int(base64.b64decode(token).removeprefix(b"offset:")) if token else 0
    except (binascii.Error, ValueError):
        raise invalid("Request contains an invalid argument.") from None


def activity_page(activities: Sequence[Mapping[str, object]], query: Mapping[str, str], default: int) -> Response:
    """Return a page of activities: the token is the time of its first one, inclusive; the filter is exclusive.

    See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
    """
    after, since = _after(query.get("filter")), _nanoseconds(query.get("pageToken"))
    selected = [each for each in activities if (at := nanoseconds(str(each["createTime"]))) >= since and at > after]
    size = page_size(query, default)
    more = {"nextPageToken": str(nanoseconds(str(selected[size]["createTime"])))} if len(selected) > size else {}
    return reply({**({"activities": selected[:size]} if selected else {}), **more})


def nanoseconds(moment: str) -> int:
    """Return a time as page tokens have it, in nanoseconds since the epoch."""
    at = datetime.fromisoformat(moment)
    return (int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond) * 1000


def _nanoseconds(token: str | None) -> int:
    try:
        return int(token or 0)
    except ValueError:
        raise invalid("Request contains an invalid argument.") from None


def _after(filter: str | None) -> int:
    if not filter:
        return -1
    match = re.fullmatch(r'\s*create_time\s*>\s*"([^"]+)"\s*', filter)
    try:
        return nanoseconds(match[1] if match else "")
    except ValueError:
        raise invalid("Invalid filter") from None


def archived_filter(filter: str | None) -> frozenset[bool]:
    """Return which sessions a filter selects; it accepts only `archived`.

    See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
    """
    if not filter:
        return frozenset({False})
    terms = [re.fullmatch(r"\s*archived\s*=\s*(true|false)\s*", term) for term in filter.split(" OR ")]
    if None in terms:
        raise invalid("Invalid filter")
    return frozenset(term[1] == "true" for term in terms if term)


def names_filter(filter: str | None) -> frozenset[str] | None:
    """Return which sources a filter selects; it accepts only `name`; None is all.

    See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order".
    """
    if not filter:
        return None
    terms = [re.fullmatch(r'\s*name\s*=\s*"?([^"\s]+)"?\s*', term) for term in filter.split(" OR ")]
    if None in terms:
        raise invalid("Invalid filter")
    return frozenset(term[1] for term in terms if term)


def source(owner: str, repo: str, *, branches: Iterable[str] = (), name: str | None = None) -> dict[str, object]:
    """Return a source with its repository and every branch of it; the first one is the default.

    See docs/reference/protocols/jules.md, "2.1 Source".
    """
    shown = [{"displayName": branch} for branch in branches]
    about: dict[str, object] = {"owner": owner, "repo": repo}
    if shown:
        about |= {"defaultBranch": shown[0], "branches": shown}
    id = name or f"github/{owner}/{repo}"
    return {"name": f"sources/{id}", "id": id, "githubRepo": about}


# -- field masks -------------------------------------------------------------------------------------------------------


def masked(response: Response, fields: str | None) -> Response:
    """Return only the fields that a mask names: ``a,b(c,d)``."""
    if not fields or not response.body:
        return response
    return reply(_cut(msgspec.json.decode(response.body), _mask(fields)))


def _cut(value: object, mask: Mapping[str, Any]) -> object:
    if isinstance(value, list):
        return [_cut(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: part for name, part in value.items() if name in mask}
    return {name: _cut(part, mask[name]) if mask[name] else part for name, part in kept.items()}


def _mask(text: str) -> dict[str, Any]:
    mask: dict[str, Any] = {}
    stack, name = [mask], ""
    for word in re.findall(r"[^,()]+|[,()]", text):
        if word == "(":
            stack.append(stack[-1][name])
        elif word == ")":
            stack.pop()
        elif word != ",":
            name = word.strip()
            stack[-1][name] = {}
    return mask
