"""The client of the A2A SDK for Python: a2a_client.py URL TOKEN BINDING ACT prints what it saw, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import MessageToDict


def message(text: str, **fields: Any) -> a2a.SendMessageRequest:
    """Return the request that sends *text*."""
    written = a2a.Message(message_id="m1", role=a2a.ROLE_USER, parts=[a2a.Part(text=text)], **fields)
    return a2a.SendMessageRequest(message=written)


async def poll(client: Any) -> Any:
    """Create a task without waiting, and poll it to its end."""
    states, task = [], None
    async for event in client.send_message(message("Say hello", context_id="c1")):
        task = event.task
    while True:
        states.append(a2a.TaskState.Name(task.status.state))
        if len(states) > 3 or states[-1] == "TASK_STATE_COMPLETED":
            break
        task = await client.get_task(a2a.GetTaskRequest(id=task.id))
    listed = await client.list_tasks(a2a.ListTasksRequest(context_id="c1"))
    return {"states": states, "task": MessageToDict(task), "listed": [each.id for each in listed.tasks]}


async def stream(client: Any) -> Any:
    """Create a task and read its stream."""
    return [event.WhichOneof("payload") async for event in client.send_message(message("Say hello"))]


async def cancel(client: Any) -> Any:
    """Cancel a task twice."""
    async for event in client.send_message(message("Say hello")):
        id = event.task.id
    task = await client.cancel_task(a2a.CancelTaskRequest(id=id))
    try:
        await client.cancel_task(a2a.CancelTaskRequest(id=id))
    except Exception as error:  # noqa: BLE001 - its class is what is asked
        return [a2a.TaskState.Name(task.status.state), type(error).__name__]


async def unknown(client: Any) -> Any:
    """Request a task that there is not."""
    try:
        await client.get_task(a2a.GetTaskRequest(id="none"))
    except Exception as error:  # noqa: BLE001 - as above
        return type(error).__name__


async def main(url: str, token: str, binding: str, act: str) -> None:
    """Perform one act."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        config = ClientConfig(
            streaming=act == "stream", polling=True, httpx_client=http, supported_protocol_bindings=[binding]
        )
        client = ClientFactory(config).create(card)
        seen = await {"poll": poll, "stream": stream, "cancel": cancel, "unknown": unknown}[act](client)
    print(json.dumps(seen))  # noqa: T201 - how it answers


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
