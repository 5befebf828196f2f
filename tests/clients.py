"""Both clients behind one blocking face, so that one test proves a law for both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from coatcheck import AsyncClient, Client
from coatcheck.testing.clock import FakeClock
from coatcheck.testing.emulator import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.journal import MemoryJournal

COLOURS = ("blocking", "asynchronous")


class Both:
    """A client of either colour to *service*; calls block, iterators become lists."""

    def __init__(self, colour: str, provider: Any, service: Any, *, token: str | None = "good", **options: Any) -> None:
        self.clock, self.journal = FakeClock(), MemoryJournal()
        self._is_async = colour == "asynchronous"
        kind = AsyncClient if self._is_async else Client
        transport = AsyncEmulatorTransport if self._is_async else EmulatorTransport
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
