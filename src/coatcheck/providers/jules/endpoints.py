"""The base URL, the login and the limits of plans.

See docs/reference/protocols/jules.md, "1.1 Base, auth, versions" and "1.3 Quotas".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ...provider import Login, ProviderSetting, TaskRef, base_url, encoded

if TYPE_CHECKING:
    from ...provider import Settings

T = TypeVar("T")

NAME = "jules"
DEFAULT_BASE_URL = "https://jules.googleapis.com/v1alpha"
SITE = "https://jules.google.com"

# Jules has API keys only; they are created on a page and sent only to the service (docs/reference/protocols/jules.md,
# "1.1 Base, auth, versions").
LOGIN = Login(
    name=NAME,
    remedy=f"make a key at {SITE}/settings#api and set JULES_API_KEY",
    environment="JULES_API_KEY",
    trusted_hosts=frozenset({"jules.googleapis.com"}),
)


class Quota(msgspec.Struct, frozen=True):
    """What a plan allows: sessions per rolling day, and at once."""

    per_day: int
    at_once: int


# The plan limits of Google's usage-limits page (docs/reference/protocols/jules.md, "1.3 Quotas"); the service itself
# reports none of them.
QUOTAS: Mapping[str, Quota] = {"free": Quota(15, 3), "pro": Quota(100, 15), "ultra": Quota(300, 60)}
DAY = 24 * 3600

_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


BASE_URL = ProviderSetting("base_url", "where the service is", DEFAULT_BASE_URL)
PLAN = ProviderSetting(
    "plan", "the plan whose quota `get_usage` counts against: free, pro or ultra", choices=tuple(QUOTAS)
)
ENVIRONMENT_VARIABLES = ProviderSetting(
    "environment_variables",
    "whether sessions get the variables of the repository; unset: the service decides",
    choices=tuple(_FLAGS),
)


class Service(msgspec.Struct, frozen=True):
    """One deployment of the service with the settings of its user."""

    base_url: str
    plan: str | None = None
    environment_variables: bool | None = None

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for a value that is not accepted."""
        variables = ENVIRONMENT_VARIABLES.choose(settings, of=NAME)
        return cls(
            base_url(BASE_URL.read(settings) or "", of=NAME),
            PLAN.choose(settings, of=NAME),
            _FLAGS[variables] if variables else None,
        )

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the session *id*."""
        return TaskRef(NAME, id)

    def url_of(self, id: str) -> str:
        """Return the page of the session *id* (docs/reference/protocols/jules.md, "2.2 Session")."""
        return f"{SITE}/session/{encoded(id)}"
