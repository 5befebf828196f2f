"""The tasks extension of MCP for `wait_for_task`: https://modelcontextprotocol.io/seps/2663-tasks-extension.

A client that declares the extension gets a task in place of a wait, and polls it. The id of the task is the ref, so
that it holds after a restart. Guarantee: cancelling it ends the waiting, never the task at its service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import mcp_types as types
import msgspec
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from .. import errors
from .._values.rfc3339 import format_time
from . import answers
from .arguments import WaitForTask
from .elicitation import input_request
from .error_text import message_of
from .results import result_of
from .tools import pause_of, require_texts, task_out

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from .._model.tasks import Task, TaskRef
    from .elicitation import Forms
    from .tool_threads import ToolThreads

IDENTIFIER = "io.modelcontextprotocol/tasks"
# So many tasks that were cancelled are remembered.
MAX_CANCELLED = 1000


class TaskParams(types.RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str = Field(alias="taskId", max_length=2000)


class TaskUpdateParams(TaskParams):
    """The parameters of ``tasks/update``."""

    input_responses: dict[str, Any] = Field(alias="inputResponses")


class TasksExtension(Extension):
    """Serves the waits of one server as tasks."""

    identifier = IDENTIFIER

    def __init__(self, threads: ToolThreads, forms: Forms) -> None:
        self._threads, self._forms = threads, forms
        self._cancelled: dict[TaskRef, None] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension, for the versions of the protocol that have it."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return (
            MethodBinding("tasks/get", TaskParams, self._gated(self._get), versions),
            MethodBinding("tasks/update", TaskUpdateParams, self._gated(self._update), versions),
            MethodBinding("tasks/cancel", TaskParams, self._gated(self._cancel), versions),
        )

    async def intercept_tool_call(
        self, params: types.CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Return a task in place of a wait for one task that has not ended."""
        if params.name != "wait_for_task" or not is_declared(ctx):
            return await call_next(ctx)
        try:
            given = msgspec.convert(params.arguments or {}, WaitForTask)
            if given.ref is None or given.max_seconds == 0:
                return await call_next(ctx)
            ref = self._threads.session.ref(require_texts(given)[0])
            task = await self._read(ref)
        except (errors.CoatcheckError, msgspec.ValidationError):
            return await call_next(ctx)  # which reports it as a result
        if task.state.ends_wait:
            return await call_next(ctx)
        self._cancelled.pop(ref, None)
        return {"resultType": "task", **self._fields(task, "working")}

    # --- methods ------------------------------------------------------------------------------------------------------

    async def _get(self, ctx: Any, params: TaskParams) -> Mapping[str, Any]:
        ref = self._ref(params.task_id)
        task = await self._read(ref)
        if not task.state.ends_wait:
            return self._fields(task, "cancelled" if ref in self._cancelled else "working")
        out = await self._threads.run(task_out, self._threads.call(), task)
        form = await self._forms.form_for(ctx, out)
        if form is not None:
            request = input_request(form).model_dump(by_alias=True, mode="json", exclude_none=True)
            return {**self._fields(task, "input_required"), "inputRequests": {form.key: request}}
        result = result_of(answers.waited(out)).model_dump(by_alias=True, mode="json", exclude_none=True)
        return {**self._fields(task, "completed"), "result": result}

    async def _update(self, ctx: Any, params: TaskUpdateParams) -> Mapping[str, Any]:
        """Carry out the answers to forms; after one that is declined the task is completed as it is."""
        del ctx
        self._ref(params.task_id)
        await self._forms.use_all(params.input_responses)
        return {}

    async def _cancel(self, ctx: Any, params: TaskParams) -> Mapping[str, Any]:
        """End the waiting: the task is still running at its service, and the tool cancel_task stops it."""
        del ctx
        self._cancelled[self._ref(params.task_id)] = None
        while len(self._cancelled) > MAX_CANCELLED:
            self._cancelled.pop(next(iter(self._cancelled)))
        return {}

    def _gated(self, handler: Any) -> Any:
        """Return *handler* for requests that declare the extension; others get the error that the extension names."""

        async def gated(ctx: ServerRequestContext[Any, Any], params: Any) -> Any:
            if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                raise MCPError(code=types.METHOD_NOT_FOUND, message="Method not found", data=ctx.method)
            if not is_declared(ctx):
                required: dict[str, Any] = {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}
                raise MCPError(
                    code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                    message="Missing required client capability",
                    data=required,
                )
            try:
                return await handler(ctx, params)
            except errors.CoatcheckError as error:
                raise MCPError(code=types.INVALID_PARAMS, message=message_of(error)) from None

        return gated

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _ref(self, id: str) -> TaskRef:
        from .._model.tasks import TaskRef

        return TaskRef.parse(id, provider=self._threads.session.workspace.provider)

    async def _read(self, ref: TaskRef) -> Task:
        from .._app.bounded_wait import current_task

        task: Task = await self._threads.run(current_task, self._threads.session, ref)
        return task

    def _fields(self, task: Task, status: str) -> dict[str, Any]:
        now = datetime.fromtimestamp(self._threads.session.clock.time(), UTC)
        created, updated = task.created_at or now, task.updated_at or now
        message = answers.summary_of(task)
        if status == "cancelled":
            message = "the wait was cancelled; the task is still running at its service"
        elif status == "working" and task.progress:
            message += f"; the agent reports: {task.progress[:200]}"
        return {
            "taskId": str(task.ref),
            "status": status,
            "statusMessage": answers.valid_text(message),
            "createdAt": format_time(created.timestamp(), timespec="auto"),
            "lastUpdatedAt": format_time(max(created, updated).timestamp(), timespec="auto"),
            "ttlMs": None,
            "pollIntervalMs": round(1000 * pause_of(self._threads.session, task)),
        }


def is_declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the request comes from a client that has declared the extension, in an era that has it."""
    capabilities = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        and capabilities is not None
        and IDENTIFIER in (capabilities.extensions or {})
    )
