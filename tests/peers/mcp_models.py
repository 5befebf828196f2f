"""Fake servers of models on loopback: each makes its client call the tools of coatcheck, one after the other.

The calls are the same for both: submit a task, wait for it, read its diff, and answer with what was read.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

REF = re.compile(r"local:task_e_[0-9a-f]+")
Event = Mapping[str, Any]


def next_call(outputs: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """Return the tool to call after the *outputs* of earlier calls, None at the end."""
    if not outputs:
        return "submit_task", {"prompt": "Say hello to the world"}
    found = REF.search(outputs[0])
    if found is None or len(outputs) > 2:
        return None
    return [("wait_for_task", {"ref": found[0]}), ("get_result", {"ref": found[0], "what": "diff"})][len(outputs) - 1]


class ModelServer(BaseHTTPRequestHandler):
    """A server that answers each request to a model with a stream of events."""

    protocol_version = "HTTP/1.1"
    path_of_model: ClassVar[str]

    def events(self, request: dict[str, Any]) -> list[Event]:
        """Return the answer to one request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer whatever else the client wants to know."""
        self._send(b'{"data": [], "models": []}', "application/json")

    def do_POST(self) -> None:
        """Answer a request to the model."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.partition("?")[0] != self.path_of_model:
            self._send(b"{}", "application/json")
            return
        stream = "".join(
            f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in self.events(json.loads(body))
        )
        self._send(stream.encode(), "text/event-stream")

    def _send(self, data: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


class ResponsesServer(ModelServer):
    """OpenAI's Responses, as Codex uses it."""

    path_of_model = "/v1/responses"

    def events(self, request: dict[str, Any]) -> list[Event]:
        """Return the next call, or a message with the last output."""
        outputs = [json.dumps(each["output"]) for each in request["input"] if each["type"] == "function_call_output"]
        call = next_call(outputs)
        if call is None:
            content = [{"type": "output_text", "text": outputs[-1]}]
            item: dict[str, Any] = {"type": "message", "role": "assistant", "id": "m", "content": content}
        else:
            item = {"type": "function_call", "call_id": f"call_{len(outputs)}", "namespace": "mcp__coatcheck"}
            item |= {"name": call[0], "arguments": json.dumps(call[1])}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.done", "item": item},
            {"type": "response.completed", "response": {"id": "r", "usage": usage}},
        ]


class MessagesServer(ModelServer):
    """Anthropic's Messages, as Claude Code uses it."""

    path_of_model = "/v1/messages"

    def events(self, request: dict[str, Any]) -> list[Event]:
        """Return the next call, or a message with the last output; first the call that waits for MCP servers."""
        contents = [each["content"] for each in request["messages"] if isinstance(each["content"], list)]
        results = [part for content in contents for part in content if part.get("type") == "tool_result"]
        outputs = [json.dumps(part["content"]) for part in results if part["tool_use_id"].startswith("toolu_call")]
        names = {tool["name"] for tool in request.get("tools", [])}
        call = next_call(outputs)
        if call is not None and "mcp__coatcheck__submit_task" in names:
            return self._message(tool_use(f"toolu_call{len(outputs)}", f"mcp__coatcheck__{call[0]}", call[1]))
        if call is not None and "WaitForMcpServers" in names:
            return self._message(tool_use(f"toolu_wait{len(results)}", "WaitForMcpServers", {}))
        return self._message([({"type": "text", "text": ""}, {"type": "text_delta", "text": "".join(outputs[-1:])})])

    def _message(self, blocks: list[tuple[Event, Event]]) -> list[Event]:
        ((block, delta),) = blocks
        reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": "fake", "content": []}
        return [
            {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]


def tool_use(id: str, name: str, given: Mapping[str, Any]) -> list[tuple[Event, Event]]:
    """Return the block of one call, and the delta with its arguments."""
    delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
    return [({"type": "tool_use", "id": id, "name": name, "input": {}}, delta)]


@contextmanager
def serving_model(handler: type[ModelServer]) -> Iterator[str]:
    """Serve a model on loopback for the duration of the context, and yield its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
