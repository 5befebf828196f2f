"""MCP at the page's server: loaded by the first request, for programs alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from coatcheck import errors
from coatcheck._cli.mcp_over_http import LazyApplication
from coatcheck._web.middleware import SESSION
from coatcheck._web.sessions import Session


class Application:
    """An application that answers 202 while it runs."""

    def __init__(self) -> None:
        self.is_running = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.is_running = True
        yield
        self.is_running = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202 if self.is_running else 500, "headers": []})


async def status_of(app: LazyApplication, session: Session | None = None) -> int:
    """Return the status of the answer to a request."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app({"type": "http", SESSION: session}, receive, send)
    status: int = sent[0]["status"]
    return status


def test_it_is_loaded_once_by_the_first_request_of_a_program() -> None:
    """A browser's session is refused and loads nothing; requests at the same time load one application."""
    loaded: list[Application] = []

    def load() -> Application:
        loaded.append(Application())
        return loaded[-1]

    async def run() -> tuple[int, int, list[int]]:
        app = LazyApplication(load)
        refused, count = await status_of(app, Session()), len(loaded)
        return refused, count, await asyncio.gather(*(status_of(app) for _ in range(5)))

    assert (401, 0, [202] * 5) == asyncio.run(run())
    assert 1 == len(loaded)


def test_a_missing_package_is_named_and_tried_again() -> None:
    """The answer has the command that installs it; once it is there, the next request is served."""
    failures = [errors.ConfigurationError("the package mcp is missing", remedy="pip install 'coatcheck[mcp]'")]

    def load() -> Application:
        if failures:
            raise failures.pop()
        return Application()

    async def run() -> list[int]:
        app = LazyApplication(load)
        return [await status_of(app), await status_of(app)]

    assert [501, 202] == asyncio.run(run())
