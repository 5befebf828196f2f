"""The server on standard input and output, for a client that has started this process.

Guarantees:
- when the client closes its end, calls that change something are finished and the server ends; waits are left;
- half of a surrogate pair in a request, which the SDK cannot read and would not answer, arrives as U+FFFD;
- a line that is no JSON, or no message, gets the error that JSON-RPC 2.0 demands (https://www.jsonrpc.org/specification,
  section 5.1); the SDK 2.3 answers none over this transport. A response that is not readable gets none.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import msgspec
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from .._protocol.decode import UNREADABLE
from .server import build_server

if TYPE_CHECKING:
    from mcp.server import Server

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
    await serve_lines(build_server(session, options), _take_standard_input())


async def serve_lines(
    server: Server[None], input: io.TextIOWrapper, output: anyio.AsyncFile[str] | None = None
) -> None:
    """Serve the client that writes *input* and reads *output*, or standard output."""
    requests = Requests(input)
    stdin: Any = requests
    async with stdio_server(stdin=stdin, stdout=output) as (read_stream, write_stream):

        async def reject(error: types.JSONRPCError) -> None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client reads no more
                await write_stream.send(SessionMessage(error))

        requests.reject = reject
        await server.run(read_stream, write_stream, server.create_initialization_options())


def _take_standard_input() -> io.TextIOWrapper:
    """Return standard input; from now on its descriptor is the null device, for processes that are started."""
    taken = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return io.TextIOWrapper(taken, encoding="utf-8", errors="replace")


class Requests:
    """The lines of a file, which the SDK reads as messages. *reject* sends the error about one that is none."""

    reject: Callable[[types.JSONRPCError], Awaitable[None]]

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._lines = anyio.wrap_file(file)

    async def __aiter__(self) -> AsyncIterator[str]:
        """Return each line that is a message, without halves of surrogate pairs."""
        async for each in self._lines:
            line = without_half_surrogates(each)
            if (error := error_about(line)) is None:
                yield line
            else:
                await self.reject(error)


def error_about(line: str) -> types.JSONRPCError | None:
    """Return the error about a line that is neither blank, nor a message, nor a response."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        is_message = not line.strip()
    else:  # the SDK reads a request whose id is of another type as a notification
        is_message = not isinstance(message, types.JSONRPCNotification) or '"id"' not in line
    return None if is_message else _error_of(line)


def _error_of(line: str) -> types.JSONRPCError | None:
    try:
        document = msgspec.json.decode(line)
    except UNREADABLE:
        return _error(types.PARSE_ERROR, "Parse error: the line is not JSON", None)
    members = document if isinstance(document, dict) else {}
    is_notification = "method" in members and "id" not in members and members.get("jsonrpc") == "2.0"
    if is_notification or ("method" not in members and not members.keys().isdisjoint(("result", "error"))):
        return None
    return _error(
        types.INVALID_REQUEST, "Invalid Request: the line is not a message of JSON-RPC 2.0", members.get("id")
    )


def _error(code: int, text: str, id: object) -> types.JSONRPCError:
    known = id if isinstance(id, int | str) and not isinstance(id, bool) else None
    return types.JSONRPCError(jsonrpc="2.0", id=known, error=types.ErrorData(code=code, message=text))


def without_half_surrogates(line: str) -> str:
    """Return a line of JSON in which halves of surrogate pairs are U+FFFD; everything else stays as it is."""
    if "\\ud" not in line and "\\uD" not in line:
        return line
    return _ESCAPE.sub(lambda match: "\\ufffd" if match["half"] else match[0], line)
