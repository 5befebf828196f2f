"""An agent on the A2A SDK for Python: a2a_agent.py BINDING… serves it on a free port, and prints its URL.

Its prompts: "wait for …" asks a question first, "fail" fails, "answer" answers with a message in place of a task.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import httpx
import uvicorn
from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import a2a_pb2 as a2a
from starlette.applications import Starlette

PATCH = """\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""


class Agent(AgentExecutor):
    """Says hello in a file."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Work on a message."""
        prompt = context.get_user_input()
        if prompt == "answer":
            await event_queue.enqueue_event(new_text_message("At once."))
            return
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if context.current_task is None:
            submitted = a2a.TaskStatus(state=a2a.TASK_STATE_SUBMITTED)
            task = a2a.Task(id=context.task_id, context_id=context.context_id, status=submitted)
            task.history.append(context.message)
            await event_queue.enqueue_event(task)
            if prompt.startswith("wait for"):
                await updater.requires_input(message=updater.new_agent_message([a2a.Part(text="Which file?")]))
                return
        await updater.start_work(message=updater.new_agent_message([a2a.Part(text="I begin.")]))
        if prompt == "hang":
            await asyncio.sleep(3600)
        if prompt == "fail":
            await updater.failed(message=updater.new_agent_message([a2a.Part(text="The tests never passed.")]))
            return
        parts = [
            a2a.Part(text=f"Done: {prompt}", media_type="text/plain"),
            a2a.Part(raw=PATCH.encode(), media_type="text/x-diff", filename="hello.diff"),
            a2a.Part(text="hello\n", filename="hello.txt"),
        ]
        await updater.add_artifact(parts, artifact_id="result", name="result")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Stop the work."""
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card_of(url: str, bindings: list[str]) -> a2a.AgentCard:
    """Return the card of the agent at *url*, with *bindings* in this order."""
    urls = {"HTTP+JSON": f"{url}/rest", "JSONRPC": f"{url}/rpc"}
    return a2a.AgentCard(
        name="Peer",
        description="It says hello.",
        version="1",
        supported_interfaces=[
            a2a.AgentInterface(url=urls[each], protocol_binding=each, protocol_version="1.0") for each in bindings
        ],
        capabilities=a2a.AgentCapabilities(streaming=True, push_notifications=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain", "text/x-diff"],
        skills=[a2a.AgentSkill(id="code", name="Code", description="It changes code.", tags=["code"])],
    )


def main() -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = card_of(url, sys.argv[1:])
    configs = InMemoryPushNotificationConfigStore()
    handler = DefaultRequestHandler(
        agent_executor=Agent(),
        task_store=InMemoryTaskStore(),
        agent_card=card,
        push_config_store=configs,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(), configs),
    )
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc"),
        *create_rest_routes(handler, path_prefix="/rest"),
    ]
    print(url, flush=True)  # noqa: T201 - how it answers
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
