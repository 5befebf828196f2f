"""Errors as problem documents (RFC 9457), for routes that are not another service's."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from .._protocol.effects import Response

PROBLEM_TYPE = "application/problem+json"


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document; *detail* is one sentence for people.

    Its type is "about:blank", which means that a program needs nothing but the status (RFC 9457 section 4.2.1).
    """
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(
        status=status, headers={"content-type": PROBLEM_TYPE, **(headers or {})}, body=msgspec.json.encode(document)
    )


def closing(response: Response) -> Response:
    """Return *response* as the last one of its connection."""
    return msgspec.structs.replace(response, headers={**response.headers, "connection": "close"})
