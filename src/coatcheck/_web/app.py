"""The page as an ASGI application, put together from its parts; it reads no environment and opens nothing.

A request passes in this order: security headers, `SameOrigin`, the one-time link, `RequireSession`, `LimitBody`, then
the routes of `views.VIEWS` and `extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .._protocol.effects import Response as PlainResponse
from .._server.asgi_requests import header
from .._server.middleware import LimitBody
from .._server.problems import problem
from .._server.routes import health, to_starlette
from .._webhooks.server import repeating
from . import assets, links
from .api import routes as api
from .api.endpoints import PREFIX
from .error_pages import error_page
from .event_follower import EventFollower
from .live import LiveEvents
from .middleware import NO_LOGIN, SESSION, RequireSession, SameOrigin, SecurityHeaders
from .page_errors import PageNotFoundError
from .page_request import PageRequest
from .poller import Poller
from .routing import merged
from .views import VIEWS

if TYPE_CHECKING:
    from .._server.asgi_types import App, Scope
    from .site import Site

API = "/api/"
# What is served without a session: no data of the user is in it.
PUBLIC = (assets.PREFIX, links.OPEN, "/health")
# The largest body: a prompt, or a starting diff in JSON.
MAX_BODY = 4 * 1024 * 1024
# How often it is looked up which tasks are due (seconds).
POLL_SECONDS = 1.0


class WebApp:
    """The page of one site. `asgi` is its application; `running` sends events to open pages."""

    def __init__(self, site: Site, *, token: str | None = None, extra: Sequence[BaseRoute] = ()) -> None:
        """*token* is the bearer token of programs, None for none; *extra* are further routes behind the same checks."""
        self.site, self.sessions = site, site.sessions
        self.live = LiveEvents(site.events)
        self.poller = Poller(site, is_watched=lambda: self.live.has_readers)
        self.follower = EventFollower(site, is_watched=lambda: self.live.has_readers)
        self.asgi = self._application(token, extra)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send events to open pages, and poll and follow tasks for them, while the block runs."""
        with ExitStack() as stack:
            stack.enter_context(self.live.following())
            stack.enter_context(repeating(self.poller.poll_due, name="poller", seconds=POLL_SECONDS))
            stack.callback(self.follower.stop)
            stack.enter_context(repeating(self.follower.follow_running, name="follower", seconds=POLL_SECONDS))
            yield

    def _application(self, token: str | None, extra: Sequence[BaseRoute]) -> App:
        views = [register(self.site) for view in (*VIEWS, api) for register in view.ROUTES]
        application = Starlette(
            routes=merged(
                [
                    Route("/health", health, methods=["GET"]),
                    *assets.ROUTES,
                    *links.routes(self.sessions),
                    Route("/events", self.live, methods=["GET"]),
                    Route(f"{PREFIX}/events/stream", self.live, methods=["GET"]),
                    *views,
                    *extra,
                ]
            ),
            exception_handlers={HTTPException: self._http_error, Exception: self._bug},
        )
        application.router.redirect_slashes = False
        guarded = RequireSession(
            LimitBody(application, limit=MAX_BODY), self.sessions, token=token, public=PUBLIC, refuse=self._refuse
        )
        return SecurityHeaders(SameOrigin(guarded))

    def _refuse(self, scope: Scope) -> PlainResponse:
        """Answer a request without a session: a page for browsers, a problem document for programs."""
        if scope["path"].startswith(API) or b"text/html" not in header(scope, b"accept").encode():
            return NO_LOGIN
        page = links.no_session(scope)
        return PlainResponse(status=page.status_code, headers=dict(page.headers), body=bytes(page.body))

    def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
        if not _is_for_people(request):
            return to_starlette(problem(error.status_code, error.detail, headers=error.headers))
        text = "no page has this address" if error.status_code == 404 else f"the page cannot be used so: {error.detail}"
        answer = error_page(self._bare(request), PageNotFoundError(text, remedy="start at the list of tasks"))
        answer.status_code = error.status_code
        answer.headers.update(error.headers or {})
        return answer

    def _bug(self, request: Request, error: Exception) -> Response:
        """Answer for an error of ours; Starlette raises it again, and the server logs it."""
        if not _is_for_people(request):
            return to_starlette(problem(500, "Internal Server Error"))
        return error_page(self._bare(request), error)

    def _bare(self, request: Request) -> PageRequest:
        return PageRequest(self.site, request.scope.get(SESSION), request.url.path)


def _is_for_people(request: Request) -> bool:
    """Whether an error is a page: for a browser with a session. Pages have data of the user, so others get none."""
    is_page = not request.url.path.startswith(API) and "text/html" in request.headers.get("accept", "")
    return is_page and request.scope.get(SESSION) is not None
