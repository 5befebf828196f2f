"""The threads in which tools run, so that a slow service does not delay other calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from .tools import Call

if TYPE_CHECKING:
    from .._app.task_session import TaskSession
    from .._model.tasks import Task
    from .tools import ServerOptions

# Threads for waits, which do nothing but sleep, and for all other calls.
WAITS, CALLS = 64, 16


class ToolThreads:
    """Runs functions over one session in threads."""

    def __init__(self, session: TaskSession, options: ServerOptions) -> None:
        self.session, self.options = session, options
        self._waits, self._calls = anyio.CapacityLimiter(WAITS), anyio.CapacityLimiter(CALLS)

    def call(self, report: Callable[[Task], None] | None = None) -> Call:
        """Return what a tool is given."""
        return Call(self.session, self.options, report)

    async def run(self, function: Callable[..., Any], *given: Any, is_abandoned: bool = True) -> Any:
        """Run *function*; when the caller is cancelled it is left behind, without *is_abandoned* it is finished."""
        return await anyio.to_thread.run_sync(function, *given, limiter=self._calls, abandon_on_cancel=is_abandoned)

    async def run_wait(self, function: Callable[..., Any], *given: Any) -> Any:
        """Run a wait, which is left behind when the caller is cancelled."""
        return await anyio.to_thread.run_sync(function, *given, limiter=self._waits, abandon_on_cancel=True)
