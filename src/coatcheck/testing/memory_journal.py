"""A submission journal in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from .._model.tasks import TaskRef
from .._protocol.intents import Intent


class MemoryJournal:
    """A journal in memory; `entries` is every (operation, intent id, task id) in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str | None]] = []
        self._open: dict[str, Intent] = {}
        self._tasks: dict[TaskRef, str] = {}
        self._counted: dict[str, Intent] = {}

    def begin(self, intent: Intent) -> None:
        """Record the intent of a submission before it is sent."""
        self.entries.append(("begin", intent.id, None))
        self._open[intent.id] = self._counted[intent.id] = intent

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        """Record the task of a submission; False if another intent already has that task."""
        if self._tasks.setdefault(ref, intent.id) != intent.id:
            return False
        self.entries.append(("settle", intent.id, ref.id))
        self._open.pop(intent.id, None)
        return True

    def abandon(self, intent: Intent) -> None:
        """Record that the submission certainly created no task."""
        self.entries.append(("abandon", intent.id, None))
        self._open.pop(intent.id, None)
        self._counted.pop(intent.id, None)

    def open_intents(self, provider: str) -> Sequence[Intent]:
        """Return the submissions with an unknown outcome, oldest first."""
        return [intent for intent in self._open.values() if intent.provider == provider]

    def traceparent(self, ref: TaskRef) -> str | None:
        """Return the trace context in which a task was submitted, None where it was submitted without one."""
        intent = self._counted.get(self._tasks.get(ref, ""))
        return intent.traceparent if intent else None

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:
        """Return those of *refs* that an intent has recorded."""
        return {ref for ref in refs if ref in self._tasks}

    def count_since(self, provider: str, since: float) -> int:
        """Return how many submissions since *since* may have created a task."""
        return sum(1 for intent in self._counted.values() if intent.provider == provider and intent.at >= since)
