"""Any service that follows the asynchronous request-reply pattern, described in the user's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .presets import Table
    from .provider import Http202Provider


def described(name: str, table: Table, settings: Settings, *, origin: str) -> Http202Provider:
    """Return the provider of the service *name*, which *table* describes; raises `ConfigurationError`.

    *origin* is the file that the table is from, for messages. The setting ``base_url`` goes before the table's.
    """
    from ...provider import base_url, errors
    from .description import read
    from .provider import Http202Provider

    description = read(name, table, origin=origin)
    address = settings.get("base_url") or description.base_url
    if address is None:
        raise errors.ConfigurationError(
            f"{origin}: services.{name}: no base URL is set", remedy=f'add base_url = "https://…" to [services.{name}]'
        )
    return Http202Provider(name, base_url(address, of=name), description)
