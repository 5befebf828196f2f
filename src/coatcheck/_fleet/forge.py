"""The forge of a fleet: where its pull requests are opened.

A forge is like a provider: its methods yield effects, and two clients perform them. GitHub is the only one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from .._protocol.effects import Exchange
from .._protocol.provider import Provider
from .._runtime.async_client import AsyncClient
from .._runtime.client import Client
from .._runtime.config import Config
from .._runtime.provider_lookup import provider_of

if TYPE_CHECKING:
    from .._model.outcome import PullRequest
    from .._protocol.effects import Clock
    from .._runtime.transport import Transport
    from ..providers._github.forge import PullRequestText, RepositoryAccess

T = TypeVar("T")


class Forge(Provider, Protocol):
    """A service that keeps repositories and their pull requests. Repositories are OWNER/NAME."""

    @property
    def site(self) -> str:
        """The base URL of its repositories: SITE/OWNER/NAME.git."""
        ...

    def get_repository(self, repository: str) -> Exchange[RepositoryAccess]:
        """Return a repository as the login sees it."""
        ...

    def find_pull_request(self, repository: str, head: str, *, marker: str) -> Exchange[PullRequest | None]:
        """Return the newest pull request of a branch whose text has *marker*."""
        ...

    def open_pull_requests(self, repository: str) -> Exchange[tuple[PullRequest, ...]]:
        """Return those that are open."""
        ...

    def create_pull_request(self, repository: str, wanted: PullRequestText) -> Exchange[PullRequest | None]:
        """Open one; None where one of the same branch is open."""
        ...

    def update_pull_request(self, repository: str, number: int, wanted: PullRequestText) -> Exchange[PullRequest]:
        """Change its title and text."""
        ...

    def add_labels(self, repository: str, number: int, labels: Sequence[str]) -> Exchange[None]:
        """Add labels."""
        ...

    def request_reviewers(self, repository: str, number: int, reviewers: Sequence[str]) -> Exchange[None]:
        """Request reviews."""
        ...

    def fork(self, repository: str) -> Exchange[str]:
        """Return the name of the fork of the login's owner; it is made where there is none."""
        ...


class ForgeClient(Client):
    """Performs the exchanges of a forge; blocks."""

    def perform(self, exchange: Exchange[T]) -> T:
        """Return what *exchange* returns."""
        return self._do(self._session.verbs.run(exchange), "while delivering")


class AsyncForgeClient(AsyncClient):
    """Performs the exchanges of a forge, for asyncio."""

    async def perform(self, exchange: Exchange[T]) -> T:
        """Return what *exchange* returns."""
        return await self._do(self._session.verbs.run(exchange), "while delivering")


def github_forge(config: Config) -> Forge:
    """Return the GitHub of the settings ``github_actions.base_url`` and ``.client_id``."""
    from ..providers._github.forge import ForgeService, GithubForge
    from ..providers.github_actions.provider import ActionsProvider

    provider = provider_of("github_actions", config)
    assert isinstance(provider, ActionsProvider)  # noqa: S101 - a built-in name
    service = provider.service
    return GithubForge(ForgeService(base_url=service.base_url, api_version=service.api_version, app=service.app))


def open_forge(
    config: Config,
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    transport: Transport | None = None,
) -> tuple[Forge, ForgeClient]:
    """Return GitHub and a client of it, which the caller closes. Reads no login yet."""
    forge = github_forge(config)
    return forge, ForgeClient(forge, config=config, environ=environ, clock=clock, transport=transport)
