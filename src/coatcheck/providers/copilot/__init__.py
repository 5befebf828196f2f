"""GitHub's coding agent: its tasks, through the public preview of its API.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import CopilotProvider


def copilot(settings: Settings) -> CopilotProvider:
    """Return the provider of GitHub's coding agent; raises `ConfigurationError` for a setting that is none.

    ``base_url`` is where the API is, ``repository`` is taken where a task names none, ``custom_agent`` is the file of
    an agent of the repository's own, without its ending.
    """
    from .capabilities import Service
    from .provider import CopilotProvider

    return CopilotProvider(Service.of(settings))
