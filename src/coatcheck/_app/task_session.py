"""What a program that serves many calls keeps between them: clients, the history, the gates of one workspace.

Guarantees:
- threads may share a session; constructors do no I/O;
- a task that has ended is read from the history, as commands read it, unless nothing is recorded;
- a store that cannot be used never fails a call that only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from .. import errors
from .._model.tasks import TaskRef
from .._runtime.system_clock import SystemClock
from .clients import ClientFactory
from .task_history import TaskHistory, location_of
from .task_lookup import find_ref

if TYPE_CHECKING:
    from .._model.gates import Gate
    from .._model.tasks import Task
    from .._protocol.effects import Clock
    from .._protocol.intents import Journal
    from .._runtime.client import Client
    from .._runtime.transport import Transport
    from .._store.database import Database
    from .gates import Gates
    from .task_history import TaskReader
    from .workspace import Workspace

T = TypeVar("T")
# So many texts that name tasks are remembered.
MAX_REFS = 10_000


class TaskSession:
    """The clients, the history and the gates of *workspace*; *transport* and *clock* are the real ones where None."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        base_url: str | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.workspace, self.clock = workspace, clock or SystemClock()
        self._base_url = base_url
        self.history = TaskHistory(workspace.config, clock=clock)
        self.history.is_live = True
        store = None if self.history.level == "off" else self.history
        self._factory = ClientFactory(workspace, store=store, clock=clock, transport=transport, base_url=base_url)
        self._clients: dict[tuple[str, str | None], Client] = {}
        self._refs: dict[str, TaskRef] = {}
        self._lock = Lock()
        self._gates: Gates | None = None
        self._database: Database | None = None

    def close(self) -> None:
        """Close every connection; calls that are under way raise."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            gates, self._gates = self._gates, None
            database, self._database = self._database, None
        for each in (*clients, self.history, gates, database):
            if each is not None:
                each.close()

    def ref(self, text: str) -> TaskRef:
        """Return the task that *text* names, as commands read it. Raises `ConfigurationError`.

        A text that was resolved before names the same task; only ``@last`` and ``@N`` are looked up each time.
        """
        ref = self._refs.get(text)
        if ref is None:
            ref = find_ref(text, self.workspace)
            if not text.lstrip().startswith("@") and len(self._refs) < MAX_REFS:
                self._refs[text] = ref
        return ref

    @property
    def database(self) -> Database:
        """The user's store."""
        from .._store.location import open_database

        with self._lock:
            if self._database is None:
                self._database = open_database(location_of(self.workspace.config))
            return self._database

    @property
    def gates(self) -> Gates:
        """The gates of the user's store."""
        from .gates import Gates

        with self._lock:
            if self._gates is None:
                self._gates = Gates(self.workspace.config, clock=self.clock)
            return self._gates

    # --- services -----------------------------------------------------------------------------------------------------

    def client(self, provider: str | None = None, *, refs: Sequence[TaskRef] = ()) -> Client:
        """Return the client of a provider, which is kept; of several local clouds that of the one with *refs*."""
        from .._runtime.server_record import LOCAL, running_servers

        name = provider or self.workspace.provider
        url = self._factory.url_of(name, refs=refs)
        servers = [] if url or name != LOCAL else [record.url for record in running_servers(self.workspace.environ)]
        with self._lock:
            # A local cloud that was started again has another address.
            key = (name, url or next(iter(servers), None))
            if key not in self._clients:
                self._clients[key] = self._factory.create(name, url)
            return self._clients[key]

    @contextmanager
    def open_client(
        self,
        provider: str,
        *,
        environment: str | None = None,
        journal: Journal | None = None,
        account: str | None = None,
    ) -> Iterator[Client]:
        """Open a client for a block: *journal* records its submissions, *account* is the name of a login."""
        try:
            with self._factory.open(provider, environment=environment, journal=journal, account=account) as client:
                yield client
        finally:
            self.history.save()

    # --- tasks --------------------------------------------------------------------------------------------------------

    def read(self, ref: TaskRef, read: Callable[[TaskReader, TaskRef], T], *, is_refreshed: bool = False) -> T:
        """Return what *read* returns for a task: from the history where it has ended, else from its service."""
        stored = None if is_refreshed or self._base_url else self.history.find(ref)
        if stored is not None:
            return read(stored, ref)
        try:
            return read(self.client(ref.provider, refs=[ref]), ref)
        finally:
            self.history.save()

    def open_gate(self, task: Task) -> Gate | None:
        """Return the gate of what *task* waits for; None where it waits for nothing, or the store cannot be used."""
        if self.history.level == "off":
            return None
        try:
            return self.gates.observe(task)
        except errors.CoatcheckError:  # the state of the task shows that it waits
            return None
