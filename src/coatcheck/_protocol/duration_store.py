"""The durations of ended tasks, so that waits poll when an end is likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from .._model.duration_estimate import Durations

# The environments of tasks that have ended, and how many seconds each took.
ObservedDurations: TypeAlias = Sequence[tuple[str | None, float]]


class DurationStore(Protocol):
    """Where durations are kept, by provider and environment. Methods may block and are called through `Call`."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return what was seen of tasks in this environment, or of the provider's where nothing was."""
        ...

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Keep how long tasks took."""
        ...


class NoDurationStore:
    """Stores nothing."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return that nothing was seen."""
        del provider, environment
        return Durations()

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Keep nothing."""
