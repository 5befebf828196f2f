"""A session of both clients: options resolved into a provider, its login and its operations.

It is created by the first call of a client.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from .. import errors
from .._credentials.login_sources import LoginCredentials, LoginSelection
from .._engine.backoff import RetryPolicy
from .._engine.operations import Operations
from .._engine.rate_limit import RateLimiter
from .._engine.schedule import DEFAULT_POLL_COST
from .._model.tasks import TaskSpec
from .._protocol.duration_store import NoDurationStore
from .._protocol.login_contract import Credentials, Secret
from .._protocol.provider import Provider, sites_of
from .config import Config, config_dir, state_dir, store_location
from .duration_file import DurationFile
from .host_record import running_host
from .provider_lookup import provider_of
from .server_record import LOCAL, running_server, server_at
from .setting_names import check_names
from .system_clock import SystemClock
from .telemetry import OpenTelemetry

if TYPE_CHECKING:
    from .._engine.reachability import OnOutage
    from .._model.task_page import TaskPage
    from .._protocol.effects import Clock
    from .._protocol.intents import Intent, Journal
    from .._protocol.task_recorder import TaskRecorder
    from .._protocol.wake_source import WakeSource
    from .._store.journal import SubmissionJournal
    from .transport import TransportOptions

# Waits are timers and hold no socket, so that thousands of them need few requests at once.
MAX_IN_FLIGHT = 32
# An hour: longer than nine in ten cloud tasks, short enough that a forgotten script ends. None must be explicit.
DEFAULT_TIMEOUT = 3600.0
# A token for a local cloud; one that is given wins over the one in the server's record.
LOCAL_TOKEN = "COATCHECK_LOCAL_TOKEN"  # noqa: S105 - a name


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a client; `BaseClient` describes each."""

    provider: str | Provider = "codex"
    base_url: str | None = None
    token: str | None = None
    account_id: str | None = None
    credentials: Credentials | None = None
    retry: RetryPolicy | None = None
    journal: Journal | None = None
    config: Config | None = None
    environ: Mapping[str, str] | None = None
    clock: Clock | None = None
    random: Callable[[], float] | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    on_outage: OnOutage | None = None
    store: TaskRecorder | None = None
    wakes: WakeSource | None = None

    def __post_init__(self) -> None:
        if self.max_in_flight < 1:
            raise errors.ConfigurationError(f"max_in_flight is at least 1, not {self.max_in_flight}")

    def __repr__(self) -> str:
        return f"Options(provider={self.provider!r})"


class Session:
    """A provider, its login and its verbs, resolved from options."""

    _journal: SubmissionJournal | None = None

    def __init__(self, options: Options) -> None:
        environ = os.environ if options.environ is None else options.environ
        self.config = options.config or Config(environ=environ)
        check_names(self.config)
        options = _located(options, self.config)
        clock = self.clock = options.clock or SystemClock()
        self.provider = _provider(options, self.config)
        random = options.random or _random
        self.credentials = options.credentials or LoginCredentials(
            self.provider.login,
            environ=environ,
            clock=self.clock,
            random=random,
            config_dir=config_dir(environ),
            state_dir=state_dir(environ),
            explicit=_explicit(options),
            choice=_choice(self.config, self.provider.name),
            on_trouble=_warn,
        )
        self.verbs = Operations(
            self.provider,
            self.credentials,
            clock=self.clock,
            random=random,
            policy=options.retry or RetryPolicy(),
            pace=_pace(self.provider, self.config, is_real=options.clock is None),
            memory=NoDurationStore() if _is_off(self.config.get("learn")) else DurationFile(state_dir(environ)),
            poll_cost=self.config.number("poll_cost") or DEFAULT_POLL_COST,
            journal=lambda: options.journal or self._open_journal(),
            new_id=_new_id,
            pid=os.getpid(),
            is_submitting=lambda intent: _is_submitting(intent, now=clock.time()),
            on_trouble=_warn,
            on_outage=options.on_outage,
            recorder=options.store,
            wakes=options.wakes or getattr(options.store, "wakes", None),  # of a `History`
            telemetry=OpenTelemetry(
                self.provider.name,
                vendor=self.provider.capabilities.vendor,
                url=self.provider.origins.get("api"),
            ),
        )

    def _open_journal(self) -> SubmissionJournal:
        self._journal = _journal(self.config)
        return self._journal

    @property
    def has_journal(self) -> bool:
        """Whether it has opened the database of submissions."""
        return self._journal is not None

    def close(self) -> None:
        """Close the database of submissions, where this session has opened it; a submission under way opens it again."""
        if self._journal is not None:
            self._journal.close()

    def transport_options(self) -> TransportOptions:
        """Return the proxies and certificates of the environment."""
        from .transport import TransportOptions

        return TransportOptions(environ=self.config.environ)

    @property
    def transport_name(self) -> str:
        """Return the requested transport: "pyreqwest" or "httpx2"."""
        name = self.config.get("transport") or "pyreqwest"
        if name not in ("pyreqwest", "httpx2"):
            raise errors.ConfigurationError(f"there is no transport {name!r}", remedy="use pyreqwest or httpx2")
        return name


def origins_of_client(options: Options) -> tuple[str | TaskPage, ...]:
    """Return where the tasks of such a client are, as `TaskRef.parse` reads it. Sends no request."""
    environ = os.environ if options.environ is None else options.environ
    config = options.config or Config(environ=environ)
    return sites_of(_provider(_located(options, config), config))


def _located(options: Options, config: Config) -> Options:
    """Return *options* with the address and the token of the local cloud that runs, where they are not given."""
    if options.provider != LOCAL:
        return _at_host(options, config)
    url = options.base_url or config.get(f"{LOCAL}.base_url")
    if url is None:
        record = running_server(config.environ, environments=filter(None, [config.get("environment")]))
    elif options.token or options.credentials or config.environ.get(LOCAL_TOKEN):
        return options
    else:
        record = server_at(config.environ, url)
    if record is None:
        return options
    return msgspec.structs.replace(
        options,
        base_url=url or record.url,
        token=options.token or record.token,
        account_id=options.account_id or record.account_id,
    )


def _at_host(options: Options, config: Config) -> Options:
    """Return *options* with the address and the token of a host that runs, where the provider has no address without it."""
    name = options.provider
    if not isinstance(name, str) or options.base_url is not None or config.get(f"{name}.base_url") is not None:
        return options
    record = running_host(config.environ, name)
    if record is None or _has_address(options, config):
        return options
    return msgspec.structs.replace(options, base_url=record.url, token=options.token or record.read_token())


def _has_address(options: Options, config: Config) -> bool:
    """Whether the settings of a provider suffice: an option of it may be a service that needs no address."""
    try:
        _provider(options, config)
    except errors.ConfigurationError:
        return False
    return True


def _provider(options: Options, config: Config) -> Provider:
    if not isinstance(options.provider, str):
        return options.provider
    if options.base_url is not None:
        config = config.with_explicit({f"{options.provider}.base_url": options.base_url})
    return provider_of(options.provider, config)


def _journal(config: Config) -> SubmissionJournal:
    """Return the journal in the store: in the database that is configured, or in the state folder."""
    from .._store.journal import SubmissionJournal  # 4 ms with the store, and only submissions are recorded

    folder = state_dir(config.environ)
    return SubmissionJournal.at(store_location(config), old_folder=folder)


def _is_submitting(intent: Intent, *, now: float) -> bool:
    from .._store.processes import is_submitting  # as above

    return is_submitting(intent, now=now)


def _explicit(options: Options) -> Secret | None:
    if options.token is None:
        return None
    return Secret(token=options.token, account_id=options.account_id, source="argument")


def _warn(trouble: str) -> None:
    import logging  # 10 ms, only needed for a warning

    logging.getLogger("coatcheck").warning("%s", trouble)


def _choice(config: Config, provider: str) -> LoginSelection:
    source = config.resolve(f"{provider}.credentials")
    return LoginSelection.read(
        source.value,
        origin=source.origin if source.value else "default",
        account=config.get("account"),
        issuer=config.get(f"{provider}.issuer"),
    )


# One limit for all clients of a process that use the same service (`_engine/rate_limit.py`).
_PACES: dict[tuple[str, str, float | None], RateLimiter] = {}


def _pace(provider: Provider, config: Config, *, is_real: bool) -> RateLimiter:
    """Return the budget that all clients with the real clock share; a client with another clock has a separate one."""
    name = f"{provider.name}.rate"
    rate = config.number(name) if config.get(name) else provider.capabilities.rate
    fresh = RateLimiter(rate=rate, lock=threading.Lock())
    return _PACES.setdefault((provider.name, provider.origins.get("api", ""), rate), fresh) if is_real else fresh


def _is_off(setting: str | None) -> bool:
    return (setting or "").lower() in ("off", "false", "no", "0")


def _random() -> float:
    from random import random  # 2 ms, and most commands need no jitter

    return random()  # noqa: S311 - jitter, not a secret


def _new_id() -> str:
    return os.urandom(16).hex()


def spec_of(
    prompt: str | TaskSpec,
    *,
    repository: str | None,
    environment: str | None,
    branch: str | None,
    attempts: int | None,
    mode: Literal["code", "ask"] | None,
    starting_diff: str | None,
    model: str | None,
) -> TaskSpec:
    """Return the arguments of a submission as one value; those that are not None replace fields of a given spec."""
    spec = prompt if isinstance(prompt, TaskSpec) else TaskSpec(prompt=prompt)
    arguments = {
        "repository": repository,
        "environment": environment,
        "branch": branch,
        "attempts": attempts,
        "mode": mode,
        "starting_diff": starting_diff,
        "model": model,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    return msgspec.structs.replace(spec, **given) if given else spec
