"""The base URLs, the login and the ids of agents.

See docs/reference/protocols/cursor.md, "1 Transport" and "7 Idempotency".
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from ...provider import Login, ProviderSetting, TaskRef, base_url, encoded

if TYPE_CHECKING:
    from ...provider import Settings

NAME = "cursor"
DEFAULT_BASE_URL = "https://api.cursor.com"
GITHUB_API = "https://api.github.com"
SITE = "https://cursor.com"

LOGIN = Login(
    name=NAME,
    remedy=f"make a key at {SITE}/dashboard and set CURSOR_API_KEY",
    environment="CURSOR_API_KEY",
    trusted_hosts=frozenset({"api.cursor.com"}),
)

# CURSOR_BACKEND_URL is the variable of the official SDK (docs/reference/protocols/cursor.md, "10 The official SDK").
BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL, ("CURSOR_BACKEND_URL",))
GITHUB_URL = ProviderSetting(
    "github_url", "the API of GitHub, from which diffs of public repositories are read", GITHUB_API
)

# The namespace of the ids of agents; a change of it would make other ids of the same keys.
AGENT_NAMESPACE = uuid.UUID("6f2c1d0e-5a2b-5a7e-9d1c-0c8f5f1f7a51")


class Service(msgspec.Struct, frozen=True):
    """One deployment of the service."""

    base_url: str = DEFAULT_BASE_URL
    github_url: str = GITHUB_API

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a URL that is not accepted."""
        urls = (base_url(setting.read(settings) or "", of=NAME) for setting in (BASE_URL, GITHUB_URL))
        return cls(*urls)

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the agent *id*."""
        return TaskRef(NAME, id)

    def url_of(self, id: str) -> str:
        """Return the page of the agent *id*."""
        return f"{SITE}/agents?id={encoded(id)}"


def agent_id(key: str) -> str:
    """Return the id of the agent of the submission *key*: always the same for the same key."""
    return f"bc-{uuid.uuid5(AGENT_NAMESPACE, key)}"
