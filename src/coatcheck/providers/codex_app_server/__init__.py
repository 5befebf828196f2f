"""Codex's threads: `codex app-server` on a host of yours, or, where the setting `backend` asks for it, in Codex Cloud.

A host is reached over a WebSocket, a Unix socket, or as a program started here.
Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .cloud.provider import CodexCloudProvider
    from .provider import CodexAppServerProvider


def codex_app_server(settings: Settings) -> CodexAppServerProvider | CodexCloudProvider:
    """Return the provider of a Codex host, or of Codex Cloud; raises `ConfigurationError` for a setting that is none."""
    from .endpoints import Service, is_cloud

    if is_cloud(settings):
        from .cloud.endpoints import CloudService
        from .cloud.provider import CodexCloudProvider

        return CodexCloudProvider(CloudService.of(settings))
    from .provider import CodexAppServerProvider

    return CodexAppServerProvider(Service.of(settings))
