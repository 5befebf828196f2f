"""Claude Managed Agents."""

from __future__ import annotations

from functools import partial

from tests.providers import service

from coatcheck.providers.claude_agents.endpoints import Service
from coatcheck.providers.claude_agents.provider import ClaudeAgentsProvider
from coatcheck.testing import ClaudeAgentsEmulator

SERVICES = {
    "claude_agents": service.Service(
        lambda url: ClaudeAgentsProvider(Service(base_url=url, agent="agent_1")),
        ClaudeAgentsEmulator,
        environments=service.TwoEnvironments(
            partial(ClaudeAgentsEmulator, environments={"env_a": "Label a", "env_b": "Label b"}),
            ("env_a", "label A"),
            "env_b",
        ),
    )
}
