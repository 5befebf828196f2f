"""The durations of ended tasks, so that waits poll when an end is likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from .._model.duration_estimate import Durations

# The environments of tasks that have ended, and how many seconds each took.
ObservedDurations: TypeAlias = Sequence[tuple[str | None, float]]


class DurationStore(Protocol):
    """A store of durations by provider and environment. Methods may block and are called through `Call`."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return the statistics of tasks in this environment, or of all of the provider's where there are none."""
        ...

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Add the durations of ended tasks."""
        ...


class NoDurationStore:
    """Stores nothing."""

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return empty statistics."""
        del provider, environment
        return Durations()

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Store nothing."""
