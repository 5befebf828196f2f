"""What every view is given: settings, the store, clients of services, and the checkout that patches are applied to.

Guarantees:

- everything is an argument: nothing reads the environment, the working directory or the clock of the process;
- what is opened here is opened once, may be used by several threads, and is closed by `close`;
- patches are applied to `checkout` and to no other folder.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, closing
from typing import TYPE_CHECKING, Any

from .. import errors
from .._app.clients import ClientFactory
from .._app.gates import Gates
from .._app.stored_reviews import open_reviews
from .._app.task_history import level_of, location_of, open_history
from .._app.task_session import TaskSession
from .._app.templates import folders_of
from .._engine.backoff import RetryPolicy
from .._values.locked_property import locked_cached_property
from .check_jobs import CheckJobs
from .delivery_jobs import DeliveryJobs
from .sessions import Sessions
from .unavailable_services import UnavailableServices

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .._fleet.control import FleetControl
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .._review.template_files import Folder
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .._runtime.transport import Transport
    from .._store.events import EventLog
    from .._store.history import History
    from .._store.reviews import ReviewStore
    from .._webhooks.settings import WebhookSettings

# A person waits for the page: a service that does not answer is reported soon.
RETRY = RetryPolicy(attempts=2, initial=0.5, maximum=2.0, patience=5.0)


class Site:
    """One page of one user. Methods and what they return block; views run in threads."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        clock: Clock,
        checkout: str | None = None,
        transport: Transport | None = None,
        base_url: str | None = None,
    ) -> None:
        """*checkout* is the root of the checkout that patches are applied to, None for none.

        *base_url* is the address of the service of the workspace's provider.
        """
        self._base_url = base_url
        self.workspace, self.clock, self.checkout = workspace, clock, checkout
        self._transport, self._closing = transport, ExitStack()
        self.sessions, self.unavailable = Sessions(), UnavailableServices()
        self.acted_at: dict[TaskRef, float] = {}
        self.check_jobs, self.delivery_jobs = CheckJobs(), DeliveryJobs()

    @property
    def config(self) -> Config:
        """The settings, as they were at the start."""
        return self.workspace.config

    @property
    def now(self) -> float:
        """The seconds since the epoch."""
        return self.clock.time()

    @property
    def is_recording(self) -> bool:
        """Whether the setting ``history`` permits recording."""
        return level_of(self.config) != "off"

    @property
    def template_folders(self) -> tuple[Folder, ...]:
        """The folders of prompt templates: of the checkout, then the user's."""
        return folders_of(self.checkout, self.workspace.environ)

    @locked_cached_property
    def history(self) -> History:
        """The tasks of the store. Its methods raise `StoreError`."""
        return open_history(self.config, clock=self.clock)

    @property
    def events(self) -> EventLog:
        """The events of the store."""
        return self.history.events

    @locked_cached_property
    def gates(self) -> Gates:
        """The gates of the store."""
        return Gates(self.config, clock=self.clock)

    @locked_cached_property
    def reviews(self) -> ReviewStore:
        """The reviews of the store: candidates that compete."""
        return open_reviews(self.config, clock=self.clock)

    @locked_cached_property
    def fleets(self) -> FleetControl:
        """The fleets of the store; decisions are recorded as made on the page."""
        from .._fleet.control import FleetControl
        from .._store.location import open_database

        database = self._closing.enter_context(closing(open_database(location_of(self.config))))
        return FleetControl(database, clock=self.clock, via="web")

    @locked_cached_property
    def hooks(self) -> WebhookSettings:
        """The webhooks of the store, and their secrets."""
        from .._webhooks.settings import WebhookSettings

        return self._closing.enter_context(closing(WebhookSettings(self.workspace, clock=self.clock)))

    @locked_cached_property
    def _clients(self) -> ClientFactory:
        store = self.history if self.is_recording else None
        return ClientFactory(
            self.workspace,
            store=store,
            clock=self.clock,
            transport=self._transport,
            retry=RETRY,
            base_url=self._base_url,
        )

    def client(self, provider: str | None = None, **options: Any) -> AbstractContextManager[Client]:
        """Open a client of a service, as `ClientFactory.open` does."""
        return self._clients.open(provider, **options)

    def expect_change(self, ref: TaskRef) -> None:
        """Record that a task was acted on: it is polled often again."""
        self.acted_at[ref] = self.now

    def new_link(self, origin: str, path: str = "/") -> str:
        """Return a link that opens the page at *path* in one browser, once, on the server at *origin*."""
        return f"{origin}/open?token={self.sessions.new_link(path)}"

    def task_session(self, workspace: Workspace) -> TaskSession:
        """Return a session for submissions that are repeatable, in *workspace*; close it."""
        url = self._base_url if workspace.provider == self.workspace.provider else None
        return TaskSession(workspace, base_url=url, transport=self._transport, clock=self.clock)

    def verbs(self, provider: str) -> frozenset[str]:
        """Return what a service can do, nothing where it cannot be used."""
        try:
            with self.client(provider) as client:
                return frozenset(verb.value for verb in client.capabilities.verbs)
        except errors.CoatcheckError:
            return frozenset()

    def require_checkout(self) -> str:
        """Return the checkout that patches are applied to. Raises `ConfigurationError` where there is none."""
        if self.checkout is None:
            raise errors.ConfigurationError(
                "no checkout was named, so that patches cannot be applied",
                remedy="stop the server, and start it with: coatcheck web --checkout FOLDER",
            )
        return self.checkout

    def close(self) -> None:
        """Stop the checks, and close the store."""
        self.check_jobs.stop()
        for name in ("history", "gates", "reviews"):
            if name in self.__dict__:
                getattr(self, name).close()
        self._closing.close()
