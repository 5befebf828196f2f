"""Bodies of streams that an emulator makes while they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec


class LiveChunks:
    """A body that is made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end."""
        return next(self._chunks, b"")

    def close(self) -> None:
        """Stop."""
        self._chunks = iter(())


# What a service sends while nothing happens, and how often (seconds).
KEEP_ALIVE = b": keep-alive\n\n"
QUIET_SECONDS = 15.0


def sent(kind: str, data: Mapping[str, object], *, id: str | None = None) -> bytes:
    """Return a server-sent event with JSON as its data (WHATWG HTML, "Server-sent events")."""
    lines = [f"event: {kind}", f"data: {msgspec.json.encode(data).decode()}", *([f"id: {id}"] if id else [])]
    return ("\n".join(lines) + "\n\n").encode()
