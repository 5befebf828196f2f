"""Bodies of requests, within limits of size, time and memory.

Guarantees:

- reading stops as soon as a body is larger than its limit;
- a body takes memory of a `BodyBudget` only as its bytes arrive, so a client that sends nothing holds nothing;
- a body that arrives slowly does not keep others out: when the memory is used up, the oldest unfinished one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .. import errors
from .asgi_types import Receive
from .handler import SMALL_BODY


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the chunks of a body. Raises `TransportError` where the client disconnects before its end."""
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
    raise errors.TransportError("the client disconnected before the end of its body")


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Return a whole body, None as soon as it is larger than *limit*."""
    body = bytearray()
    async for chunk in chunks(receive):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


class BodyBudget:
    """Memory for the bodies of all requests; the first `SMALL_BODY` bytes of each are not counted.

    When it is used up, the body that has been arriving for the longest time is refused, once that is longer than
    *patience* seconds; until then the others wait.
    """

    def __init__(self, size: int, *, patience: float = 2.0) -> None:
        self._free = size
        self._patience = patience
        self._arriving: list[_Body] = []
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def reading(self, receive: Receive, *, limit: int, timeout: float) -> AsyncIterator[bytes | None]:
        """Give a whole body, None where it is larger than *limit*; it is counted while the block runs.

        Raises `TimeoutError` where it does not arrive in *timeout* seconds, or is refused.
        """
        body = _Body()
        try:
            yield await self._read(body, receive, limit, timeout)
        finally:
            await self._release(body)

    async def _read(self, body: _Body, receive: Receive, limit: int, timeout: float) -> bytes | None:
        async with asyncio.timeout(timeout) as body.timeout:
            self._arriving.append(body)
            try:
                async for chunk in chunks(receive):
                    body.data += chunk
                    if len(body.data) > limit:
                        return None
                    await self._count(body)
                return body.take()
            finally:
                self._arriving.remove(body)

    async def _count(self, body: _Body) -> None:
        """Take memory for what has arrived; waits until there is some."""
        size = len(body.data) - SMALL_BODY - body.counted
        if size <= 0:
            return
        async with self._changed:
            while self._free < size:
                pause = self._refuse_oldest(body)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), pause)
            self._free -= size
            body.counted += size

    def _refuse_oldest(self, waiting: _Body) -> float | None:
        """Refuse the oldest body that holds memory; return the seconds until one may be refused, None for no limit."""
        holding = [body for body in self._arriving if body.counted]
        if not holding or holding == [waiting] or holding[0].is_refused:
            return None  # memory is released when a handler has ended
        oldest, now = holding[0], asyncio.get_running_loop().time()
        if (pause := oldest.began_at + self._patience - now) > 0:
            return pause
        oldest.refuse(now)
        return None

    async def _release(self, body: _Body) -> None:
        self._free += body.counted
        if body.counted:
            async with self._changed:
                self._changed.notify_all()


class _Body:
    """A body that is arriving: its bytes, how many of them are counted, and its deadline."""

    def __init__(self) -> None:
        self.data, self.counted = bytearray(), 0
        self.began_at = asyncio.get_running_loop().time()
        self.timeout: asyncio.Timeout | None = None
        self.is_refused = False

    def refuse(self, now: float) -> None:
        """End the reading as if its time were up."""
        self.is_refused = True
        assert self.timeout is not None  # noqa: S101 - a body that is arriving has one
        self.timeout.reschedule(now)

    def take(self) -> bytes:
        """Return the bytes, and hold them no longer."""
        data = bytes(self.data)
        self.data.clear()
        return data
