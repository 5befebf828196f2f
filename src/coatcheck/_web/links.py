"""The link that opens a session once, and the page of a browser without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .middleware import session_cookie
from .page_request import PageRequest
from .rendering import environment

if TYPE_CHECKING:
    from .sessions import Sessions

OPEN = "/open"


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
        return RedirectResponse(opened.path, 303, {"set-cookie": session_cookie(request.scope, opened.cookie)})

    return (Route(OPEN, open_link, methods=["GET"]),)


def used_link() -> Response:
    """Return the page of a link that was used before."""
    return _page("This link was used before, or is of another server", 403)


def no_session(_request: PageRequest) -> Response:
    """Return the page of a browser that has opened no link."""
    return _page("This browser has no session on this server", 401)


def _page(title: str, status: int) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(environment().get_template("no_session.html").render(title=title), status)
