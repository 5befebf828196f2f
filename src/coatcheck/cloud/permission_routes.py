"""The route that decides a permission request: ``POST /tasks/{task}/permissions/{request}`` with ``{"option": ID}``.

Guarantees:
- it demands a bearer token of this cloud before its body is read;
- the same decision twice is no error; another one is a 409 that names the first;
- errors are problem documents (RFC 9457).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from .._protocol.effects import Response
from .._server.asgi_types import App, Receive, Scope, Send
from .._server.middleware import LimitBody, RequireBearer, send_response
from .._server.problems import problem
from .event_routes import Endpoint
from .permission_requests import DecidedError, PermissionRequests, UnknownRequestError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

PATH = "/tasks/{task}/permissions/{request}"
MAX_BODY = 16 * 1024

NO_REQUEST = problem(404, "The task waits for no permission with this id")
NOT_A_DECISION = problem(400, 'The body is not a JSON object {"option": ID}')
DECIDED = Response(204)


class _Body(msgspec.Struct):
    option: str


class PermissionRoutes:
    """The route over *requests*. *accepts* checks an access token."""

    def __init__(self, requests: PermissionRequests, *, accepts: Callable[[str], bool]) -> None:
        self._requests, self._accepts = requests, accepts

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route."""
        from starlette.routing import Route

        app: App = LimitBody(self._decide, limit=MAX_BODY)
        return [Route(PATH, Endpoint(RequireBearer(app, self._accepts)), methods=["POST"])]

    async def _decide(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        parameters = scope["path_params"]
        body: bytes = message.get("body", b"")
        answer = await asyncio.to_thread(self._answer, parameters["task"], parameters["request"], body)
        await send_response(answer, send)

    def _answer(self, task: str, request: str, body: bytes) -> Response:
        try:
            option = msgspec.json.decode(body, type=_Body).option
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return NOT_A_DECISION
        try:
            self._requests.decide(task, request, option)
        except UnknownRequestError:
            return NO_REQUEST
        except DecidedError as error:
            return problem(409, str(error))
        except ValueError as error:
            return problem(400, str(error))
        return DECIDED
