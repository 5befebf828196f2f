"""Middleware of the page in pure ASGI: security headers, and which requests a browser may send.

Guarantees:

- every response has a content security policy without inline script or style, and no other site may show, read or
  embed it;
- a request that a page of another origin has caused is refused, except to follow a link (``Sec-Fetch-*``: Fetch
  Metadata Request Headers, section 2; ``Origin``: RFC 6454 section 7);
- without the cookie of a session or the bearer token nothing but the style, the script and the link is served.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie

from .._protocol.effects import Response
from .._server.asgi_requests import bearer_token, header
from .._server.asgi_types import App, Message, Receive, Scope, Send
from .._server.middleware import send_response
from .._server.problems import problem
from .sessions import Session, Sessions

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
READING = ("GET", "HEAD")
# Where the session of a request is in its scope; None for a program with the bearer token.
SESSION = "coatcheck.session"

OTHER_ORIGIN = problem(403, "A page of another origin has sent this request; open the page's own address instead")
NO_LOGIN = problem(401, "A bearer token or the cookie of a session is required", headers={"www-authenticate": "Bearer"})


class SecurityHeaders:
    """Add `HEADERS` to every response, and ``Cache-Control: no-store`` where a response has none."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                pairs = list(message.get("headers", ()))
                names = {name.lower() for name, _ in pairs}
                defaults = {**HEADERS, "cache-control": "no-store"}
                pairs += [(k.encode(), v.encode()) for k, v in defaults.items() if k.encode() not in names]
                message = {**message, "headers": pairs}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuse what a page of another origin sends."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if is_same_origin(scope):
            await self._app(scope, receive, send)
        else:
            await send_response(OTHER_ORIGIN, send)


def is_same_origin(scope: Scope) -> bool:
    """Whether a request is from a page of this server, from a program, or follows a link.

    With ``Referrer-Policy: no-referrer`` browsers send ``Origin: null`` with our own forms (Fetch, "append a request
    Origin header"); there ``Sec-Fetch-Site`` decides, which no script can set.
    """
    site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
    is_reading = scope["method"] in READING
    if origin == "null":
        return site == "same-origin"
    if origin and origin.lower() != f"http://{header(scope, b'host')}".lower():
        return False
    if site in ("", "same-origin", "none"):
        return True
    is_link = header(scope, b"sec-fetch-mode") == "navigate" and header(scope, b"sec-fetch-dest") == "document"
    return is_reading and is_link


class RequireSession:
    """Let through requests with a session's cookie or with the bearer token, and those for *public* paths.

    The session is in the scope of a request, None for a program. *refuse* answers the others.
    """

    def __init__(
        self,
        app: App,
        sessions: Sessions,
        *,
        token: str | None,
        public: tuple[str, ...],
        refuse: Callable[[Scope], Response],
    ) -> None:
        self._app, self._sessions, self._token = app, sessions, token
        self._public, self._refuse = public, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        session = self._session(scope)
        if session is None and not self._is_program(scope) and not self._is_public(scope["path"]):
            await send_response(await asyncio.to_thread(self._refuse, scope), send)
            return
        await self._app({**scope, SESSION: session}, receive, send)

    def _is_public(self, path: str) -> bool:
        """Whether *path* is one of the public ones, or below one that ends with a slash."""
        return any(path == each or (each.endswith("/") and path.startswith(each)) for each in self._public)

    def _session(self, scope: Scope) -> Session | None:
        value = cookie(scope, cookie_name(scope))
        return self._sessions.find(value) if value else None

    def _is_program(self, scope: Scope) -> bool:
        token = bearer_token(header(scope, b"authorization"))
        return bool(self._token and token) and hmac.compare_digest(token.encode(), (self._token or "").encode())


def cookie_name(scope: Scope) -> str:
    """Return the name of this server's cookie: browsers send the cookies of all ports of a host (RFC 6265, 8.5)."""
    return f"coatcheck_{(scope.get('server') or ('', 0))[1]}"


def cookie(scope: Scope, name: str) -> str:
    """Return the value of a cookie, "" where there is none."""
    try:
        found = SimpleCookie(header(scope, b"cookie")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def session_cookie(scope: Scope, value: str) -> str:
    """Return the ``Set-Cookie`` header of a session."""
    return f"{cookie_name(scope)}={value}; HttpOnly; SameSite=Strict; Path=/"
