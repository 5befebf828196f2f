"""MCP at ``/mcp`` of `coatcheck web`: the streamable HTTP transport, for programs with the bearer token.

Guarantees:

- the SDK, whose import takes a second, is imported by the first request, and not before;
- a browser's session opens nothing here: only the token does;
- the application runs in one task of the server's event loop, which ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from .. import errors
from .._server.middleware import send_response
from .._server.problems import problem
from .._web.middleware import NO_LOGIN, SESSION

PATH = "/mcp"


class RunningApplication(Protocol):
    """An ASGI application that serves inside of `running`."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serve until the context ends."""
        ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        ...


class LazyApplication:
    """An ASGI application that *load* makes in a thread when the first request comes."""

    def __init__(self, load: Callable[[], RunningApplication]) -> None:
        self._load = load
        self._loaded: asyncio.Future[RunningApplication] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request of a program."""
        if scope.get(SESSION) is not None:
            return await send_response(NO_LOGIN, send)
        try:
            application = await asyncio.shield(self._application())
        except errors.ConfigurationError as error:
            return await send_response(problem(501, f"{error}; {error.remedy}"), send)
        return await application(scope, receive, send)

    def _application(self) -> asyncio.Future[RunningApplication]:
        """Return the application, which is loaded once; after an error it is loaded again."""
        loaded = self._loaded
        if loaded is None or (loaded.done() and loaded.exception() is not None):
            loaded = self._loaded = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(loaded))
        return loaded

    async def _run(self, loaded: asyncio.Future[RunningApplication]) -> None:
        try:
            application = await asyncio.to_thread(self._load)
            async with application.running():
                loaded.set_result(application)
                await asyncio.Event().wait()  # until the server ends and cancels this task
        except Exception as error:
            if loaded.done():
                raise
            loaded.set_exception(error)
