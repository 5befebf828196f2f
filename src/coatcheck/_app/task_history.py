"""The history of a command: what it observes is recorded when it has printed, and ended tasks are read from it.

Invariants:

- a store that cannot be used never fails a command: `TaskHistory.error` has the reason;
- a request that may change a task invalidates it at once; everything else is recorded by `save`, in the order in which
  it was observed. While a command waits (`is_live`), a task that is still running is recorded at once;
- reading creates no store.
"""

from __future__ import annotations

import os
from _thread import RLock  # `threading` takes 10 ms to import
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, cast

from .. import errors
from .._model.tasks import Task, TaskRef

if TYPE_CHECKING:
    from .._model.outcome import Attempt
    from .._protocol.effects import Clock
    from .._runtime.config import Config
    from .._store.documents import Level
    from .._store.history import History, HistoryEntry

LEVELS = ("full", "metadata", "off")


class TaskReader(Protocol):
    """What reads a task and its attempts: a client, or a stored task."""

    def get_task(self, ref: TaskRef, /) -> Task:
        """Return the task."""
        ...

    def list_attempts(self, ref: TaskRef | Task, /) -> tuple[Attempt, ...]:
        """Return every attempt of the task with its outcome."""
        ...


class StoredTask:
    """A task of the history, read as from a client."""

    def __init__(self, entry: HistoryEntry) -> None:
        self.entry = entry

    def get_task(self, ref: TaskRef, /) -> Task:
        """Return the task."""
        del ref
        return self.entry.task

    def list_attempts(self, ref: TaskRef | Task, /) -> tuple[Attempt, ...]:
        """Return the attempts."""
        del ref
        return self.entry.task.attempts


class TaskHistory:
    """Records what a command observes, and finds tasks that need not be requested."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        """Raises `ConfigurationError` for a level that does not exist."""
        self.level: Level = level_of(config)
        self._config, self._clock = config, clock
        self._history: History | None = None
        self._pending: list[list[Task] | TaskRef] = []
        self._lock = RLock()  # the clients of several services record in threads
        self.is_live = False
        self.error: Exception | None = None

    def record_all(self, tasks: Iterable[Task], /) -> None:
        """Record *tasks* at `save`."""
        observed = list(tasks)
        with self._lock:
            self._pending.append(observed)
        if self.is_live and not any(task.state.is_terminal for task in observed):
            self.save()

    def invalidate(self, ref: TaskRef, /) -> None:
        """Record that *ref* may have changed: now, and after what is recorded at `save` again."""
        with self._lock:
            self._pending.append(ref)
        self._apply([ref])

    def save(self) -> None:
        """Record what was observed."""
        with self._lock:
            pending, self._pending = self._pending, []
        if pending:
            self._apply(pending)

    def find(self, ref: TaskRef) -> StoredTask | None:
        """Return the task *ref* if it has ended and nothing shows that it has changed since it was recorded."""
        if self.level == "off" or not has_store(self._config):
            return None
        try:
            entry = self._opened().get(ref)
        except Exception as error:  # noqa: BLE001 - the service has the task
            self.error = error
            return None
        return StoredTask(entry) if entry is not None and entry.is_current else None

    def close(self) -> None:
        """Close the store."""
        if self._history is not None:
            self._history.close()

    def _apply(self, operations: list[list[Task] | TaskRef]) -> None:
        if self.level == "off":
            return
        try:
            for operation in operations:
                if isinstance(operation, TaskRef):
                    self._opened().invalidate(operation)
                else:
                    self._record(operation)
        except Exception as error:  # noqa: BLE001 - recording never fails a command
            self.error = error

    def _record(self, tasks: list[Task]) -> None:
        """Record *tasks*; the store is not opened where it has certainly all that they show."""
        from .._store.unchanged import is_recorded, key_of

        location = location_of(self._config)
        key = None if "://" in location else key_of(tasks, self.level)
        if key is None or not is_recorded(location, key):
            self._opened().record_all(tasks, key=key)

    def _opened(self) -> History:
        from .._store.history import History

        with self._lock:
            if self._history is None:
                self._history = History(location_of(self._config), level=self.level, clock=self._clock)
            return self._history


def level_of(config: Config) -> Level:
    """Return the setting ``history``. Raises `ConfigurationError` for a level that does not exist."""
    setting = config.resolve("history")
    level = (setting.value or "full").lower()
    if level not in LEVELS:
        raise errors.ConfigurationError(
            f"history is full, metadata or off, not {setting.value!r} ({setting.origin})",
            remedy="set it with: coatcheck config set history full",
        )
    return cast("Level", level)


def location_of(config: Config) -> str:
    """Return where the store is: the URL or the folder of the setting ``database``, else the state folder."""
    from .._runtime.config import store_location

    return store_location(config)


def has_store(config: Config) -> bool:
    """Whether there is a store; a server is assumed to have one."""
    from .._store.sqlite import FILE

    location = location_of(config)
    return "://" in location or os.path.exists(os.path.join(location, FILE))


def open_history(config: Config, *, clock: Clock | None = None) -> History:
    """Return the history in the store of *config*. Raises `ConfigurationError`; its methods raise `StoreError`."""
    from .._runtime.config import state_dir
    from .._store.history import History
    from .._store.old_journal import FILE

    location, folder = location_of(config), state_dir(config.environ)
    if os.path.exists(os.path.join(folder, FILE)):
        from .._store.journal import SubmissionJournal

        journal = SubmissionJournal.at(location, old_folder=folder)
        journal.latest(0)  # reads it into the store
        journal.close()
    return History(location, level=level_of(config), clock=clock)
