"""The states of a task, in a separate module because tasks and outcomes both import them."""

from __future__ import annotations

import enum


class TaskState(enum.Enum):
    """The state of a task, in the terms of coatcheck; `Task.raw_state` is the service's own word."""

    QUEUED = "queued"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended; UNKNOWN counts as not ended."""
        return self in _TERMINAL

    @property
    def is_unsuccessful(self) -> bool:
        """Whether the task has ended without success."""
        return self in _TERMINAL and self is not TaskState.SUCCEEDED

    @property
    def is_interrupted(self) -> bool:
        """Whether the task needs input: an answer, an approval, or to be resumed."""
        return self in _INTERRUPTED

    @property
    def ends_wait(self) -> bool:
        """Whether a wait ends in this state: the task has ended or needs input."""
        return self.is_terminal or self.is_interrupted


_TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})
_INTERRUPTED = frozenset({TaskState.INPUT_REQUIRED, TaskState.PAUSED})
