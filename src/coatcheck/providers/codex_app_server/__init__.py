"""Codex on a host of yours: `codex app-server` over a WebSocket, a Unix socket, or as a program started here.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import CodexAppServerProvider


def codex_app_server(settings: Settings) -> CodexAppServerProvider:
    """Return the provider of a Codex host; raises `ConfigurationError` for a setting that is none."""
    from .endpoints import Service
    from .provider import CodexAppServerProvider

    return CodexAppServerProvider(Service.of(settings))
