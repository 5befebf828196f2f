"""A server with one canned answer, in a process of its own: what it costs is not counted to whoever is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

LAST_SECONDS = 600  # no measurement lasts longer: a server that was forgotten ends by itself


class Canned(asyncio.Protocol):
    """Answers every request at once; requests end with an empty line, bodies are not read."""

    def __init__(self, early: bytes, late: bytes, late_from: float) -> None:
        self.early, self.late, self.late_from = early, late, late_from
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        answer = self.late if time.time() >= self.late_from else self.early
        self.transport.write(answer * len(heads))  # type: ignore[attr-defined]


def http(body: bytes) -> bytes:
    """Return *body* as an HTTP answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _serve(pipe: Connection, early: bytes, late: bytes, late_from: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Canned(early, late, late_from), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.sleep(LAST_SECONDS)

    asyncio.run(main())


@contextmanager
def serving(early: bytes, *, late: bytes | None = None, late_after: float = 0.0) -> Iterator[str]:
    """Serve *early*, and after so many seconds *late*; gives the base URL."""
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, http(early), http(early if late is None else late), time.time() + late_after)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()
