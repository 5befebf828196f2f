"""What is remembered of finished tasks, so that waits look when an end is likely."""

from __future__ import annotations

from typing import Protocol

from .._model.durations import Durations


class Memory(Protocol):
    """Where durations are kept, by provider and environment. Methods may block and are called through `Call`."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return what was seen of tasks in this environment, or of the provider's where nothing was."""
        ...

    def record(self, provider: str, environment: str | None, seconds: float) -> None:
        """Keep that a task took so many seconds."""
        ...


class NoMemory:
    """Remembers nothing, and so believes the default."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return that nothing was seen."""
        del provider, environment
        return Durations()

    def record(self, provider: str, environment: str | None, seconds: float) -> None:
        """Keep nothing."""
