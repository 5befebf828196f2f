"""Read a service's answer: errors by status first, then the body as the shape that was expected.

Invariants:
- an error carries the status, one short scrubbed line of detail and the request id, and never a whole body;
- a byte-order mark before the JSON is ignored (RFC 8259, section 8.1);
- what is no Unicode in a JSON text (half of a surrogate pair, a character cut in its middle) becomes U+FFFD, and the
  rest of the text is read as it stands (RFC 8259, section 8.2; WHATWG Encoding, "utf-8 decode").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from .. import errors
from .._values.decoders import decoder
from .effects import Response
from .json_text import clean_json
from .retry_after import is_throttled, retry_after
from .urls import REDIRECTS, absolute_url, printable_url

T = TypeVar("T")

# A longer detail adds nothing; Cloudflare's error pages are 10 kB of HTML (docs/reference/protocols/codex-wham.md,
# 2.9).
MAX_DETAIL = 300

STATUSES: Mapping[int, type[errors.ProviderError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
}

PAGE_REMEDY = "it came from a proxy or the network edge: check the base URL, or try again later or from another network"
REQUEST_ID_HEADERS = ("x-request-id", "x-oai-request-id", "cf-ray", "x-amzn-requestid", "x-github-request-id")


def decode(response: Response, shape: type[T]) -> T:
    """Return the body as *shape*; raises the error for the status, or `UnreadableResponseError`."""
    check(response)
    return read_json(response.body, shape, response=response)


def check(response: Response) -> None:
    """Raise the error of a status of 300 or more, and of statuses that are no response to the request.

    Those are 1xx, which are not final (RFC 9110, section 15.2), and 206: no range is ever requested.
    """
    if response.status >= 300:
        raise error_for(response)
    if response.status < 200 or response.status == 206:
        raise _no_response(response.status, request_id(response.headers))


def text_body(response: Response) -> bytes:
    """Return the body of *response*, a text of its own such as a diff, without a byte-order mark. Raises as `check` does."""
    check(response)
    body: bytes = response.body
    return body.removeprefix(BYTE_ORDER_MARK)


def read_json(body: bytes | msgspec.Raw, shape: type[T], *, response: Response | None = None, at: str = "$") -> T:
    """Return *body* as *shape*; raises `UnreadableResponseError` with the JSON path of what is wrong.

    *at* is the path of *body* where it is a part of an answer.
    """
    try:
        result: T = decoder(shape).decode(body)
    except UNREADABLE:
        return _read_repaired(body, shape, response, at)
    return result


def _read_repaired(body: bytes | msgspec.Raw, shape: type[T], response: Response | None, at: str) -> T:
    try:
        return decode_json(body, shape)
    except UNREADABLE as error:
        raise _unreadable(body, error, response, at) from None


# The exceptions of `decode_json` for a text that is not JSON, or not of the expected shape.
# A program may write one before a text (RFC 8259, section 8.1).
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


def decode_json(body: bytes | str | msgspec.Raw, shape: type[T]) -> T:
    """Return *body* as *shape*, without its byte-order mark and with U+FFFD in place of bytes that are not Unicode.

    Raises one of `UNREADABLE`.
    """
    read = decoder(shape).decode
    try:
        result: T = read(body)
    except UNREADABLE:
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
        repaired = clean_json(data.decode("utf-8", "replace").encode())
        if repaired == data:
            raise
        result = read(repaired)
    return result


def _unreadable(
    body: bytes | msgspec.Raw, error: Exception, response: Response | None, at: str
) -> errors.UnreadableResponseError:
    reason, inner = split_path(str(error))
    if bytes(body).startswith(_WIDE_BOMS):
        reason = "UTF-16, where JSON is UTF-8 (RFC 8259, section 8.1)"
    path = f"{at}{inner[1:]}"
    kind = (response.headers.get("content-type", "") if response else "").partition(";")[0]
    is_html = response is not None and is_page(response)
    kind = "text/html" if is_html else kind
    what = "an empty body" if not body else f"{kind} instead of JSON" if kind and "json" not in kind else reason
    status = response.status if response else 200
    return errors.UnreadableResponseError(
        f"the service sent {what}"
        if what is not reason
        else f"the service's response does not have the documented shape at {path}: {reason}",
        status=status,
        path=path,
        detail=reason,
        request_id=request_id(response.headers) if response else None,
        remedy=PAGE_REMEDY if is_html else None,
    )


def is_page(response: Response) -> bool:
    """Whether a response is a web page, which a proxy or a check of the network edge sends in place of the service's."""
    begin = response.body[:1_000].removeprefix(BYTE_ORDER_MARK).lstrip()[:5]
    is_html = begin[:1] == b"<" and begin != b"<?xml"
    return is_html or "html" in response.headers.get("content-type", "") or "cf-mitigated" in response.headers


def split_path(message: str) -> tuple[str, str]:
    """Split msgspec's "reason - at `$.path`" in two."""
    reason, _, path = message.partition(" - at `")
    return reason, path.rstrip("`") or "$"


def error_for(response: Response) -> errors.ProviderError:
    """Return the error for the response."""
    if 300 <= response.status < 400:
        return _redirect_error(response)
    kind, detail, id = kind_of(response), detail_of(response), request_id(response.headers)
    message = f"{kind.default_message()} (HTTP {response.status})" + (f": {detail}" if detail else "")
    # The remedy of a login is added where the login is known.
    remedy = PAGE_REMEDY if is_page(response) and kind is not errors.AuthenticationError else None
    if issubclass(kind, (errors.RateLimitError, errors.ProviderUnavailableError)):
        after = retry_after(response.headers)
        return kind(message, status=response.status, detail=detail, request_id=id, retry_after=after, remedy=remedy)
    return kind(message, status=response.status, detail=detail, request_id=id, remedy=remedy)


def _redirect_error(response: Response) -> errors.ProviderError:
    """Return the error for a 3xx status, which is not followed here."""
    status, id, detail = response.status, request_id(response.headers), detail_of(response)
    if status not in REDIRECTS:
        return _no_response(status, id)
    where = "no address"
    if (location := response.headers.get("location")) is not None:
        url = absolute_url(location, relative_to=response.url)
        if url is None:
            message = "the service redirects to something that is not an address"
            return errors.UnreadableResponseError(message, status=status, request_id=id)
        where = printable_url(url)
    message = f"the service redirects the request to {where} (HTTP {status}), which is not followed"
    return errors.ProviderError(
        f"{message}: {detail}" if detail else message,
        status=status,
        detail=detail,
        request_id=id,
        remedy="check the base URL of the service, and the login",
    )


def _no_response(status: int, id: str | None) -> errors.UnreadableResponseError:
    message = f"the service sent HTTP {status}, which is not a response to this request"
    return errors.UnreadableResponseError(message, status=status, request_id=id)


def kind_of(response: Response) -> type[errors.ProviderError]:
    """Return the class of error of a response: by its status, except for rate limits that are not sent as 429."""
    status = response.status
    if is_throttled(status, response.headers):
        return errors.RateLimitError
    return STATUSES.get(status, errors.ProviderUnavailableError if status >= 500 else errors.ProviderError)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that the service's support needs to find a request."""
    return next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)


def detail_of(response: Response) -> str | None:
    """Return the service's reason in one short line: JSON ``detail``, ``error.message``, ``message``, ``title``, or text."""
    try:
        body = decode_json(response.body, object)
    except UNREADABLE:
        return _detail_of_text(response)
    return _short(_detail_in(body)) if body else None


_DETAIL_KEYS = ("detail", "error_description", "message", "Message", "title", "code", "error", "errors")


def _detail_in(body: object) -> str:
    readers: Mapping[type, Callable[[Any], str]] = {
        str: str,
        list: lambda items: "; ".join(filter(None, map(_detail_in, items[:3]))),
        dict: lambda fields: next(filter(None, (_detail_in(fields.get(key)) for key in ("msg", *_DETAIL_KEYS))), ""),
    }
    return readers.get(type(body), lambda _: "")(body)


def _detail_of_text(response: Response) -> str | None:
    text = response.body[:20_000].decode("utf-8-sig", "replace")
    if is_page(response) and text.strip():
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return _short(f"an HTML page{f' titled {title[1].strip()!r}' if title else ''}")
    return _short(text)


@cache
def _secrets() -> re.Pattern[str]:
    """Match what may be a credential: JWTs, "Bearer x", sk-/at-/ghp_ keys, and e-mail addresses."""
    return re.compile(
        r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}|(?i:openai-bearer\.|bearer\s+(?!tokens?\b))[^\s\"',]+|\b(?:sk|at|rt|ghp|gho|ghs|github_pat|AIza|AKIA)[-_]?[A-Za-z0-9_-]{16,}|[\w.+-]+@[\w-]+\.[\w.]+"
    )


def scrub(text: str) -> str:
    """Return *text* with everything that looks like a credential or an e-mail address masked."""
    return _secrets().sub("[hidden]", text)


def _short(text: str) -> str | None:
    line = " ".join(scrub(text).split())
    return (line if len(line) <= MAX_DETAIL else f"{line[:MAX_DETAIL]}…") or None
