"""Requests of an ASGI server: their head and their connection.

Guarantee: a body that is framed in two ways is refused (RFC 9112 sections 6.1 and 6.3).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from .._protocol.effects import Request
from .asgi_types import Receive, Scope

# RFC 9112 section 3.2.2: a server accepts a whole URL as the target, and its authority replaces the Host header.
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)


def with_origin_target(scope: Scope) -> Scope:
    """Return *scope* with a path as its target, and the Host header that belongs to it."""
    absolute = _ABSOLUTE.fullmatch(scope["raw_path"])
    if absolute is None:
        return scope
    headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
    raw_path = absolute[2] or b"/"
    return {
        **scope,
        "raw_path": raw_path,
        "path": unquote(raw_path.partition(b"?")[0].decode("latin-1")),
        "headers": [*headers, (b"host", absolute[1] or b"-")],
    }


def read_scope(scope: Scope) -> Request:
    """Return a request without its body."""
    path = scope["raw_path"].decode("latin-1").partition("?")[0]
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Request(scope["method"], path, query=tuple(query), headers=headers)


def header(scope: Scope, name: bytes) -> str:
    """Return the value of a header (lower-case name), "" where there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def body_size(scope: Scope) -> int | None:
    """Return how many bytes the body has, None where only its end shows it (chunked).

    Raises `ValueError` for framing that two programs could read in two ways (RFC 9112 sections 6.1 and 6.3).
    """
    version = scope.get("http_version", "1.1")
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    is_chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    if version not in ("1.0", "1.1") or (is_chunked and (lengths or version == "1.0")):
        raise ValueError("a chunked body has no Content-Length, and HTTP/1.0 no chunked bodies")
    return None if is_chunked else int(lengths[0]) if lengths else 0


_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header names this machine (no header: HTTP/1.0, which no browser sends)."""
    return not host or _LOOPBACK.fullmatch(host) is not None


def bearer_token(authorization: str) -> str:
    """Return the token of an ``Authorization`` header, "" for another scheme (RFC 6750 section 2.1)."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


# struct linger {int on, int seconds}: on with 0 seconds makes close() send a reset (socket(7), SO_LINGER).
_LINGER_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


def reset_connection(scope: Scope) -> None:
    """Reset the connection of a request."""
    import socket

    transport = scope.get("state", {}).get("transport")
    if transport is not None and not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
