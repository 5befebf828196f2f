"""Record the tasks that calls observe.

Invariants:

- a task that cannot be recorded is reported once, and never fails a call;
- a task is invalidated before a request that may change it, and again after its response: what another process has
  recorded in between may be the state before the change;
- a task whose state is not known is not recorded: it would replace a state that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from .._model.tasks import Task, TaskRef, TaskSpec, TaskState
from .._protocol.effects import Call, Script
from .._protocol.task_recorder import TaskRecorder

T = TypeVar("T")
# What a service may leave out of the response to a submission; the history is searched for it.
SUBMITTED = ("prompt", "title", "repository", "branch")


class TaskRecording:
    """Records tasks in *recorder*, None for no recording."""

    def __init__(self, recorder: TaskRecorder | None, *, on_warning: Callable[[str], None]) -> None:
        self._recorder, self._on_warning = recorder, on_warning
        self._warned: set[str] = set()

    def record(self, tasks: Iterable[Task]) -> Script[None]:
        """Record *tasks*."""
        recorder = self._recorder
        if recorder is None:
            return
        known = [task for task in tasks if task.state is not TaskState.UNKNOWN or task.raw_state is not None]
        if known:
            yield from self._attempt(lambda: recorder.record_all(known))

    def recorded(self, script: Script[Task]) -> Script[Task]:
        """Return the task that *script* returns, recorded."""
        return script if self._recorder is None else self._recorded(script)

    def _recorded(self, script: Script[Task]) -> Script[Task]:
        task = yield from script
        yield from self.record([task])
        return task

    def submitted(self, script: Script[Task], spec: TaskSpec) -> Script[Task]:
        """Return the task that the submission *script* of *spec* returns, recorded with its prompt."""
        task = yield from script
        missing = {name: getattr(spec, name) for name in SUBMITTED if getattr(task, name) is None}
        yield from self.record([msgspec.structs.replace(task, **missing)])
        return task

    def changing(self, ref: TaskRef, script: Script[T]) -> Script[T]:
        """Return what *script* returns, which may change the task *ref*."""
        yield from self._invalidate(ref)
        result = yield from script
        if isinstance(result, Task):
            yield from self.record([result])
        yield from self._invalidate(ref)
        return result

    def _invalidate(self, ref: TaskRef) -> Script[None]:
        recorder = self._recorder
        if recorder is not None:
            yield from self._attempt(lambda: recorder.invalidate(ref))

    def _attempt(self, function: Callable[[], object]) -> Script[None]:
        try:
            yield Call(function)
        except Exception as error:  # noqa: BLE001 - a fault of the store never fails a task
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        message = str(error) or type(error).__name__
        if message not in self._warned:
            self._warned.add(message)
            remedy = getattr(error, "remedy", None)
            self._on_warning(f"the task cannot be recorded in the history: {message}{f'; {remedy}' if remedy else ''}")
