"""The link that opens a session once, and the page of a browser without one.

Guarantee: the page that a browser requested without a session is opened by the link; it is a path of this server.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .middleware import cookie, cookie_name, session_cookie
from .rendering import environment

if TYPE_CHECKING:
    from .._server.asgi_types import Scope
    from .sessions import Sessions

OPEN = "/open"
# For so long a page that was requested without a session is remembered (seconds).
WANTED_SECONDS = 3600
# A path with a query of printable ASCII. A second slash would begin a host, and browsers take a backslash for a slash
# (WHATWG URL, "relative slash state"). Browsers store cookies of up to 4096 bytes (RFC 6265, 6.1).
PAGE_PATH = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,2000})?")
NO_PAGES = (OPEN, "/static/", "/api/", "/events", "/health")


def routes(sessions: Sessions) -> Sequence[BaseRoute]:
    """Return the route of the link."""

    async def open_link(request: Request) -> Response:
        """Set the cookie of a new session. A browser that fetches the link in advance opens none (``Sec-Purpose``)."""
        is_prefetched = "prefetch" in request.headers.get("sec-purpose", "")
        opened = None
        if request.method == "GET" and not is_prefetched:
            opened = sessions.open(request.query_params.get("token", ""))
        if opened is None:
            return await run_in_threadpool(used_link)
        wanted = wanted_page(request.scope) if opened.path == "/" else ""
        answer = RedirectResponse(wanted or opened.path, 303)
        if cookie(request.scope, _wanted_name(request.scope)):
            answer.headers.append("set-cookie", _wanted_cookie(request.scope, "", seconds=0))
        answer.headers.append("set-cookie", session_cookie(request.scope, opened.cookie))
        return answer

    return (Route(OPEN, open_link, methods=["GET"]),)


def used_link() -> Response:
    """Return the page of a link that was used before."""
    return _page("This link was used before, or is of another server", 403)


def no_session(scope: Scope) -> Response:
    """Return the page of a browser that has opened no link; the link leads to the page that was requested."""
    query = scope["query_string"].decode("latin-1")
    wanted = scope["raw_path"].decode("latin-1").partition("?")[0] + (f"?{query}" if query else "")
    is_kept = scope["method"] == "GET" and wanted != "/" and is_page_path(wanted)
    answer = _page("This browser has no session on this server", 401, wanted=unquote(wanted) if is_kept else "")
    if is_kept:
        encoded = base64.urlsafe_b64encode(wanted.encode()).decode()
        answer.headers["set-cookie"] = _wanted_cookie(scope, encoded, seconds=WANTED_SECONDS)
    return answer


def wanted_page(scope: Scope) -> str:
    """Return the path of the page that was requested without a session, "" where none was.

    Servers of other ports can set cookies of this host (RFC 6265, 8.5): whatever is no path of a page here is ignored.
    """
    try:
        wanted = base64.urlsafe_b64decode(cookie(scope, _wanted_name(scope))).decode()
    except ValueError:
        return ""
    return wanted if is_page_path(wanted) else ""


def is_page_path(path: str) -> bool:
    """Whether *path* is that of a page of this server: a redirection to it leads to no other host and is no download."""
    return bool(PAGE_PATH.fullmatch(path)) and not path.startswith(NO_PAGES)


def _wanted_cookie(scope: Scope, value: str, *, seconds: int) -> str:
    return f"{_wanted_name(scope)}={value}; HttpOnly; SameSite=Strict; Path={OPEN}; Max-Age={seconds}"


def _wanted_name(scope: Scope) -> str:
    return f"{cookie_name(scope)}_page"


def _page(title: str, status: int, *, wanted: str = "") -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(environment().get_template("no_session.html").render(title=title, wanted=wanted), status)
