"""The tools of the MCP server for a Python program that gives them to its model, such as the plug-in for `llm`.

Guarantees:
- the settings are those of the command line in the same folder;
- an answer is plain data, as over MCP; an error is one sentence with its remedy;
- the SDK of MCP is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import msgspec

from .._app.checkout import find_root
from .._app.task_session import TaskSession
from .._app.workspace import Workspace
from .._protocol.registry import DEFAULT_PROVIDER
from .._runtime.config import DEFAULTS, PROJECT_FILE, Config
from . import answers, arguments
from .error_text import message_of
from .tools import TOOLS, Call, ServerOptions

if TYPE_CHECKING:
    from types import TracebackType

    from .._model.tasks import Task
    from .._protocol.effects import Clock
    from .._runtime.transport import Transport


class ToolError(Exception):
    """A call failed; the text is for the model."""


class ToolCalls:
    """The tools for tasks over one session, in *folder*; *provider* replaces the one of the settings. Close it."""

    def __init__(
        self,
        folder: str,
        environ: Mapping[str, str],
        *,
        provider: str | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        root = find_root(folder)
        project = os.path.join(root, PROJECT_FILE) if root else None
        defaults = {**DEFAULTS, "poll_cost": "0.1"}  # somebody waits, as at the command line
        config = Config(environ=environ, explicit={"provider": provider}, project=project, defaults=defaults)
        name = config.get("provider") or DEFAULT_PROVIDER
        workspace = Workspace(folder, config=config, environ=environ, provider=name)
        self._session = TaskSession(workspace, transport=transport, clock=clock)
        self._tools = {each.name: each for each in TOOLS if each.toolset == "tasks"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._session.close()

    def call(self, name: str, **given: Any) -> Mapping[str, Any]:
        """Return the answer of the tool *name*; arguments that are None are left out. Raises `ToolError`."""
        tool = self._tools[name]
        try:
            chosen = {field: value for field, value in given.items() if value is not None}
            return self._perform(name, msgspec.convert(chosen, tool.arguments))
        except msgspec.ValidationError as error:
            raise ToolError(message_of(error)) from None

    def wait(self, ref: str, seconds: float) -> Mapping[str, Any]:
        """Wait for a task as `wait_for_task` does, for longer than a call over MCP may take. Raises `ToolError`."""
        return self._perform("wait_for_task", arguments.WaitForTask(ref=ref, max_seconds=max(0.0, seconds)))

    def task(self, ref: str) -> Task:
        """Return a task with its outcome. Raises `ToolError`."""
        from .._app.bounded_wait import current_task

        try:
            return current_task(self._session, self._session.ref(ref))
        except Exception as error:  # noqa: BLE001 - as above
            raise ToolError(message_of(error)) from None

    def _perform(self, name: str, given: arguments.Arguments) -> Mapping[str, Any]:
        try:
            answer = self._tools[name].perform(Call(self._session, ServerOptions()), given)
        except Exception as error:  # noqa: BLE001 - every error is an answer
            raise ToolError(message_of(error)) from None
        return answers.to_document(answer)
