"""What both clients share: how they are configured.

Invariants:

- the options of a client are declared and documented once, here;
- the constructor opens no connection, reads no login and loads no provider; it reads the environment, the user's
  settings and the installed entry points only for a provider name that is not built in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from .config import Config
from .provider_lookup import require_provider
from .session import MAX_IN_FLIGHT, Options

if TYPE_CHECKING:
    from .._engine.backoff import RetryPolicy
    from .._engine.poll_context import Interval
    from .._engine.reachability import OnOutage
    from .._protocol.effects import Clock
    from .._protocol.intents import Journal
    from .._protocol.login_contract import Credentials
    from .._protocol.provider import Provider
    from .._protocol.task_recorder import TaskRecorder
    from .._protocol.wake_source import WakeSource

AnyTransport = TypeVar("AnyTransport")
# A duration: a number of seconds, or a `datetime.timedelta`.
Seconds: TypeAlias = float | timedelta


class BaseClient(Generic[AnyTransport]):
    """The constructor of `Client` and `AsyncClient`."""

    def __init__(
        self,
        provider: str | Provider = "codex",
        *,
        base_url: str | None = None,
        token: str | None = None,
        account_id: str | None = None,
        credentials: Credentials | None = None,
        retry: RetryPolicy | None = None,
        journal: Journal | None = None,
        config: Config | None = None,
        environ: Mapping[str, str] | None = None,
        transport: AnyTransport | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        on_outage: OnOutage | None = None,
        store: TaskRecorder | None = None,
        wakes: WakeSource | None = None,
    ) -> None:
        """Configure a client of one provider.

        *provider* is a name ("codex", "local", an installed plug-in's, a described service's) or a
        `coatcheck.provider.Provider`. *base_url* is the address of the service.
        *token* (with *account_id*) is sent in place of a stored login; *credentials* replaces the search for a login.
        *retry* is the retry policy of one request, *journal* records submissions, *config* resolves settings.
        *environ* replaces ``os.environ``; *transport*, *clock* and *random* replace HTTP, time and jitter.
        *max_in_flight* is how many requests are sent at once.
        *on_outage* is called with an `Outage`, whose ``str()`` is one line, at each request that the service does not
        answer, and with None at its next answer.
        *store* records the tasks that calls observe: a `History`, which the caller closes, or another `TaskRecorder`.
        A task that it cannot record is reported to the logger, and is returned all the same.
        *wakes* are the webhooks that end pauses of waits; without them those of *store* do, and without both waits only
        poll.

        Raises `ConfigurationError` for an unknown provider. Only a name that is not built in is looked up, in the
        user's settings and the installed entry points; everything else is read by the first call.
        """
        self._options = Options(
            provider=provider,
            base_url=base_url,
            token=token,
            account_id=account_id,
            credentials=credentials,
            retry=retry,
            journal=journal,
            config=config,
            environ=environ,
            clock=clock,
            random=random,
            max_in_flight=max_in_flight,
            on_outage=on_outage,
            store=store,
            wakes=wakes,
        )
        if isinstance(provider, str):
            require_provider(provider, lambda: config or Config(environ=os.environ if environ is None else environ))
        self._transport = transport
        self._opening = Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.provider!r}>"


def seconds(duration: Seconds | None) -> float | None:
    """Return *duration* in seconds."""
    return duration if duration is None or isinstance(duration, int | float) else duration.total_seconds()


def interval_of(interval: Seconds | Interval | None) -> float | Interval | None:
    """Return *interval* in seconds, unless it is a function of the task's age."""
    return interval if callable(interval) else seconds(interval)
