"""Models on loopback: Anthropic's Messages, and OpenAI's Responses and Chat Completions, answered by a script.

Each answer is a list of steps: a text, or a tool call ``(name, input)``. ``{cwd}`` in an input is the folder in which the
agent says that it works. Requests that have no tools (titles, summaries) are answered with a word.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias, TypeVar

Step: TypeAlias = str | tuple[str, dict[str, Any]]
Server = TypeVar("Server", bound="ModelServer")
# Where Claude Code and Codex tell the model in which folder they work.
FOLDER = re.compile(r"(?:[Ww]orking directory: |<cwd>)([^\\<\n\"]+)")


class ModelServer(ThreadingHTTPServer):
    """A server with the steps that are left; `requests` are the bodies of those that had tools."""

    daemon_threads = True

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps, self.requests = list(steps), list[dict[str, Any]]()
        self.lock, self.ids = threading.Lock(), itertools.count(1)

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_step(self, body: dict[str, Any], raw: str) -> Step:
        """Return the next step for a request, with the folder of the agent in it."""
        if not body.get("tools"):
            return "title"
        with self.lock:
            self.requests.append(body)
            step = self.steps.pop(0) if self.steps else "Nothing is left to do."
        if isinstance(step, str):
            return step
        found = FOLDER.search(raw)
        folder = found[1] if found else "."
        return step[0], json.loads(json.dumps(step[1]).replace("{cwd}", folder))


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Answer the requests of a connection, which an interrupted turn closes."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer with an empty list of models."""
        self._send("application/json", b'{"data": [], "models": []}')

    def do_HEAD(self) -> None:
        """Answer a check of the address."""
        self.do_GET()

    def do_POST(self) -> None:
        """Answer a prompt."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0))).decode("utf-8", "replace")
        body = json.loads(raw) if raw.startswith("{") else {}
        if self.path.partition("?")[0].endswith("/count_tokens"):
            self._send("application/json", b'{"input_tokens": 10}')
        elif "/messages" in self.path:
            self._stream(messages_events(self.server.next_step(body, raw), next(self.server.ids)))
        elif "/responses" in self.path:
            self._stream(responses_events(self.server.next_step(body, raw), next(self.server.ids)))
        elif "/chat/completions" in self.path:
            answer = chat_answer(self.server.next_step(body, raw), next(self.server.ids))
            if body.get("stream"):
                self._send("text/event-stream", chat_stream(answer))
            else:
                self._send("application/json", json.dumps(answer).encode())
        else:
            self._send("application/json", b"{}")

    def _stream(self, events: Sequence[dict[str, Any]]) -> None:
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._send("text/event-stream", text.encode())

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def messages_events(step: Step, number: int) -> list[dict[str, Any]]:
    """Return the events of Anthropic's Messages for a step."""
    usage = {"input_tokens": 1000, "output_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-test", "content": []}
    if isinstance(step, str):
        block: dict[str, Any] = {"type": "text", "text": ""}
        delta: dict[str, Any] = {"type": "text_delta", "text": step}
        reason = "end_turn"
    else:
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": step[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(step[1])}
        reason = "tool_use"
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]


def responses_name(tool: str) -> dict[str, str]:
    """Return how a call names a tool: of an MCP server by a namespace and a name."""
    server, separator, name = tool.rpartition("__")
    return {"namespace": server, "name": name} if separator else {"name": tool}


def responses_events(step: Step, number: int) -> list[dict[str, Any]]:
    """Return the events of OpenAI's Responses for a step."""
    if isinstance(step, str):
        content = [{"type": "output_text", "text": step, "annotations": []}]
        item: dict[str, Any] = {"type": "message", "id": f"m{number}", "role": "assistant", "content": content}
    else:
        item = {
            "type": "function_call",
            "id": f"f{number}",
            "call_id": f"call_{number}",
            **responses_name(step[0]),
            "arguments": json.dumps(step[1]),
        }
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1100,
    }
    response = {"id": f"resp_{number}"}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "usage": usage}},
    ]


def chat_answer(step: Step, number: int) -> dict[str, Any]:
    """Return the answer of OpenAI's Chat Completions for a step."""
    message: dict[str, Any] = {"role": "assistant", "content": step if isinstance(step, str) else ""}
    if not isinstance(step, str):
        call = {"name": step[0], "arguments": json.dumps(step[1])}
        message["tool_calls"] = [{"index": 0, "id": f"call_{number}", "type": "function", "function": call}]
    reason = "stop" if isinstance(step, str) else "tool_calls"
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    common = {"id": f"chat_{number}", "created": 1, "model": "fake"}
    return {**common, "object": "chat.completion", "choices": choices, "usage": usage}


def chat_stream(answer: dict[str, Any]) -> bytes:
    """Return an answer of Chat Completions as a stream."""
    (choice,) = answer["choices"]
    common = {**answer, "object": "chat.completion.chunk", "usage": None}
    chunks = [
        {**common, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]},
        {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**common, "choices": [], "usage": answer["usage"]},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


def serving_model(*steps: Step) -> AbstractContextManager[ModelServer]:
    """Serve a model that answers with *steps*."""
    return serving(ModelServer(steps))


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve a model for the duration of the context."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
