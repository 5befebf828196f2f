"""Clients of services for programs that run long and handle many tasks: the page and other servers.

Guarantees:

- a client uses the user's settings and logins, and of several local servers the one that has the task;
- what a client observes is recorded by *store* at once; None records nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from .task_lookup import local_server_url

if TYPE_CHECKING:
    from .._engine.backoff import RetryPolicy
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .._protocol.intents import Journal
    from .._protocol.task_recorder import TaskRecorder
    from .._runtime.client import Client
    from .._runtime.transport import Transport
    from .workspace import Workspace


class OpenClient(Protocol):
    """Opens a client of a provider: `ClientFactory.open`, or a command's."""

    def __call__(
        self,
        provider: str,
        *,
        environment: str | None = None,
        journal: Journal | None = None,
        account: str | None = None,
    ) -> AbstractContextManager[Client]:
        """Open a client for a block."""
        ...


class ClientFactory:
    """Opens clients in a workspace; may be used by several threads."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        store: TaskRecorder | None,
        clock: Clock | None = None,
        transport: Transport | None = None,
        retry: RetryPolicy | None = None,
        base_url: str | None = None,
    ) -> None:
        """*base_url* is the address of the service of the workspace's own provider; others have theirs."""
        self._base_url = base_url
        self._workspace, self._store = workspace, store
        self._clock, self._transport, self._retry = clock, transport, retry

    @contextmanager
    def open(
        self,
        provider: str | None = None,
        *,
        refs: Sequence[TaskRef] = (),
        environment: str | None = None,
        journal: Journal | None = None,
        account: str | None = None,
    ) -> Iterator[Client]:
        """Open a client of *provider* (default: the configured one) for a block.

        Of several local servers it uses the one that has *refs*, or serves *environment*. *journal* records its
        submissions in place of the store's; *account* is the name of a login.
        """
        name = provider or self._workspace.provider
        url = self.url_of(name, refs=refs, environment=environment)
        with self.create(name, url, journal=journal, account=account) as client:
            yield client

    def url_of(self, provider: str, *, refs: Sequence[TaskRef] = (), environment: str | None = None) -> str | None:
        """Return the address of a provider's service, None for its default."""
        given = self._base_url if provider == self._workspace.provider else None
        return given or local_server_url(provider, self._workspace, refs=refs, environment=environment)

    def create(
        self, provider: str, url: str | None, *, journal: Journal | None = None, account: str | None = None
    ) -> Client:
        """Return a client of the service at *url*, which the caller closes."""
        from .._runtime.client import Client

        config = self._workspace.config
        return Client(
            provider,
            config=config.with_explicit({"account": account}) if account else config,
            environ=self._workspace.environ,
            transport=self._transport,
            clock=self._clock,
            retry=self._retry,
            base_url=url,
            store=self._store,
            journal=journal,
        )
