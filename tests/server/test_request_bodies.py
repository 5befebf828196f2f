"""Bodies within limits of size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from coatcheck import errors
from coatcheck._server.handler import SMALL_BODY
from coatcheck._server.request_bodies import BodyBudget, read_body

SIZE = 4 * SMALL_BODY
LIMIT = 8 * SMALL_BODY


class Client:
    """A client that sends a body when the test triggers it."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.is_handled = asyncio.Event()
        self.length: int | None = None
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._budget.reading(self._messages.get, limit=LIMIT, timeout=600) as body:
            self.length = None if body is None else len(body)
            await self.is_handled.wait()

    async def send(self, size: int, *, more: bool = False) -> None:
        self._messages.put_nowait({"type": "http.request", "body": bytes(size), "more_body": more})
        await settle()

    @property
    def state(self) -> str:
        if not self.reading.done():
            return "arriving" if self.length is None else "read"
        return "refused" if isinstance(self.reading.exception(), TimeoutError) else "done"


async def settle() -> None:
    """Let the tasks of the loop run."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(scene: Callable[[BodyBudget], Coroutine[Any, Any, list[str]]], *, patience: float) -> list[str]:
    """Return the result of a scene; readers that still run are cancelled."""

    async def run() -> list[str]:
        return await scene(BodyBudget(SIZE, patience=patience))

    return asyncio.run(run())


def test_a_client_that_sends_nothing_holds_nothing() -> None:
    """Any number of stalled bodies of any announced size leaves the memory to others."""

    async def scene(budget: BodyBudget) -> list[str]:
        stalled = [Client(budget) for _ in range(20)]
        for client in stalled:
            await client.send(1, more=True)
        whole = Client(budget)
        await whole.send(SIZE)
        return [whole.state, *{client.state for client in stalled}]

    expected = ["read", "arriving"]

    assert expected == play(scene, patience=600)


def test_a_stalled_body_is_refused_when_its_memory_is_needed() -> None:
    """A body that stopped after most of the memory was used is ended, and the next one is read."""

    async def scene(budget: BodyBudget) -> list[str]:
        stalled, whole = Client(budget), Client(budget)
        await stalled.send(SIZE, more=True)
        await whole.send(SIZE)
        return [stalled.state, whole.state]

    expected = ["refused", "read"]

    assert expected == play(scene, patience=0)


def test_bodies_that_wait_for_one_another_end() -> None:
    """Of two bodies that hold the memory together the older one is refused."""

    async def scene(budget: BodyBudget) -> list[str]:
        one, two = Client(budget), Client(budget)
        for client in (one, two):
            await client.send(3 * SMALL_BODY, more=True)
        for client in (one, two):
            await client.send(2 * SMALL_BODY)
        return [one.state, two.state]

    expected = ["refused", "read"]

    assert expected == play(scene, patience=0)


def test_a_body_waits_for_a_handler_that_holds_the_memory() -> None:
    """A body that is being handled is not refused; the next one is read when it is done."""

    async def scene(budget: BodyBudget) -> list[str]:
        handled, next_one, small = Client(budget), Client(budget), Client(budget)
        await handled.send(SIZE)
        await next_one.send(SIZE)
        await small.send(SMALL_BODY)
        before = [client.state for client in (handled, next_one, small)]
        handled.is_handled.set()
        await settle()
        return [*before, handled.state, next_one.state]

    expected = ["read", "arriving", "read", "done", "read"]

    assert expected == play(scene, patience=0)


def test_a_young_body_is_not_refused() -> None:
    """Until its patience is over a body may pause, and the others wait."""

    async def scene(budget: BodyBudget) -> list[str]:
        paused, waiting = Client(budget), Client(budget)
        await paused.send(SIZE, more=True)
        await waiting.send(SIZE)
        return [paused.state, waiting.state]

    expected = ["arriving", "arriving"]

    assert expected == play(scene, patience=600)


def test_memory_is_released_for_any_end_of_a_body() -> None:
    """Bodies that are too large, refused or cancelled release their memory."""

    async def scene(budget: BodyBudget) -> list[str]:
        large, cancelled, last = Client(budget), Client(budget), Client(budget)
        await large.send(2 * SMALL_BODY, more=True)
        await large.send(LIMIT)
        large.is_handled.set()
        await cancelled.send(2 * SMALL_BODY, more=True)
        cancelled.reading.cancel()
        await settle()
        await last.send(SIZE + SMALL_BODY)
        return [str(large.length), last.state]

    expected = ["None", "read"]

    assert expected == play(scene, patience=600)


def test_a_disconnect_is_a_transport_error() -> None:
    """A body without its end is not treated as a whole one."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(errors.TransportError) as caught:
        asyncio.run(read_body(receive, 10))

    expected, actual = errors.TransportError, caught.type

    assert expected == actual
