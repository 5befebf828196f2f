"""Claude Managed Agents: sessions of an agent in a hosted environment.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import ClaudeAgentsProvider


def claude_agents(settings: Settings) -> ClaudeAgentsProvider:
    """Return the provider of Claude Managed Agents; raises `ConfigurationError` for a setting that is not accepted.

    ``agent`` is the agent that runs tasks, ``environment`` where they run if they name no environment, ``max_cost`` the
    budget of a session in US dollars, ``repository_token`` the token by which the service clones a private repository,
    and ``base_url`` (``ANTHROPIC_BASE_URL``) is where the service is.
    """
    from .endpoints import Service
    from .provider import ClaudeAgentsProvider

    return ClaudeAgentsProvider(Service.of(settings))
