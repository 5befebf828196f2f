"""Webhooks of the local cloud: each change of a task's state is sent to the addresses of ``serve --hook``.

They are sent by the outbox that sends the user's (`_webhooks.outbox`): the same messages, schedule and guard. The hooks
are the server's, not the user's: a client records the tasks that it sees, and would announce them a second time.

Invariants:
- an announcement and its deliveries are stored in one transaction, and a state that was announced is not announced again;
- what happened before an address was given is not announced to it;
- what a killed server had not announced is announced by the next one: it compares every task with what was announced
  last. A state that a task no longer has is left out then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from .._model.states import TaskState
from .._model.tasks import Task, TaskRef
from .._runtime.server_record import LOCAL
from .._store.history import History
from .._webhooks.server import outbox_of, repeating
from .._webhooks.settings import HookSettings
from .models import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, CloudTask, TaskQuery
from .task_store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._store.hooks import Hook

STATES = {
    PENDING: TaskState.QUEUED,
    RUNNING: TaskState.RUNNING,
    COMPLETED: TaskState.SUCCEEDED,
    FAILED: TaskState.FAILED,
    CANCELLED: TaskState.CANCELLED,
}
# Tasks of one page, when a server that starts compares them.
PAGE = 200


class ObservedStore(Store):
    """A store that calls *on_change* with every task that was added or changed, after it was stored."""

    def __init__(self, path: Path, on_change: Callable[[CloudTask], None]) -> None:
        super().__init__(path)
        self._on_change = on_change

    def add_task(self, task: CloudTask) -> None:
        """Keep a new task."""
        super().add_task(task)
        self._on_change(task)

    def change_task(self, id: str, change: Callable[[CloudTask], CloudTask]) -> CloudTask | None:
        """Replace a task by the result of *change*."""
        task = super().change_task(id, change)
        if task is not None:
            self._on_change(task)
        return task


class TaskHooks:
    """The hooks of a server, in *folder*; *allowed* are origins that may be sent to although they are not public."""

    def __init__(self, folder: Path, *, allowed: Sequence[str], environ: Mapping[str, str]) -> None:
        self.settings = HookSettings(str(folder), folder=str(folder), environ=environ)
        self._allowed = allowed
        self._history = History(str(folder), level="metadata")
        self._changed: SimpleQueue[CloudTask] = SimpleQueue()
        self._recording = threading.Lock()

    def use_urls(self, urls: Sequence[str], store: Store) -> Sequence[tuple[Hook, str | None]]:
        """Send to *urls* from now on; return their hooks, with the secrets of new ones.

        What happened before an address was used is not announced to it.
        """
        were_on = {hook.url for hook in self.settings.hooks.list_hooks() if hook.state == "on"}
        if not were_on.issuperset(urls):
            self.settings.use_urls([url for url in urls if url in were_on], allowed=self._allowed)
            self._history.record_all(map(task_of, _all_tasks(store)))
        return self.settings.use_urls(urls, allowed=self._allowed)

    def put(self, task: CloudTask) -> None:
        """Announce a task's state soon; does not block."""
        self._changed.put(task)

    @contextmanager
    def sending(self, store: Store) -> Iterator[None]:
        """Announce and send while the block runs; first what an earlier server did not announce."""
        self.put_all(store)
        outbox = outbox_of(self.settings, self._allowed)
        with repeating(self.record_changes, name="announcements"), repeating(outbox.send_due, name="outbox"):
            yield

    def put_all(self, store: Store) -> None:
        """Announce what an earlier server has not announced; a state that it has announced changes nothing."""
        for task in _all_tasks(store):
            self.put(task)

    def record_changes(self) -> None:
        """Store what has changed, with the deliveries of it."""
        with self._recording:
            while True:
                try:
                    task = self._changed.get_nowait()
                except Empty:
                    return
                self._history.record(task_of(task))

    def close(self) -> None:
        """Store what has changed last, and close the store; the next server sends it."""
        self.record_changes()
        self._history.close()
        self.settings.close()


def task_of(task: CloudTask) -> Task:
    """Return what is announced of a task: its ref, its state and its times, and nothing that a person wrote."""
    return Task(
        ref=TaskRef(LOCAL, task.id),
        state=STATES.get(task.last.state, TaskState.UNKNOWN),
        raw_state=task.last.state,
        created_at=datetime.fromtimestamp(task.created_at, UTC),
        updated_at=datetime.fromtimestamp(task.updated_at, UTC),
    )


def _all_tasks(store: Store) -> Iterator[CloudTask]:
    query = TaskQuery(filter="all", limit=PAGE)
    while True:
        page = store.list_tasks(query)
        yield from page.tasks
        if not page.has_more:
            return
        query = msgspec.structs.replace(query, before=page.tasks[-1].key)
