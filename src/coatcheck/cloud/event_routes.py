"""The cloud's own routes, which WHAM does not have: event streams, and the diff of an attempt that runs.

Guarantees:

- each demands a bearer token of this cloud before anything else, also before it says whether a task exists;
- errors are problem documents (RFC 9457);
- ids of events are numbers that grow; ``Last-Event-ID`` resumes (`coatcheck._server.event_stream`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._protocol.effects import Response
from .._server.asgi_types import App, Receive, Scope, Send
from .._server.event_stream import HEADERS
from .._server.middleware import RequireBearer, send_response
from .._server.problems import problem
from .current_diff import NoDiffError
from .local_cloud import LocalCloud

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

TASK_EVENTS, ALL_EVENTS, TASK_DIFF = "/tasks/{task}/events", "/events", "/tasks/{task}/diff"
DIFF_TYPE = "text/x-diff; charset=utf-8"

NO_TASK = problem(404, "This server has no task with this id")
NO_ATTEMPT = problem(404, "The task has no attempt with this number")
NOT_A_NUMBER = problem(400, "attempt is a number from 1")


class EventRoutes:
    """The routes over *cloud*. *accepts* checks an access token."""

    def __init__(self, cloud: LocalCloud, *, accepts: Callable[[str], bool]) -> None:
        self._cloud, self._accepts = cloud, accepts

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        from starlette.routing import Route

        apps = {ALL_EVENTS: self._all_events, TASK_EVENTS: self._task_events, TASK_DIFF: self._diff}
        return [Route(path, Endpoint(RequireBearer(app, self._accepts)), methods=["GET"]) for path, app in apps.items()]

    async def _all_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _stream(self._cloud.feed.stream(), scope, receive, send)

    async def _task_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        task: str = scope["path_params"]["task"]
        if await asyncio.to_thread(lambda: self._cloud.get_task(task)) is None:
            return await send_response(NO_TASK, send)
        return await _stream(self._cloud.feed.stream(task), scope, receive, send)

    async def _diff(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the form of ASGI
        await send_response(await asyncio.to_thread(lambda: self._diff_response(scope)), send)

    def _diff_response(self, scope: Scope) -> Response:
        from starlette.datastructures import QueryParams

        task: str = scope["path_params"]["task"]
        number = QueryParams(scope["query_string"]).get("attempt", "1")
        if not (number.isascii() and number.isdecimal() and 1 <= len(number) <= 6 and int(number)):
            return NOT_A_NUMBER
        if self._cloud.get_task(task) is None:
            return NO_TASK
        try:
            diff = self._cloud.current_diff(task, int(number))
        except NoDiffError as error:
            return problem(503, f"No diff now: {error}", headers={"retry-after": "5"})
        if diff is None:
            return NO_ATTEMPT
        headers = {"content-type": DIFF_TYPE, "cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(200, headers, diff.encode("utf-8", "replace"))


class Endpoint:
    """An ASGI application as Starlette wants it: not a function."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self._app(scope, receive, send)


async def _stream(stream: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a stream; HEAD with its headers."""
    if scope["method"] == "HEAD":
        return await send_response(Response(200, HEADERS), send)
    return await stream(scope, receive, send)
