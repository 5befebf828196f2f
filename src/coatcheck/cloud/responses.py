"""Responses in WHAM's form: JSON documents, and the error bodies of docs/reference/protocols/codex-wham.md, 2.9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from .._protocol.effects import Response

JSON_TYPE = "application/json"

T = TypeVar("T")


class Refusal(Exception):  # noqa: N818 - raised to leave a handler early, with a response
    """Stop handling and answer with `response`."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(f"HTTP {response.status}")


def json_reply(document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a JSON document."""
    return Response(
        status=status, headers={"content-type": JSON_TYPE, **(headers or {})}, body=msgspec.json.encode(document)
    )


def html_reply(title: str, body: str, *, status: int = 200) -> Response:
    """Answer with a small page; *title* and *body* are HTML already."""
    page = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>\n'
    return Response(status=status, headers=page_headers(POLICY), body=page.encode())


# No form-action here: Chromium applies it to the redirect that follows a form, and a login ends with one.
POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def page_headers(policy: str) -> Mapping[str, str]:
    """Return the headers of an HTML page that is not cached, framed, sniffed or named to other sites."""
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }


def detail(text: str, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with ``{"detail": text}``."""
    return json_reply({"detail": text}, status=status, headers=headers)


def decode(body: bytes, shape: type[T]) -> T:
    """Return JSON as *shape*. Raises `ValueError` for anything else: bad UTF-8 and deep nesting included."""
    try:
        return msgspec.json.decode(body, type=shape)
    except RecursionError:
        message = "JSON is nested too deeply"
        raise ValueError(message) from None  # msgspec's errors and UnicodeDecodeError are ValueErrors themselves


def validation(location: str, message: str, *, type: str = "value_error") -> Response:
    """Answer 400 as the service's validator words it."""
    where = ",".join(repr(part) for part in ("body", *location.split(".")))
    return json_reply(
        {
            "error": {
                "message": f"[{{'type':'{type}','loc':({where}),'msg':{message!r}}}]",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        },
        status=400,
    )


def oauth_error(code: str, message: str, *, status: int = 400) -> Response:
    """Answer as the token service does; clients read ``error.code`` (docs/reference/protocols/codex-wham.md, 6.4)."""
    return json_reply(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}, status=status
    )


UNAUTHENTICATED = detail("Could not parse your authentication token. Please try signing in again.", status=401)
UNKNOWN_TASK = detail("Invalid task ID", status=404)
UNKNOWN_TURN = detail("Invalid turn ID", status=404)


def wrong_method(allowed: str) -> Response:
    """Answer 405 with the methods that the path knows (RFC 9110 section 15.5.6)."""
    return detail("Method Not Allowed", status=405, headers={"allow": allowed})


UNKNOWN_ROUTE = detail("Not Found", status=404)
SUCCESS = json_reply({"success": True})
