from __future__ import annotations

import msgspec

from coatcheck import TaskSpec
from coatcheck.cloud.faults import Fault, RepeatingCursor
from coatcheck.providers.openai_agents import extract
from coatcheck.providers.openai_agents.endpoints import Service
from coatcheck.providers.openai_agents.provider import OpenAIAgentsProvider
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.openai_agents import OpenAIAgentsEmulator

PROVIDER = OpenAIAgentsProvider(Service(base_url="http://127.0.0.1:9/v1", model="gpt-test"))
SESSION = {
    "id": "sess_1",
    "object": "agent.session",
    "status": "idle",
    "agent": {"id": "agent_1", "model": "gpt-test"},
    "metadata": {"coatcheck": "job-1", "coatcheck_mode": "code", "coatcheck_repository": "owner/repo"},
    "required_actions": [],
    "usage": {"input_tokens": 10, "output_tokens": 5},
    "spend_control": {"limit": 500, "consumed": 42},
    "error": None,
    "created_at": 1795831280,
    "last_active_at": 1795831290,
}
REQUEST = {"type": "mcp_tool_call", "name": "close", "message": "Close it?", "arguments": {"issue": 7}}
ACTION = {"type": "mcp_approval_request", "request_id": "apr_1", "turn_id": "turn_1", "request": REQUEST}


def session(**fields: object) -> bytes:
    """Return a session as JSON."""
    return msgspec.json.encode({**SESSION, **fields})


def turns(status: str, **fields: object) -> bytes:
    """Return a page of turns, the newest first."""
    turn = {"id": "turn_1", "status": status, "subagent_id": None, "error": None, "completed_at": 1795831290}
    subagent = {"id": "turn_2", "status": "in_progress", "subagent_id": "sub_1"}
    return msgspec.json.encode({"object": "list", "data": [subagent, {**turn, **fields}], "has_more": False})


class Repeating(RepeatingCursor, frozen=True, kw_only=True):
    """A list that always announces a further page."""

    def edit(self, document: object) -> object:
        return {**document, "has_more": True} if isinstance(document, dict) else document


def repeating() -> Fault:
    """Return the fault."""
    return Repeating(on="list_tasks", cursor="never", parameter="after", key="last_id")


class TestOpenAIAgents(ProviderConformance):
    """OpenAI's Agents API passes the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = OpenAIAgentsEmulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language", repository="owner/repo")
    states = extract.STATES
    state_in, state_at = "done", ("status",)
    repeating_cursor = staticmethod(repeating)
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "done": Transcript(session(), turns("completed")),
        "running": Transcript(session(status="in_progress")),
        "waiting": Transcript(session(status="requires_action", required_actions=[ACTION]), turns("waiting")),
        "failed": Transcript(session(), turns("failed", error={"code": "sandbox_error", "message": "lost"})),
    }
