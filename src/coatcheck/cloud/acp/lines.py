"""JSON-RPC messages of an agent as lines of its standard output and input.

Guarantees:
- a line that is no JSON-RPC message (a greeting, a warning of a library) is output of the agent: it is passed on as such
  and ends nothing;
- half of a surrogate pair, which is no Unicode, is U+FFFD: agents in JavaScript send it where a text was cut;
- a line longer than `MAX_LINE` is left out without being kept;
- a response whose id is our number as a text, or with a fraction of zero, answers that request;
- an agent that does not read its standard input blocks nothing but the messages for it.

See https://agentclientprotocol.com/protocol/v1/transports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from ..._protocol.decode import UNREADABLE, decode_json
from ..._workspaces.command_process import MAX_LINE as SHOWN_BYTES, plain

# A result of a tool, an image included, is smaller than this (bytes); what is longer is left out.
MAX_LINE = 16 * 1024 * 1024
CHUNK = 64 * 1024
TOO_LONG = "a message of the agent was left out: it is longer than {} MiB"


class _Error(msgspec.Struct):
    code: int = -32603
    message: str = ""
    data: Any = None


class _Message(msgspec.Struct, omit_defaults=True):
    """The members of a JSON-RPC 2.0 message: a request and a notification have a method, a response has not."""

    method: str | msgspec.UnsetType = msgspec.UNSET
    id: int | float | str | msgspec.UnsetType | None = msgspec.UNSET
    params: Any = msgspec.UNSET
    result: Any = msgspec.UNSET
    error: _Error | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_complete(self) -> bool:
        is_response = self.id is not msgspec.UNSET and (self.result, self.error) != (msgspec.UNSET, msgspec.UNSET)
        return self.method is not msgspec.UNSET or is_response


def _number(id: object) -> object:
    """Return the id of a response as the number that we have sent."""
    if isinstance(id, str) and id.isascii() and id.isdecimal():
        return int(id[:20])
    return int(id) if isinstance(id, float) and id.is_integer() else id


class LineTransport:
    """The messages of one agent, as `acp.connection.Connection` reads and writes them.

    *on_text* is called with each line that is no message, *on_release* when nothing is read any more.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_text: Callable[[str], None],
        *,
        on_release: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader, self._writer, self._on_text, self.release = reader, writer, on_text, on_release
        self._buffer = bytearray()
        self._searched = 0
        self._is_skipping = False
        self.has_ended = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        """Write a message; one for an agent that has ended is dropped."""
        try:
            self._writer.write(msgspec.json.encode(message) + b"\n")
            await self._writer.drain()
        except (
            OSError,
            RuntimeError,
        ):  # the agent has closed its input, or has ended: the end is reported by `receive`
            return

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message, None at the end of the output."""
        while (line := await self._next_line()) is not None:
            if line.strip() and (message := self._read(line)) is not None:
                # every agent can send a flood: let the handler of this message run before the next is read
                await asyncio.sleep(0)
                return message
        self.has_ended.set()
        return None

    async def close(self) -> None:
        """Close the agent's standard input."""
        try:
            self._writer.close()
        except (OSError, RuntimeError):
            return

    def _read(self, line: bytes) -> dict[str, Any] | None:
        try:
            message = decode_json(line, _Message)
            document: dict[str, Any] = msgspec.to_builtins(message) if message.is_complete else {}
            if document and message.method is msgspec.UNSET:
                document["id"] = _number(message.id)
        except UNREADABLE:
            document = {}
        if not document:
            self._on_text(plain(line[:SHOWN_BYTES].rstrip(b"\r")))
            return None
        return document

    async def _next_line(self) -> bytes | None:
        """Return the next line that is not too long, None at the end; a last line without an end is one."""
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                line, skipped = bytes(self._buffer[:end]), self._is_skipping
                del self._buffer[: end + 1]
                self._searched, self._is_skipping = 0, False
                if not skipped:
                    return line
                continue
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE:
                self._skip()
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                line, self._buffer, self._searched = bytes(self._buffer), bytearray(), 0
                return None if self._is_skipping or not line else line
            self._buffer += chunk

    def _skip(self) -> None:
        if not self._is_skipping:
            self._on_text(TOO_LONG.format(MAX_LINE // 2**20))
        self._is_skipping = True
        self._buffer.clear()
        self._searched = 0
