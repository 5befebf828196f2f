"""The server on standard input and output, for a client that has started this process.

Guarantee: when the client closes its end, calls that change something are finished and the server ends; waits are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from .server import build_server

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .tools import ServerOptions


def serve_stdio(session: TaskSession, options: ServerOptions) -> None:
    """Serve one client until it closes standard input."""
    anyio.run(_serve, session, options)


async def _serve(session: TaskSession, options: ServerOptions) -> None:
    server = build_server(session, options)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())
