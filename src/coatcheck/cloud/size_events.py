"""Report how much running attempts have changed, while somebody reads their events.

Guarantees: an attempt is measured every `INTERVAL` seconds at most, and for a tenth of the time at most; a size that
has not changed is no event; nothing is measured while nobody reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from .._model.events import TaskEvent
from .._workspaces.command_process import log_error
from .attempts import Job
from .current_diff import NoDiffError
from .models import CloudStats, count_changes
from .task_events import diff_event, ref_of

# The shortest time between two measurements of an attempt (seconds), and how much of the time they may take.
INTERVAL, SHARE = 2.0, 0.1


class SizeEvents:
    """The thread that measures the attempts that were added."""

    def __init__(
        self,
        diff_of: Callable[[str], str | None],
        add: Callable[[Sequence[TaskEvent]], None],
        *,
        is_read: Callable[[Job], bool],
        interval: float = INTERVAL,
    ) -> None:
        self._diff_of, self._add, self._is_read, self._interval = diff_of, add, is_read, interval
        self._sizes: dict[str, tuple[Job, CloudStats]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sizes", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def close(self) -> None:
        """Measure no more; waits for no measurement."""
        self._closing.set()

    def add(self, job: Job) -> None:
        """Measure the attempt of *job* from now on."""
        with self._lock:
            self._sizes[job.attempt_id] = job, CloudStats()

    def remove(self, job: Job) -> None:
        """Measure an attempt no more; on return no event of its size follows."""
        with self._lock:
            self._sizes.pop(job.attempt_id, None)

    def _run(self) -> None:
        pause = self._interval
        while not self._closing.wait(pause):
            began = time.monotonic()
            for job, size in list(self._sizes.values()):
                self.measure(job, size)
            pause = max(self._interval, (time.monotonic() - began) * (1 / SHARE - 1))

    def measure(self, job: Job, before: CloudStats) -> None:
        """Add an event where an attempt has another size than *before*, and somebody reads its events."""
        if not self._is_read(job):
            return
        try:
            diff = self._diff_of(job.attempt_id)
        except NoDiffError:
            return
        except Exception as error:  # noqa: BLE001 - a preview must not end the thread
            log_error(error, f"measuring attempt {job.attempt_id}")
            return
        size = before if diff is None else count_changes(diff) or CloudStats()
        with self._lock:
            if size != before and job.attempt_id in self._sizes:
                self._sizes[job.attempt_id] = job, size
                now = datetime.now(UTC)
                self._add((diff_event(ref_of(job.task_id), size, at=now, attempt=job.number),))
