"""How long tasks took on this machine: one small JSON file in the user's state folder.

It holds counts and moments per provider and environment, no task and no prompt. ``COATCHECK_LEARN=off`` keeps it from
being written or read.

Invariants:
- Any number of threads may call at once; ends that are recorded while another thread writes are written together.
- A file that cannot be read counts as empty; one that cannot be written raises `OSError`, which the caller reports.
- Losing the file costs a few requests, so processes do not lock it and nothing is fsynced: the last writer wins.
"""

from __future__ import annotations

import os
from collections import deque
from threading import Lock

import msgspec

from .._files.private import make_private_folder, replace_file
from .._files.reading import read_regular_file
from .._model.duration_estimate import Durations
from .._protocol.duration_store import ObservedDurations
from .._values.decoders import decoder

# Environments that are remembered at most; the oldest go first.
MEMORY = 200


class DurationFile:
    """The durations in *directory*."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "durations.json")
        self._seen: dict[str, Durations] | None = None  # replaced as a whole, never changed: readers take no lock
        self._pending: deque[tuple[str, ObservedDurations]] = deque()
        self._lock = Lock()

    def recall(self, provider: str, environment: str | None) -> Durations:
        """Return what was seen of this environment, or of the whole provider where nothing was."""
        seen = self._seen
        if seen is None:
            seen = self._seen = self._read()
        return seen.get(_key(provider, environment)) or seen.get(_key(provider, None)) or Durations()

    def record(self, provider: str, ends: ObservedDurations) -> None:
        """Keep how long tasks took, for their environments and for the provider. Raises `OSError`."""
        self._pending.append((provider, ends))
        with self._lock:
            pending = [self._pending.popleft() for _ in range(len(self._pending))]
            if pending:  # else the thread that held the lock has written ours
                seen = self._read()  # other processes write too
                for name, known in pending:
                    _add(seen, name, known)
                self._seen = dict(list(seen.items())[-MEMORY:])
                self._write(self._seen)

    def _read(self) -> dict[str, Durations]:
        try:
            return decoder(dict[str, Durations]).decode(read_regular_file(self._path))
        except (OSError, msgspec.MsgspecError):
            return {}

    def _write(self, seen: dict[str, Durations]) -> None:
        make_private_folder(os.path.dirname(self._path))
        replace_file(self._path, msgspec.json.encode(seen), is_durable=False)


def _add(seen: dict[str, Durations], provider: str, ends: ObservedDurations) -> None:
    for environment, seconds in ends:
        for key in {_key(provider, environment), _key(provider, None)}:
            seen[key] = seen.pop(key, Durations()).with_another(seconds)


def _key(provider: str, environment: str | None) -> str:
    return f"{provider}/{environment or '*'}"
