"""The services of a fleet: one client for each account.

Invariants:

- a submission carries the key of its candidate as the id of its intent, so that what became of it is found in the journal
  by that key (`_store/journal.py`), whatever happened in between;
- rounds of polling of one client take turns: a worker of several fleets begins one for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._engine.pipeline import emitted
from .._model.tasks import Task, TaskRef, TaskSpec
from .._protocol.provider import Verb
from .._runtime.async_client import AsyncClient

if TYPE_CHECKING:
    from .._credentials.login_status import LoginStatus
    from .._engine.poll_many import BatchPoller
    from .._engine.submit import ResumedSubmission
    from .._protocol.intents import Intent


class Sweep(NamedTuple):
    """What one round of polling has shown: tasks that ended or need input, and tasks that the service refused.

    `outage` is the error of the last poll, where no later one was answered.
    """

    ended: tuple[Task, ...]
    refused: Mapping[TaskRef, errors.CoatcheckError]
    retry_after: float
    outage: errors.CoatcheckError | None = None


class ServiceClient(AsyncClient):
    """A client of one account of a service, with what a fleet needs beside the verbs."""

    _poller: BatchPoller | None = None

    async def submit(self, spec: TaskSpec, *, id: str) -> Task:
        """Create a task; *id* is the id of its intent."""
        return await self._do(self._session.verbs.create_task(spec, id=id), "while submitting")

    async def resume(self, intent: Intent, *, is_old: bool) -> ResumedSubmission:
        """Search for the task of an intent; without one it is closed if *is_old*."""
        return await self._do(self._session.verbs.resume_submission(intent, is_old=is_old), "while searching")

    async def sweep(self, refs: Iterable[TaskRef]) -> Sweep:
        """Poll *refs* in one round."""
        async with self._turns:
            poller = await self._open_poller()
            ended = await self._do(emitted(poller.poll_once(refs)), "while polling")
            return Sweep(tuple(ended), dict(poller.refused), poller.retry_after, poller.outage)

    @cached_property
    def _turns(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def pause(self, age: float) -> float:
        """Return the estimated pause in seconds between two rounds, for tasks of this age."""
        return (await self._open_poller()).interval(age)

    async def login_status(self) -> LoginStatus | None:
        """Return the status of the login, None where the credentials are not ours. Raises where the service is unknown."""
        from .._credentials.login_sources import LoginCredentials

        return await self.tokens.get_status() if isinstance(self._session.credentials, LoginCredentials) else None

    async def resolve_environment(self, environment: str | None, repository: str | None) -> None:
        """Raise `ConfigurationError` for an environment or a repository that the service does not know."""
        if Verb.RESOLVE_ENVIRONMENT in self.capabilities.verbs and (environment or repository):
            exchange = self._session.verbs.provider.resolve_environment(environment, repository=repository)
            await self._do(self._session.verbs.run(exchange), "while resolving")

    async def _open_poller(self) -> BatchPoller:
        if self._poller is None:
            self._poller = await self._do(self._session.verbs.open_poller(), "while polling")
        return self._poller


class Services:
    """The clients of a fleet by provider and account; *connect* makes one, which is kept."""

    def __init__(self, connect: Callable[[str, str], ServiceClient]) -> None:
        self._connect = connect
        self._clients: dict[tuple[str, str], ServiceClient] = {}

    def client(self, provider: str, account: str) -> ServiceClient:
        """Return the client of an account; raises `ConfigurationError` for an unknown provider."""
        if (provider, account) not in self._clients:
            self._clients[provider, account] = self._connect(provider, account)
        return self._clients[provider, account]

    async def aclose(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
