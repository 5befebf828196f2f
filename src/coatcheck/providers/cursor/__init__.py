"""Cursor's cloud agents (api.cursor.com, REST v1).

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import CursorProvider


def cursor(settings: Settings) -> CursorProvider:
    """Return the provider of Cursor; raises `ConfigurationError` for a base URL that is none.

    ``base_url`` is where the service is, ``github_url`` where the API of GitHub is, from which diffs are read.
    """
    from .endpoints import Service
    from .provider import CursorProvider

    return CursorProvider(Service.of(settings))
