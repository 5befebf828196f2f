"""Checks of candidates that run while the reader does something else: one run for each comparison, in a thread.

Guarantees:

- a run that is started while another one of the same comparison is running starts nothing;
- a run is kept until it has ended; of those that have ended the last `KEPT` are;
- `stop` ends the commands of every run, and waits for the threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .. import errors
from .._workspaces.cancellation import CancelScope, Stopped

if TYPE_CHECKING:
    from .._review.ranking import Ranking
    from .._review.verification_results import CheckProgress

    Review: TypeAlias = Callable[[Callable[[CheckProgress], None], CancelScope], Ranking]

# So many runs that have ended are kept; the results of checks are in the store as well.
KEPT = 50


class CheckJob:
    """One run: what is running now, and at the end the ranking, or why there is none."""

    def __init__(self, commands: Sequence[str], key: object) -> None:
        self.commands, self.key = commands, key
        self.scope = CancelScope()
        self.ranking: Ranking | None = None
        self.error: errors.CoatcheckError | None = None
        self.ended = 0
        self._running: dict[tuple[str | None, str], None] = {}
        self._lock = threading.Lock()
        self.thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.thread is not None and self.ranking is None and self.error is None

    @property
    def running(self) -> Sequence[tuple[str | None, str]]:
        """The checks that are running: the candidate, None for the base, and the check."""
        with self._lock:
            return tuple(self._running)

    def on_progress(self, progress: CheckProgress) -> None:
        """Record that a check has begun or ended; the threads of several checks call this."""
        check = (progress.candidate, progress.check)
        with self._lock:
            if progress.state == "running":
                self._running[check] = None
            else:
                self._running.pop(check, None)
                self.ended += 1

    def run(self, review: Review) -> None:
        """Run the checks."""
        try:
            self.ranking = review(self.on_progress, self.scope)
        except Stopped:
            self.error = errors.ConfigurationError("the checks were stopped", remedy="run them again")
        except errors.CoatcheckError as error:
            self.error = error
        except Exception as error:
            self.error = errors.ConfigurationError(f"the checks ended with an error: {type(error).__name__}")
            raise


class CheckJobs:
    """The runs of one server, by comparison."""

    def __init__(self) -> None:
        self._jobs: dict[str, CheckJob] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> CheckJob | None:
        """Return the last run of a comparison."""
        with self._lock:
            return self._jobs.get(path)

    def newest_first(self) -> Sequence[CheckJob]:
        """Return the runs that are kept, the last begun first."""
        with self._lock:
            return tuple(reversed(self._jobs.values()))

    def start(self, path: str, job: CheckJob, review: Review) -> bool:
        """Start a run; False where one is running."""
        with self._lock:
            previous = self._jobs.pop(path, None)
            if previous is not None and previous.is_running:
                self._jobs[path] = previous
                return False
            ended = [each for each, kept in self._jobs.items() if not kept.is_running]
            for each in ended[: max(0, len(ended) - KEPT + 1)]:
                del self._jobs[each]
            self._jobs[path] = job
            job.thread = threading.Thread(target=job.run, args=(review,), name=f"checks of {path}", daemon=True)
            job.thread.start()
        return True

    def stop(self) -> None:
        """End every run."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.scope.cancel()
        for job in jobs:
            if job.thread is not None:
                job.thread.join()
