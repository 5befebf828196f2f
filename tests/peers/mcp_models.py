"""A model that calls the tools of coatcheck one after the other: submit a task, wait for it, read its diff, and repeat it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.peers.model_servers import ModelServer, Step

REF = re.compile(r"local:task_e_[0-9a-f]+")
PREFIX = "mcp__coatcheck__"


class CallingModel(ModelServer):
    """A model whose next step depends on the results of its earlier calls, of OpenAI's Responses or Anthropic's Messages."""

    def __init__(self) -> None:
        super().__init__(())

    def next_step(self, body: dict[str, Any], _raw: str) -> Step:
        """Return the next call, or the last result as a message; before, Claude Code waits for its MCP servers."""
        outputs = list(message_outputs(body) if "messages" in body else response_outputs(body))
        call = next_call(outputs)
        if call is None:
            return outputs[-1]
        if "messages" not in body:
            return call
        names = {tool["name"] for tool in body.get("tools", ())}
        if PREFIX + "submit_task" in names:
            return call
        return ("WaitForMcpServers", {}) if "WaitForMcpServers" in names else "title"


def next_call(outputs: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """Return the tool to call after the *outputs* of earlier calls, None at the end."""
    if not outputs:
        return PREFIX + "submit_task", {"prompt": "Say hello to the world"}
    found = REF.search(outputs[0])
    if found is None or len(outputs) > 2:
        return None
    if len(outputs) == 1:
        return PREFIX + "wait_for_task", {"ref": found[0]}
    return PREFIX + "get_result", {"ref": found[0], "what": "diff"}


def response_outputs(body: dict[str, Any]) -> Iterator[str]:
    """Yield the results of calls in a request to OpenAI's Responses."""
    for item in body["input"]:
        if item["type"] == "function_call_output":
            yield json.dumps(item["output"])


def message_outputs(body: dict[str, Any]) -> Iterator[str]:
    """Yield the results of calls of coatcheck's tools in a request to Anthropic's Messages."""
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    parts = [part for content in contents for part in content]
    names = {part["id"]: part["name"] for part in parts if part.get("type") == "tool_use"}
    for part in parts:
        if part.get("type") == "tool_result" and names.get(part["tool_use_id"], "").startswith(PREFIX):
            yield json.dumps(part["content"])
