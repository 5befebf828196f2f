"""The base URL and the login of OpenHands Cloud (docs/reference/protocols/openhands-cloud.md, "1 Transport")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, ProviderSetting, TaskRef, base_url, encoded

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "openhands_cloud"
DEFAULT_BASE_URL = "https://app.all-hands.dev"
BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL)
LOGIN = Login(
    name=NAME,
    remedy=f"make a key at {DEFAULT_BASE_URL}/settings/api-keys and set OPENHANDS_CLOUD_API_KEY",
    environment="OPENHANDS_CLOUD_API_KEY",
    trusted_hosts=frozenset({"app.all-hands.dev"}),
)


class CloudService(msgspec.Struct, frozen=True):
    """One deployment of the service."""

    base_url: str = DEFAULT_BASE_URL

    @classmethod
    def of(cls, settings: Settings) -> CloudService:
        """Return the service of *settings*. Raises `ConfigurationError` for a URL that is not accepted."""
        return cls(base_url(BASE_URL.read(settings) or "", of=NAME))

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the conversation *id*."""
        return TaskRef(NAME, id)


def page_of(id: str, base: str) -> str:
    """Return the page of the conversation *id*."""
    return f"{base}/conversations/{encoded(id.replace('-', ''))}"
