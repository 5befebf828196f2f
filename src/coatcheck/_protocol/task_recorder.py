"""Where the tasks that calls observe are recorded; `coatcheck.History` is the implementation of this package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef


class TaskRecorder(Protocol):
    """A store of observed tasks. Methods block and are called through the `Call` effect, by several threads."""

    def record_all(self, tasks: Iterable[Task], /) -> object:
        """Store what each of *tasks* shows."""
        ...

    def invalidate(self, ref: TaskRef, /) -> object:
        """Record that a task may have changed since it was stored."""
        ...
