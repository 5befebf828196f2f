"""Report how attempts ended to a store that may refuse it.

Invariants:
- a result that is refused for a reason that may pass (a full disk, a locked file) is offered again, after pauses;
- a result that is refused all the same is replaced by a failure with the reason, so every attempt ends;
- a failure that is refused as well is shown at once, and offered again until it is kept.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import msgspec

from .._workspaces.command_process import log_error
from .attempts import Conclusion, Job, Listener, failed
from .models import COMPLETED

# The pauses between offers of a result, and how often a failure is offered again, in seconds.
PAUSES, RETRY_INTERVAL = (0.2, 1.0, 3.0), 5.0


class ConclusionReports:
    """The conclusions of a runner; *closing* ends its pauses. Thread-safe."""

    def __init__(self, listener: Listener, closing: threading.Event, *, pauses: Sequence[float] = PAUSES) -> None:
        self._listener, self._closing, self._pauses = listener, closing, pauses
        self._unsaved: dict[str, tuple[Job, Conclusion]] = {}

    @property
    def has_unsaved(self) -> bool:
        """Whether a failure waits to be kept."""
        return bool(self._unsaved)

    def report(self, job: Job, conclusion: Conclusion) -> None:
        """Report the end of an attempt. Raises nothing."""
        error = self._offer(job, conclusion)
        for pause in self._pauses:
            if not isinstance(error, (OSError, sqlite3.Error)) or self._closing.wait(pause):
                break
            error = self._offer(job, conclusion)
        if error is not None:
            log_error(error, f"the result of attempt {job.attempt_id} cannot be kept")
            self._report_failure(job, _without_result(conclusion, error))

    def _report_failure(self, job: Job, failure: Conclusion) -> None:
        if self._offer(job, failure) is not None:
            self._unsaved[job.attempt_id] = (job, failure)
            self._listener.on_unsaved(job, failure)

    def retry(self) -> None:
        """Offer every failure again that was not kept."""
        for id, (job, failure) in list(self._unsaved.items()):
            if self._offer(job, failure) is None:
                self._unsaved.pop(id, None)

    def _offer(self, job: Job, conclusion: Conclusion) -> Exception | None:
        """Return why a conclusion is not kept, None for one that is."""
        try:
            self._listener.on_end(job, conclusion)
        except Exception as error:  # noqa: BLE001 - a full disk, a result that is no JSON
            return error
        return None


def _without_result(conclusion: Conclusion, error: Exception) -> Conclusion:
    """Return the failure that replaces a result; an attempt that failed or was cancelled keeps its reason."""
    if conclusion.state == COMPLETED:
        return failed("result_not_kept", _reason(error))
    return msgspec.structs.replace(conclusion, result=None)


def _reason(error: Exception) -> str:
    text = f"the result cannot be kept: {type(error).__name__}: {error}"
    if isinstance(error, (OSError, sqlite3.Error)):
        text += "; free space in the server's data folder, then submit the task again"
    return text.encode("utf-8", "replace").decode()
