"""The MCP server inside `coatcheck web`: the streamable HTTP transport at one path of the page's application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import errors
from .._server.middleware import send_response
from .._server.problems import problem
from .._web.middleware import SESSION
from .mcp_server import open_session, require_sdk

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .._mcp.http import McpApplication
    from .._mcp.tools import ServerOptions
    from .context import CommandContext

PATH = "/mcp"
NOT_A_PROGRAM = problem(403, "This address is for programs with the bearer token, not for browsers")


class McpEndpoint:
    """The server at one path of the page's application, which has checked host, origin and token, for programs alone.

    The SDK takes a second to import, so it is imported by the first request.
    """

    def __init__(self, session: TaskSession, options: ServerOptions) -> None:
        self._session, self._options = session, options
        self._loading: asyncio.Future[McpApplication | errors.ConfigurationError] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request; without the SDK with 501 and what to install."""
        if scope.get(SESSION) is not None:
            await send_response(NOT_A_PROGRAM, send)
            return
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        application = await asyncio.shield(self._loading)
        if isinstance(application, errors.ConfigurationError):
            await send_response(problem(501, f"{application}; {application.remedy}"), send)
            return
        await application(scope, receive, send)

    def _load(self) -> McpApplication | errors.ConfigurationError:
        try:
            require_sdk()
        except errors.ConfigurationError as error:
            return error
        from .._mcp.http import McpApplication

        return McpApplication(self._session, self._options)


@contextmanager
def mcp_endpoint(run: CommandContext, options: ServerOptions) -> Iterator[McpEndpoint]:
    """Give the server as an ASGI application, and close its session after the block."""
    session = open_session(run)
    try:
        yield McpEndpoint(session, options)
    finally:
        session.close()
