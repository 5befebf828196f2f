"""OpenAI's Agents API."""

from __future__ import annotations

from tests.providers import service

from coatcheck.providers.openai_agents.endpoints import Service
from coatcheck.providers.openai_agents.provider import OpenAIAgentsProvider
from coatcheck.testing import OpenAIAgentsEmulator

SERVICES = {
    "openai_agents": service.Service(
        lambda url: OpenAIAgentsProvider(Service(base_url=f"{url}/v1", model="m")), OpenAIAgentsEmulator
    )
}
