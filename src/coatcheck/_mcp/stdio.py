"""The server on standard input and output, for a client that has started this process.

Guarantee: when the client closes its end, calls that change something are finished and the server ends; waits are left.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from .server import build_server

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .tools import ServerOptions

LOGGER = logging.getLogger("coatcheck.mcp")


def serve_stdio(session: TaskSession, options: ServerOptions) -> None:
    """Serve one client until it closes standard input, or standard output."""
    try:
        anyio.run(_serve, session, options)
    except* (BrokenPipeError, ConnectionResetError):
        LOGGER.info("the client has closed standard output")


async def _serve(session: TaskSession, options: ServerOptions) -> None:
    server = build_server(session, options)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())
