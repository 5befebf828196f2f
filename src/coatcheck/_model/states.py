"""The states of a task. Below tasks and outcomes, which both need the word."""

from __future__ import annotations

import enum


class TaskState(enum.Enum):
    """Where a task is in its life."""

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
        """Whether the task has ended. UNKNOWN never has: its native word is in `raw_state`."""
        return self in _TERMINAL

    @property
    def is_interrupted(self) -> bool:
        """Whether the task needs input: an answer, an approval, or to be resumed."""
        return self in _INTERRUPTED

    @property
    def ends_wait(self) -> bool:
        """Whether waiting alone changes nothing: the task has ended or needs input."""
        return self.is_terminal or self.is_interrupted


_TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})
_INTERRUPTED = frozenset({TaskState.INPUT_REQUIRED, TaskState.PAUSED})
