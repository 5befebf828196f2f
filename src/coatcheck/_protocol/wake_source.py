"""What arrives by webhook, as a wait sees it: names of tasks and repositories, never a state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .._model.tasks import TaskRef


class WakeSource(Protocol):
    """Deliveries of webhooks that this process or another one has received, for the waits of one client.

    `refresh` and `record_missed` block and are called through `Call`; they raise nothing, because a wait polls anyway.
    """

    def next_check(self, remaining: float) -> float:
        """Return the seconds until `refresh` is to be called in a pause of *remaining* seconds: 0 for now."""
        ...

    def refresh(self) -> None:
        """Read the deliveries that have arrived."""
        ...

    def arrived_at(self, ref: TaskRef, repository: str | None) -> float:
        """Return when the newest delivery about a task arrived (seconds since the epoch), 0 where none did.

        A delivery may name the *repository* of the task instead of the task.
        """
        ...

    def is_working(self, provider: str) -> bool:
        """Whether deliveries about the provider's tasks arrive, so that polls may be less frequent."""
        ...

    def record_missed(self, provider: str) -> None:
        """Record that a task has ended and no delivery announced it: `is_working` is False until the next delivery."""
        ...

    def hold(self, refs: Iterable[TaskRef]) -> None:
        """Record that these tasks are waited for."""
        ...

    def release(self, refs: Iterable[TaskRef]) -> None:
        """Record that a wait for these tasks has ended."""
        ...
