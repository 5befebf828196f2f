"""A model on this machine that follows a script: the Responses API as far as Codex uses it.

What the model does is in the prompt: after a line ``SCRIPT`` each part, separated by lines of three dashes, is a command
of the shell; ``say TEXT`` ends the turn with a message. A command that contains WAIT is held until `hold` is set.
"""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MARK = "SCRIPT\n"


class ScriptedModel:
    """The endpoint; `requests` are the bodies that it received."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.hold, self.is_held = threading.Event(), threading.Event()
        self.hold.set()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                model.requests.append(body)
                step = step_of(body["input"])
                if "WAIT" in step.get("arguments", ""):
                    model.is_held.set()
                    model.hold.wait(240)
                self.answer(step)

            def answer(self, item: dict[str, Any]) -> None:
                usage = {
                    "input_tokens": 100,
                    "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens": 10,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": 110,
                }
                events = [
                    {"type": "response.created", "response": {"id": "r"}},
                    {"type": "response.output_item.done", "output_index": 0, "item": item},
                    {"type": "response.completed", "response": {"id": "r", "usage": usage}},
                ]
                body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a turn that was interrupted
                    super().handle()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


def step_of(conversation: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the next step of the last script in a conversation."""
    texts = [
        (number, part["text"])
        for number, item in enumerate(conversation)
        if item.get("role") == "user"
        for part in item.get("content", ())
        if MARK in part.get("text", "")
    ]
    if not texts:
        return message("nothing to do")
    number, text = texts[-1]
    done = sum(item.get("type") == "function_call_output" for item in conversation[number:])
    steps = text.split(MARK, 1)[1].strip("\n").split("\n---\n")
    if done >= len(steps):
        return message("done")
    step = steps[done]
    if step.startswith("say "):
        return message(step[4:])
    arguments = json.dumps({"cmd": step})
    return {"type": "function_call", "name": "exec_command", "call_id": f"c{number}-{done}", "arguments": arguments}


def message(text: str) -> dict[str, Any]:
    """Return a message of the assistant."""
    return {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": text}]}


def settings(url: str, *, approval: str = "never") -> str:
    """Return Codex's settings for the model at *url*."""
    return f"""
model = "fake-model"
model_provider = "loop"
approval_policy = "{approval}"
sandbox_mode = "workspace-write"
[model_providers.loop]
name = "loopback"
base_url = "{url}"
wire_api = "responses"
env_key = "LOOP_KEY"
requires_openai_auth = false
supports_websockets = false
request_max_retries = 0
stream_max_retries = 0
"""
