"""How long tasks took on this machine: one small JSON file in the user's state folder.

It holds counts and moments per provider and environment, no task and no prompt. ``COATCHECK_LEARN=off`` keeps it from
being written or read. Losing it costs a few looks, so it is never waited for, locked or fsynced: the last writer wins.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from .._model.duration_estimate import Durations
from .._protocol.duration_store import ObservedDurations

# Environments that are remembered at most; the oldest go first.
MEMORY = 200


class DurationFile:
    """The durations in *directory*."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "durations.json")
        self._seen: dict[str, Durations] | None = None

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return what was seen of this environment, or of the whole provider where nothing was."""
        seen = self._read()
        return seen.get(_key(provider, environment)) or seen.get(_key(provider, None)) or Durations()

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Keep how long tasks took, for their environments and for the provider."""
        self._seen = None  # other processes write too
        seen = self._read()
        for environment, seconds in ends:
            for key in {_key(provider, environment), _key(provider, None)}:
                seen[key] = seen.pop(key, Durations()).with_another(seconds)
        self._write(dict(list(seen.items())[-MEMORY:]))

    def _read(self) -> dict[str, Durations]:
        if self._seen is None:
            try:
                with open(self._path, "rb") as file:
                    self._seen = msgspec.json.decode(file.read(), type=dict[str, Durations])
            except (OSError, msgspec.MsgspecError):
                self._seen = {}
        return self._seen

    def _write(self, seen: dict[str, Durations]) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            temporary = f"{self._path}.{os.getpid()}"
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(seen))
            os.replace(temporary, self._path)


def _key(provider: str, environment: str | None) -> str:
    return f"{provider}/{environment or '*'}"
