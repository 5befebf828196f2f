"""OpenAI's Agents API: sessions of an agent in a hosted environment.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import OpenAIAgentsProvider


def openai_agents(settings: Settings) -> OpenAIAgentsProvider:
    """Return the provider of OpenAI's Agents API; raises `ConfigurationError` for a setting that is not accepted.

    ``model`` or ``agent`` (a saved agent) runs tasks, ``max_cost`` is the spending limit of a session in US dollars,
    ``allowed_domains`` what its network reaches, ``repository_token`` the token by which it clones a private repository,
    and ``base_url`` (``OPENAI_BASE_URL``) is where the service is.
    """
    from .endpoints import Service
    from .provider import OpenAIAgentsProvider

    return OpenAIAgentsProvider(Service.of(settings))
