"""The server as an ASGI application at one path, with the streamable HTTP transport, for `coatcheck web`.

The application that contains it checks hosts, origins and tokens.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from .server import build_server

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .tools import ServerOptions


class McpApplication:
    """An ASGI application of one event loop. The first request starts the SDK's manager of sessions in that loop."""

    def __init__(self, session: TaskSession, options: ServerOptions) -> None:
        server = build_server(session, options)
        # Hosts and origins are checked before a request comes here (`_server.middleware`).
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._manager = StreamableHTTPSessionManager(app=server, security_settings=unchecked)
        self._application = StreamableHTTPASGIApp(self._manager)
        self._running: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await self._started.wait()
        await self._application(scope, receive, send)

    async def _run(self) -> None:
        """Keep the manager until the loop ends, which cancels this task."""
        async with self._manager.run():
            self._started.set()
            await asyncio.Event().wait()
