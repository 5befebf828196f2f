"""Any agent that supports the Agent2Agent protocol (A2A) 1.0 over HTTP.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import A2AProvider


def a2a(settings: Settings) -> A2AProvider:
    """Return the provider of one A2A agent; raises `ConfigurationError` for a setting that is none.

    ``base_url`` is where the agent is, ``binding`` how it is called, ``auth`` how the token is sent, and ``context``
    who names the context of a task.
    """
    from .provider import A2AProvider
    from .service import Service

    return A2AProvider(Service.of(settings))
