"""A model on this machine that follows a script: the Responses API as far as Codex uses it, Chat Completions for OpenHands.

What the model does is in the prompt: after a line ``SCRIPT`` each part, separated by lines of three dashes, is a command
of the shell; ``say TEXT`` ends the turn with a message. A command that contains WAIT is held until `hold` is set.
"""

from __future__ import annotations

import threading
from typing import Any, Self

from tests.peers.model_servers import ModelServer, Step

MARK = "SCRIPT\n"


class ScriptedModel(ModelServer):
    """The endpoint; `requests` are the bodies that it received."""

    def __init__(self) -> None:
        super().__init__(())
        self.hold, self.is_held = threading.Event(), threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{super().url}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self.shutdown()
        self.server_close()

    def next_step(self, body: dict[str, Any], _raw: str) -> Step:
        """Return the next step of the script, once it is not held any more."""
        self.requests.append(body)
        step = step_of(body["input"])
        if not isinstance(step, str) and "WAIT" in step[1]["cmd"]:
            self.is_held.set()
            self.hold.wait(240)
        return step


class ScriptedChat(ScriptedModel):
    """The endpoint for an agent of OpenHands; a request without tools is one for a title."""

    def next_step(self, body: dict[str, Any], _raw: str) -> Step:
        """Return the next step of the script, once it is not held any more."""
        if not body.get("tools"):
            return "A title"
        self.requests.append(body)
        step = step_of([_as_item(message) for message in body["messages"]])
        if isinstance(step, str):
            return "finish", {"message": step}
        if "WAIT" in step[1]["cmd"]:
            self.is_held.set()
            self.hold.wait(240)
        # Without a limit the tool gives a silent command back to the model after 30 seconds.
        return "terminal", {"command": step[1]["cmd"], "timeout": 600}


def _as_item(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Chat Completions as an item of Responses."""
    if message["role"] == "tool":
        return {"type": "function_call_output"}
    content = message.get("content")
    return {"role": message["role"], "content": [{"text": content}] if isinstance(content, str) else content or []}


def step_of(conversation: list[dict[str, Any]]) -> Step:
    """Return the next step of the last script in a conversation."""
    texts = [
        (number, part["text"])
        for number, item in enumerate(conversation)
        if item.get("role") == "user"
        for part in item.get("content", ())
        if MARK in part.get("text", "")
    ]
    if not texts:
        return "nothing to do"
    number, text = texts[-1]
    done = sum(item.get("type") == "function_call_output" for item in conversation[number:])
    steps = text.split(MARK, 1)[1].strip("\n").split("\n---\n")
    if done >= len(steps):
        return "done"
    step = steps[done]
    return step[4:] if step.startswith("say ") else ("exec_command", {"cmd": step})


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
