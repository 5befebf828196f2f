"""Both clients behind one blocking face, so that one test proves a law for both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from .._runtime.async_client import AsyncClient
from .._runtime.client import Client
from .emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from .fake_clock import FakeClock
from .memory_journal import MemoryJournal

COLOURS = ("blocking", "asynchronous")


class Both:
    """A client of either *colour* to the handler *service*; calls block, iterators become lists.

    It has a `FakeClock`, a `MemoryJournal`, no environment and no luck: every random number is a half. *options* are
    those of `coatcheck.Client`.
    """

    def __init__(
        self,
        colour: str,
        provider: Any,
        service: Any,
        *,
        token: str | None = "good",  # noqa: S107 - what the toy services of tests accept
        **options: Any,
    ) -> None:
        self.clock: FakeClock = options.pop("clock", None) or FakeClock()
        self.journal = MemoryJournal()
        is_async = colour == "asynchronous"
        kind: Any = AsyncClient if is_async else Client
        transport: Any = AsyncEmulatorTransport if is_async else EmulatorTransport
        options = {
            "journal": self.journal,
            "random": lambda: 0.5,
            "environ": {"COATCHECK_LEARN": "off"},
            "clock": self.clock,
            **options,
        }
        self.client: Any = kind(provider, token=token, transport=transport(service), **options)

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = verb(*arguments, **named)
            if inspect.isasyncgen(result) or inspect.iscoroutine(result):
                return asyncio.run(_settled(result))
            return list(result) if inspect.isgenerator(result) else result

        return call


async def _settled(result: Any) -> Any:
    if inspect.isasyncgen(result):
        return [value async for value in result]
    return await result
