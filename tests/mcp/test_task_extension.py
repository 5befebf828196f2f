"""The tasks extension: a wait becomes a task that the client polls (SEP-2663)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from mcp.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict, Field
from tests.mcp.mcp_support import MODERN, Served

from coatcheck.cloud.scripted_cloud import ScriptedCloud

EXTENSION = "io.modelcontextprotocol/tasks"


class OpenResult(Result):
    """A result with fields that the SDK does not know."""

    model_config = ConfigDict(extra="allow")


class TaskResult(OpenResult):
    """A task in place of a result."""

    result_type: Literal["task"] = "task"
    task_id: str = Field(alias="taskId")


class OpenParams(RequestParams):
    """Parameters that the SDK does not know."""

    model_config = ConfigDict(extra="allow")


async def request(session: ClientSession, method: str, **params: Any) -> dict[str, Any]:
    """Send a request of the extension and return its result."""
    sent: Request[Any, str] = Request[OpenParams, str](method=method, params=OpenParams(**params))
    result = await session.send_request(sent, OpenResult)  # type: ignore[arg-type]
    return result.model_dump(by_alias=True)


class Tasks(ClientExtension):
    """A client that polls tasks; `seen` are their states."""

    identifier = EXTENSION

    def __init__(self, limit: int = 100) -> None:
        self.seen: list[dict[str, Any]] = []
        self.created: dict[str, Any] = {}
        self.limit = limit

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskResult, resolve=self.resolve)]

    async def resolve(self, task: TaskResult, context: ClaimContext) -> CallToolResult:
        self.created = task.model_dump(by_alias=True)
        while len(self.seen) < self.limit:
            self.seen.append(await request(context.session, "tasks/get", taskId=task.task_id))
            if self.seen[-1]["status"] == "completed":
                return CallToolResult.model_validate(self.seen[-1]["result"])
        return CallToolResult(content=[], structured_content={"is_terminal": False, "summary": "", "next": ""})


def test_a_wait_is_a_task_for_a_client_that_declares_the_extension(served: Served) -> None:
    """The task's id is the ref, it is polled until it is completed, and its result is that of the tool."""
    ref = served.submit()
    tasks = Tasks()
    result = served.run(lambda client: client.call_tool("wait_for_task", {"ref": ref}), extensions=[tasks])

    assert (ref, "working", None) == (tasks.created["taskId"], tasks.created["status"], tasks.created["ttlMs"])
    assert 2000 <= tasks.created["pollIntervalMs"] <= 15_000
    assert ["working", "completed"] == [each["status"] for each in tasks.seen][-2:]
    assert ("succeeded", True) == (result.structured_content["state"], result.structured_content["is_terminal"])


def test_a_task_that_has_ended_is_no_task_of_the_protocol(served: Served) -> None:
    """The answer is the tool's own, as it is for max_seconds 0, for several tasks, and for an error."""
    ref = served.submit()
    served.answer("wait_for_task", ref=ref)
    other = served.submit("another")
    tasks = Tasks()

    async def scenario(client: Client) -> list[bool | None]:
        calls = [{"ref": ref}, {"ref": other, "max_seconds": 0}, {"refs": [ref, other]}, {"ref": "codex:nope"}]
        return [(await client.call_tool("wait_for_task", each)).is_error for each in calls]

    is_error = served.run(scenario, extensions=[tasks])

    assert ([False, False, False, True], {}) == (is_error, tasks.created)


def test_a_restart_loses_no_task(tmp_path: Path) -> None:
    """A new server answers about the task of an earlier one."""
    served = Served(tmp_path, ScriptedCloud(timeline=["pending", "in_progress"]))
    ref = served.submit()
    first = Tasks(limit=1)
    served.run(lambda client: client.call_tool("wait_for_task", {"ref": ref}), extensions=[first])
    again = served.run(lambda client: request(client.session, "tasks/get", taskId=ref), extensions=[Tasks()])

    assert ("working", first.created["createdAt"]) == (again["status"], again["createdAt"])


def test_cancelling_ends_the_waiting_and_not_the_task(tmp_path: Path) -> None:
    """The task of the protocol is cancelled; the service gets no cancellation, and another wait begins anew."""
    served = Served(tmp_path, ScriptedCloud(timeline=["pending", "in_progress"]))
    ref = served.submit()

    async def scenario(client: Client) -> list[str]:
        await client.call_tool("wait_for_task", {"ref": ref})
        await request(client.session, "tasks/update", taskId=ref, inputResponses={"unknown": {}})
        await request(client.session, "tasks/cancel", taskId=ref)
        states = [(await request(client.session, "tasks/get", taskId=ref))["status"]]
        await client.call_tool("wait_for_task", {"ref": ref})
        return [*states, (await request(client.session, "tasks/get", taskId=ref))["status"]]

    states = served.run(scenario, extensions=[Tasks(limit=1)])

    assert (["cancelled", "working"], []) == (states, served.cloud.seen("cancel_task"))


@pytest.mark.parametrize(("mode", "code"), [("legacy", -32601), (MODERN, -32021)])
def test_without_the_extension_there_are_no_tasks(served: Served, mode: str, code: int) -> None:
    """The wait is bounded as ever, and a poll is the error that the protocol has for it."""
    ref = served.submit()

    async def scenario(client: Client) -> Any:
        result = await client.call_tool("wait_for_task", {"ref": ref})
        assert result.structured_content["is_terminal"], result
        with pytest.raises(MCPError) as caught:
            await request(client.session, "tasks/get", taskId=ref)
        return caught.value.code

    assert code == served.run(scenario, mode=mode)


def test_an_unknown_task_is_an_error(served: Served) -> None:
    """For a task that its service does not know, and for text that is no ref."""

    async def scenario(client: Client) -> list[int]:
        codes = []
        for id in ("codex:nope", "a b"):
            with pytest.raises(MCPError) as caught:
                await request(client.session, "tasks/get", taskId=id)
            codes.append(caught.value.code)
        return codes

    assert [-32602, -32602] == served.run(scenario, extensions=[Tasks()])
