"""The services that cannot be used now: what pages show beside what was recorded before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple


class Trouble(NamedTuple):
    """Why a service could not be polled, and when it is tried again (seconds since the epoch)."""

    text: str
    remedy: str | None
    until: float


class Troubles:
    """The trouble of each provider that has one. Thread-safe."""

    def __init__(self) -> None:
        self._by_provider: dict[str, Trouble] = {}
        self._lock = threading.Lock()

    def get(self, provider: str) -> Trouble | None:
        """Return the trouble of a provider, None where it has none."""
        with self._lock:
            return self._by_provider.get(provider)

    def set(self, provider: str, trouble: Trouble | None) -> None:
        """Record that a provider could not be used, or with None that it could."""
        with self._lock:
            if trouble is None:
                self._by_provider.pop(provider, None)
            else:
                self._by_provider[provider] = trouble

    def items(self) -> Iterator[tuple[str, Trouble]]:
        """Yield each provider that has a trouble, by name."""
        with self._lock:
            known = sorted(self._by_provider.items())
        yield from known
