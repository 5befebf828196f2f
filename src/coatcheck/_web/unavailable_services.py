"""The services that cannot be used now: what pages show beside what was recorded before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple


class Unavailability(NamedTuple):
    """Why a service could not be polled, and when it is tried again (seconds since the epoch)."""

    text: str
    remedy: str | None
    until: float


class UnavailableServices:
    """The unavailability of each provider whose service cannot be used. Thread-safe."""

    def __init__(self) -> None:
        self._by_provider: dict[str, Unavailability] = {}
        self._lock = threading.Lock()

    def get(self, provider: str) -> Unavailability | None:
        """Return why the service of *provider* cannot be used, None where it can."""
        with self._lock:
            return self._by_provider.get(provider)

    def set(self, provider: str, reason: Unavailability | None) -> None:
        """Record why the service of a provider could not be used, or with None that it could."""
        with self._lock:
            if reason is None:
                self._by_provider.pop(provider, None)
            else:
                self._by_provider[provider] = reason

    def items(self) -> Iterator[tuple[str, Unavailability]]:
        """Yield each provider whose service cannot be used, by name."""
        with self._lock:
            known = sorted(self._by_provider.items())
        yield from known
