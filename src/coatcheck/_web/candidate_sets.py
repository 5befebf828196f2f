"""The candidates that a page compares: the attempts of a task, those of every task of a review, or those of a fleet's item.

Guarantees:

- a task is read from the store; one that may have changed since it ended is read from its service, and from the store
  where that cannot be used;
- what was read is kept for the next requests of the same page: each file of a diff is a request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .. import errors
from .._app.outcomes import load_task
from .._app.task_history import StoredTask
from .._fleet.report_building import name_of
from .._patches.parse import Patch
from .._review.candidate_sources import task_candidates
from .._review.candidates import Candidate
from .._store.reviews import SubmissionState
from .page_errors import PageNotFoundError
from .rendering import item_url, task_url

if TYPE_CHECKING:
    from .._model.fleets import FleetCandidate, FleetItem, FleetRecord
    from .._model.tasks import Task, TaskRef
    from .._store.history import HistoryEntry
    from .._store.reviews import StoredReview
    from .site import Site

T = TypeVar("T")
# So many tasks, with their diffs, are kept.
KEPT = 4
# Why a submission of a review has no candidate.
NO_TASK = {
    SubmissionState.PLANNED: "it is not submitted yet",
    SubmissionState.OPEN: "it is not known whether it was submitted; find out with: coatcheck review {}",
}


class Shown(NamedTuple):
    """A candidate on a page: its number from 1, its task, and whether the page is about that task alone."""

    number: int
    candidate: Candidate
    task: Task | None
    is_of_one_task: bool = False

    @property
    def label(self) -> str:
        """The name on the page: the attempt, where the page is about one task, else the name of the candidate."""
        if self.is_of_one_task and self.candidate.attempt:
            return f"attempt {self.candidate.attempt}"
        return self.candidate.name

    @property
    def task_url(self) -> str | None:
        """The page of its task."""
        return task_url(self.task.ref) if self.task else None

    @property
    def apply_url(self) -> str | None:
        """The page that shows what applying it would do."""
        if self.task is None or self.candidate.patch is None:
            return None
        return task_url(self.task.ref, "apply") + (
            f"?attempt={self.candidate.attempt}" if self.candidate.attempt else ""
        )


class CandidateSet(NamedTuple):
    """The candidates of one page, whose address is *path*. `key` differs where a candidate does."""

    path: str
    title: str
    key: Hashable
    shown: tuple[Shown, ...]
    root: str | None
    review: StoredReview | None = None
    item_url: str | None = None

    @property
    def subject(self) -> str:
        """What an action about them is recorded for: the review, or the task."""
        if self.review is not None:
            return f"review:{self.review.name}"
        return next((str(each.task.ref) for each in self.shown if each.task), self.path)

    def at(self, number: int) -> Shown:
        """Return candidate *number*. Raises `ConfigurationError` where there is none."""
        if not 1 <= number <= len(self.shown):
            raise errors.ConfigurationError(
                f"there is no candidate {number}", remedy=f"the candidates are 1 to {len(self.shown)}"
            )
        return self.shown[number - 1]


class Cache:
    """The last values by their keys; thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of *key*, made where it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]  # type: ignore[return-value]  # a key has one kind of value
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value


class CandidateSets:
    """Reads candidates for the pages of *site*."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tasks = Cache(KEPT)

    def of_task(self, ref: TaskRef) -> CandidateSet:
        """Return the attempts of a task. Raises `NotFoundError` and other errors of its service."""
        key, task, candidates = self._candidates(ref)
        shown = tuple(Shown(number, each, task, is_of_one_task=True) for number, each in enumerate(candidates, 1))
        title = task.title or task.prompt or str(ref)
        return CandidateSet(task_url(ref, "compare"), title, key, shown, self._site.checkout)

    def of_review(self, name: str) -> CandidateSet:
        """Return the candidates of a review. Raises `NotFoundError` for a name that no review has."""
        from urllib.parse import quote

        review = self._site.reviews.get(name)
        if review is None:
            raise PageNotFoundError(f"there is no review {name}", remedy="list them with: coatcheck review --list")
        shown: list[Shown] = []
        keys: list[Hashable] = [name]
        for submission in review.submissions:
            if submission.ref is None:
                reason = submission.error or NO_TASK.get(submission.state, "there is no task").format(name)
                candidate = Candidate(name=f"{submission.provider} {submission.number}", error=reason)
                shown.append(Shown(len(shown) + 1, candidate, None))
                continue
            try:
                key, task, candidates = self._candidates(submission.ref)
            except errors.CoatcheckError as error:
                shown.append(Shown(len(shown) + 1, Candidate(name=str(submission.ref), error=str(error)), None))
                continue
            keys.append(key)
            shown += [Shown(len(shown) + at, each, task) for at, each in enumerate(candidates, 1)]
        path = f"/reviews/{quote(name, safe='')}"
        root = self._site.checkout or review.root
        return CandidateSet(path, review.title or name, tuple(keys), tuple(shown), root, review)

    def of_item(self, fleet: FleetRecord, item: FleetItem) -> CandidateSet:
        """Return the candidates of an item of a fleet, with the diffs that the fleet has stored."""
        stored = self._site.fleets.store.candidates(fleet.id, item=item.id)
        shown = tuple(
            Shown(number, self._fleet_candidate(each), self._known_task(each)) for number, each in enumerate(stored, 1)
        )
        key = (f"{fleet.name}/{item.key}", *((each.id, each.patch) for each in stored))
        title = item.title or item.key
        url = item_url(fleet.name, item.id)
        return CandidateSet(f"{url}/compare", title, key, shown, self._site.checkout, item_url=url)

    def _fleet_candidate(self, candidate: FleetCandidate) -> Candidate:
        patch = Patch.parse(self._site.fleets.submissions.patch(candidate.patch)) if candidate.patch else None
        return Candidate(
            name=name_of(candidate),
            ref=candidate.ref,
            patch=patch,
            base=candidate.base_commit,
            ended_at=candidate.ended_at,
            error=None if patch else candidate.error or f"it is {candidate.state.value.replace('_', ' ')}",
        )

    def _known_task(self, candidate: FleetCandidate) -> Task | None:
        entry = self._site.history.get(candidate.ref) if candidate.ref else None
        return entry.task if entry else None

    def _candidates(self, ref: TaskRef) -> tuple[Hashable, Task, tuple[Candidate, ...]]:
        entry = self._site.history.get(ref)
        if entry is not None and (entry.is_current or not entry.task.state.is_terminal):
            return self._stored(entry)
        try:
            with self._site.client(ref.provider, refs=[ref]) as client:
                task, candidates = _read(load_task(client, ref))
        except errors.CoatcheckError:
            if entry is None:
                raise
            return self._stored(entry)
        return (str(ref), *(each.patch for each in candidates)), task, candidates

    def _stored(self, entry: HistoryEntry) -> tuple[Hashable, Task, tuple[Candidate, ...]]:
        ref, key = entry.task.ref, (str(entry.task.ref), entry.recorded_at)
        task, candidates = self._tasks.get(key, lambda: _read(load_task(StoredTask(entry), ref)))
        return key, task, candidates


def _read(task: Task) -> tuple[Task, tuple[Candidate, ...]]:
    return task, task_candidates(task)
