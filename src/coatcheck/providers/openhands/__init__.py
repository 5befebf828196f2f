"""OpenHands: agent-servers of your own, and OpenHands Cloud.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .cloud_provider import OpenHandsCloudProvider
    from .provider import OpenHandsProvider


def openhands(settings: Settings) -> OpenHandsProvider:
    """Return the provider of an agent-server; raises `ConfigurationError` for a setting that is not usable."""
    from .endpoints import Service
    from .provider import OpenHandsProvider

    return OpenHandsProvider(Service.of(settings))


def openhands_cloud(settings: Settings) -> OpenHandsCloudProvider:
    """Return the provider of OpenHands Cloud; raises `ConfigurationError` for a base URL that is none."""
    from .cloud_endpoints import CloudService
    from .cloud_provider import OpenHandsCloudProvider

    return OpenHandsCloudProvider(CloudService.of(settings))
