"""One blocking interface to both clients, so that one test covers both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from .._runtime.async_client import AsyncClient
from .._runtime.client import Client
from .emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from .fake_clock import FakeClock
from .memory_journal import MemoryJournal

VARIANTS = ("blocking", "asynchronous")


class Both:
    """A client of the given *variant* ("blocking" or "asynchronous") for the handler *service*.

    Calls block, and iterators become lists. It has a `FakeClock`, a `MemoryJournal`, an empty environment, and 0.5 for
    every random number. *options* are those of `coatcheck.Client`.
    """

    def __init__(
        self,
        variant: str,
        provider: Any,
        service: Any,
        *,
        token: str | None = "good",  # noqa: S107 - the token of the example services in tests
        **options: Any,
    ) -> None:
        self.clock: FakeClock = options.pop("clock", None) or FakeClock()
        self.journal = MemoryJournal()
        is_async = variant == "asynchronous"
        client_class: Any = AsyncClient if is_async else Client
        transport: Any = AsyncEmulatorTransport if is_async else EmulatorTransport
        options = {
            "journal": self.journal,
            "random": lambda: 0.5,
            "environ": {"COATCHECK_LEARN": "off"},
            "clock": self.clock,
            **options,
        }
        self.client: Any = client_class(provider, token=token, transport=transport(service), **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            if inspect.isasyncgen(result) or inspect.iscoroutine(result):
                return asyncio.run(_collect(result))
            return list(result) if inspect.isgenerator(result) else result

        return call


async def _collect(result: Any) -> Any:
    if inspect.isasyncgen(result):
        return [value async for value in result]
    return await result
