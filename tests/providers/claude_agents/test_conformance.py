from __future__ import annotations

import msgspec

from coatcheck import TaskSpec
from coatcheck.cloud.faults import Fault, RepeatingCursor
from coatcheck.providers.claude_agents import extract
from coatcheck.providers.claude_agents.endpoints import Service
from coatcheck.providers.claude_agents.provider import ClaudeAgentsProvider
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.claude_agents import ClaudeAgentsEmulator

PROVIDER = ClaudeAgentsProvider(Service(base_url="http://127.0.0.1:9", agent="agent_1"))
SESSION = {
    "id": "sesn_1",
    "type": "session",
    "status": "idle",
    "title": "Fix it",
    "agent": {"id": "agent_1", "model": {"id": "claude-sonnet-5"}},
    "environment_id": "env_1",
    "metadata": {"coatcheck": "job-1", "coatcheck_mode": "code"},
    "resources": [
        {
            "type": "github_repository",
            "url": "https://github.com/owner/repo",
            "checkout": {"type": "branch", "name": "main"},
        }
    ],
    "usage": {"input_tokens": 10, "output_tokens": 5, "list_cost": {"amount": "42", "currency": "USD"}},
    "created_at": "2026-11-20T10:00:00Z",
    "updated_at": "2026-11-20T10:05:00Z",
    "archived_at": None,
}
MESSAGE = {
    "id": "sevt_2",
    "type": "agent.message",
    "processed_at": "2026-11-20T10:04:59Z",
    "content": [{"type": "text", "text": "Done"}],
}


def session(**fields: object) -> bytes:
    """Return a session as JSON."""
    return msgspec.json.encode({**SESSION, **fields})


def stopped(reason: str, **fields: object) -> bytes:
    """Return the last events of a session that stopped for *reason*, the newest first."""
    stop_reason = {"type": reason, **fields}
    idle = {"id": "sevt_3", "type": "session.status_idle", "processed_at": "2026-11-20T10:05:00Z"}
    use = {"id": "sevt_1", "type": "agent.tool_use", "name": "bash", "input": {"command": "make"}, "processed_at": None}
    return msgspec.json.encode({"data": [{**idle, "stop_reason": stop_reason}, MESSAGE, use], "next_page": None})


def repeating() -> Fault:
    """Return the fault."""
    return RepeatingCursor(on="list_tasks", cursor="page_0", parameter="page", key="next_page")


class TestClaudeAgents(ProviderConformance):
    """Claude Managed Agents pass the conformance tests, against the emulator."""

    provider = staticmethod(lambda: PROVIDER)
    emulator = ClaudeAgentsEmulator
    spec = TaskSpec(prompt="Say hello to the world\n\nin every language", repository="owner/repo")
    states = extract.STATES
    state_in, state_at = "done", ("status",)
    repeating_cursor = staticmethod(repeating)
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "done": Transcript(session(), stopped("end_turn")),
        "running": Transcript(session(status="running")),
        "waiting": Transcript(session(), stopped("requires_action", event_ids=["sevt_1"])),
        "refused": Transcript(session(), stopped("refusal")),
    }
