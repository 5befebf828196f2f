"""Whether a change still merges: into the present base branch, after the changes that were delivered before it.

Invariants:

- what was delivered and is not merged yet counts as if it were merged, in the order of delivery;
- a change to files that the base branch has changed since is rebased onto the present commit, by 3-way;
- the clones in which this is tried are private, are used by one thread at a time, and are deleted by `close`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from .. import errors
from .._patches.parse import Patch
from .merge_trial import MergeConflictError, MergeTrial, changed_paths, diff_of
from .repositories import Repositories

# How many repositories have a clone at a time.
OPEN_CLONES = 8


class DeliveredChange(NamedTuple):
    """A change that was delivered, by its key; `read` returns its patch."""

    key: str
    base: str | None
    read: Callable[[], Patch]


class _Tried(NamedTuple):
    """The last change that was tried: its commit on its base, and the result of merging it after *before*."""

    base: str
    patch: bytes
    commit: str
    before: str
    result: str


class Fitted(NamedTuple):
    """A change that merges: the commit to start its branch at, and its patch against that."""

    base: str
    patch: Patch


class MergeQueue:
    """The changes of each repository that were delivered; methods block."""

    def __init__(self, repositories: Repositories) -> None:
        self.repositories = repositories
        self._queues: dict[tuple[str, str | None], _RepositoryQueue] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Delete the clones."""
        while self._queues:
            self._queues.popitem()[1].close()

    def fit(
        self, name: str, branch: str | None, patch: Patch, base: str | None, earlier: Sequence[DeliveredChange]
    ) -> Fitted:
        """Return the change as it merges after *earlier* ones. Raises `MergeConflictError` where it does not."""
        tip = self.repositories.resolve(name, branch)
        base = base or tip
        with self._lock:
            self.repositories.mirror(name, base)
            queue = self._queue(name, branch, tip, [each.key for each in earlier])
            queue.add(earlier)
            commit = queue.require(patch, base)
            return queue.rebased(base, commit) or Fitted(base, patch)

    def _queue(self, name: str, branch: str | None, tip: str, keys: Sequence[str]) -> _RepositoryQueue:
        known = self._queues.pop((name, branch), None)
        if known is not None and not known.continues(tip, keys):
            known.close()
            known = None
        while len(self._queues) >= OPEN_CLONES:
            self._queues.pop(next(iter(self._queues))).close()
        queue = known or _RepositoryQueue(self.repositories, name, tip)
        self._queues[name, branch] = queue
        return queue


class _RepositoryQueue:
    """The changes of one repository in a clone whose base branch is at *tip*."""

    def __init__(self, repositories: Repositories, name: str, tip: str) -> None:
        self._stack, self._tip = ExitStack(), tip
        self._clone: Path = self._stack.enter_context(repositories.clone(name, tip))
        self._trial = MergeTrial(self._clone, tip)
        self._keys: list[str] = []
        self._tried: _Tried | None = None

    def close(self) -> None:
        self._stack.close()

    def continues(self, tip: str, keys: Sequence[str]) -> bool:
        """Whether what it has merged is the beginning of *keys*."""
        return tip == self._tip and self._keys == [*keys[: len(self._keys)]]

    def add(self, changes: Sequence[DeliveredChange]) -> None:
        """Merge what was delivered since; what is in the base branch already, or does not fit any more, changes nothing."""
        for change in changes[len(self._keys) :]:
            base = change.base or self._tip
            with suppress(errors.PatchError):
                self._add(change.read(), base)
            self._keys.append(change.key)

    def _add(self, patch: Patch, base: str) -> None:
        """Merge a change; the one that was tried last, which is the next one as a rule, is merged already."""
        tried = self._tried
        if tried is not None and (tried.base, tried.patch, tried.before) == (base, bytes(patch), self._trial.result):
            self._trial.result = tried.result
        else:
            self._trial.merge(base, self._trial.commit(patch, base))

    def require(self, patch: Patch, base: str) -> str:
        """Return a commit of the change on its base. Raises `MergeConflictError` where it does not merge."""
        commit, before = self._trial.commit(patch, base), self._trial.result
        try:
            result = MergeTrial(self._clone, before).merge(base, commit)
        except MergeConflictError as error:
            error.tip = self._tip
            raise
        self._tried = _Tried(base, bytes(patch), commit, before, result)
        return commit

    def rebased(self, base: str, commit: str) -> Fitted | None:
        """Return the change on the present base branch, where that has changed the same files since *base*."""
        if base == self._tip or not self._paths(base, self._tip) & self._paths(base, commit):
            return None
        with suppress(errors.PatchError):
            result = MergeTrial(self._clone, self._tip).merge(base, commit)
            if diff := diff_of(self._clone, self._tip, result):
                return Fitted(self._tip, Patch.parse(diff))
        return None

    def _paths(self, before: str, after: str) -> set[bytes]:
        return changed_paths(self._clone, before, after)
