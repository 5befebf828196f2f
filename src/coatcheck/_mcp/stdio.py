"""The server on standard input and output, for a client that has started this process.

Guarantees:
- when the client closes its end, calls that change something are finished and the server ends; waits are left;
- half of a surrogate pair in a request, which the SDK cannot read and would not answer, arrives as U+FFFD.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.stdio import stdio_server

from .server import build_server

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .tools import ServerOptions

LOGGER = logging.getLogger("coatcheck.mcp")
# An escape of JSON (RFC 8259, section 7): a pair of surrogates, half of one, or any other.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def serve_stdio(session: TaskSession, options: ServerOptions) -> None:
    """Serve one client until it closes standard input, or standard output."""
    try:
        anyio.run(_serve, session, options)
    except* (BrokenPipeError, ConnectionResetError):
        LOGGER.info("the client has closed standard output")


async def _serve(session: TaskSession, options: ServerOptions) -> None:
    server = build_server(session, options)
    requests: Any = Requests(_take_standard_input())
    async with stdio_server(stdin=requests) as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


def _take_standard_input() -> io.TextIOWrapper:
    """Return standard input; from now on its descriptor is the null device, for processes that are started."""
    taken = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return io.TextIOWrapper(taken, encoding="utf-8", errors="replace")


class Requests:
    """The lines of a file, which the SDK reads as requests."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._lines = anyio.wrap_file(file)

    async def __aiter__(self) -> AsyncIterator[str]:
        """Return each line without halves of surrogate pairs."""
        async for line in self._lines:
            yield without_half_surrogates(line)


def without_half_surrogates(line: str) -> str:
    """Return a line of JSON in which halves of surrogate pairs are U+FFFD; everything else stays as it is."""
    if "\\ud" not in line and "\\uD" not in line:
        return line
    return _ESCAPE.sub(lambda match: "\\ufffd" if match["half"] else match[0], line)
