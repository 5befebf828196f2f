"""The server as an ASGI application at one path, with the streamable HTTP transport, for `coatcheck web`.

The application that contains it checks hosts, origins and tokens, and runs its lifespan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from .server import build_server

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .tools import ServerOptions


class McpApplication:
    """An ASGI application; requests are served inside of `running`."""

    def __init__(self, session: TaskSession, options: ServerOptions) -> None:
        server = build_server(session, options)
        # Hosts and origins are checked before a request comes here (`_server.middleware`).
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._manager = StreamableHTTPSessionManager(app=server, security_settings=unchecked)
        self._application = StreamableHTTPASGIApp(self._manager)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve until the context ends."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        await self._application(scope, receive, send)
