"""What GitHub's providers share: base URLs, login, and the token on a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from .location import site_of

if TYPE_CHECKING:
    from ...provider import Login, Request, Secret


class GithubService(Protocol):
    """What the settings of each provider have."""

    @property
    def base_url(self) -> str:
        """The base URL of the API."""
        ...

    @property
    def login(self) -> Login:
        """The source of the token."""
        ...


class GithubProvider(msgspec.Struct, frozen=True):
    """One GitHub; a subclass sets the type of `service`."""

    service: GithubService

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URL."""
        return {"api": self.service.base_url}

    @property
    def sites(self) -> tuple[str, ...]:
        """The base URLs of the pages of tasks."""
        return (site_of(self.service.base_url),)

    @property
    def login(self) -> Login:
        """The source of the token."""
        return self.service.login

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:  # noqa: ARG002 - a token is timeless
        """Return *request* with the token on it."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))
