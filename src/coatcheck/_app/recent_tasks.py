"""The tasks of this machine: what ``@last`` and prefixes of ids name, and what a shell completes.

``@last`` and ``@N`` are tasks that were submitted from here (the journal of submissions); prefixes and completion also
find those that were only seen (the history).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .._store.history import HistoryEntry
    from .._store.journal import Submission
    from .workspace import Workspace

# More tasks than this are not searched for a prefix, and not completed.
LIMIT = 1000
# Shorter texts are not prefixes: nearly every id begins with them.
MIN_PREFIX = 4
# So many tasks are named where a prefix is ambiguous.
MAX_CANDIDATES = 4


def recent_tasks(
    workspace: Workspace, *, limit: int = LIMIT, provider: str | None = None, prefix: str = ""
) -> Sequence[Submission]:
    """Return the tasks that were submitted from here, the newest first; creates no store. Raises `StoreError`."""
    import os

    from .._runtime.config import state_dir
    from .._store.journal import SubmissionJournal
    from .task_history import location_of

    folder, location = state_dir(workspace.environ), location_of(workspace.config)
    if "://" not in location and not os.path.isdir(location):
        return ()
    journal = SubmissionJournal.at(location, old_folder=folder)
    try:
        return journal.latest(limit, provider=provider, prefix=prefix)
    finally:
        journal.close()


def known_tasks(
    workspace: Workspace, *, limit: int = LIMIT, provider: str | None = None, prefix: str = ""
) -> Sequence[Submission]:
    """Return the tasks that were submitted or seen from here, those submitted first. Raises `StoreError`."""
    submitted = recent_tasks(workspace, limit=limit, provider=provider, prefix=prefix)
    known = {each.ref for each in submitted}
    seen = [each for each in _seen_tasks(workspace, limit, provider, prefix) if each.ref not in known]
    return [*submitted, *seen][:limit]


def _seen_tasks(workspace: Workspace, limit: int, provider: str | None, prefix: str) -> Sequence[Submission]:
    from .._store.history import History, HistoryFilter
    from .task_history import has_store, location_of

    if not has_store(workspace.config):
        return ()
    history = History(location_of(workspace.config))
    try:
        if not prefix:
            page = history.list(HistoryFilter(provider=provider), limit=limit)
            return [_as_submission(each.task.ref, each) for each in page.items]
        refs = history.find_refs(prefix, provider=provider, limit=limit)
        return [
            _as_submission(ref, history.get(ref) if place < MAX_CANDIDATES else None) for place, ref in enumerate(refs)
        ]
    finally:
        history.close()


def _as_submission(ref: TaskRef, entry: HistoryEntry | None) -> Submission:
    from .._store.journal import Submission

    if entry is None:
        return Submission(ref, "", 0.0, None, None)
    return Submission(ref, entry.task.title or "", entry.recorded_at.timestamp(), entry.task.environment, None)


def find_recent(text: str, workspace: Workspace, *, provider: str | None = None) -> TaskRef:
    """Return the task that ``@last`` or ``@N`` names: the N-th latest, of *provider* where one is given.

    Raises `ConfigurationError`.
    """
    number = 1 if text == "@last" else int(text[1:]) if text[1:].isascii() and text[1:].isdecimal() else 0
    if not 1 <= number <= LIMIT:
        raise errors.ConfigurationError(
            f"{text!r} names no task", remedy="pass @last, or @2 for the task submitted before it"
        )
    known = recent_tasks(workspace, limit=number, provider=provider)
    if len(known) < number:
        where = f" to {provider}" if provider else ""
        count = f"only {len(known)} tasks were" if known else "no task was"
        raise errors.ConfigurationError(
            f"{text} names no task: {count} submitted{where} from this machine",
            remedy="coatcheck list shows the tasks of the service",
        )
    return known[number - 1].ref


def find_by_prefix(ref: TaskRef, workspace: Workspace, *, is_named: bool) -> TaskRef:
    """Return the task whose id begins with the id of *ref*; *ref* itself where it is whole, or where no id begins so.

    Without *is_named* the provider of *ref* was not given, and tasks of every provider are searched.
    Raises `AmbiguousRefError` where several do.
    """
    if len(ref.id) < MIN_PREFIX:
        return ref
    try:
        known = known_tasks(workspace, provider=ref.provider if is_named else None, prefix=ref.id)
    except (errors.ConfigurationError, errors.StoreError):  # without a journal every id is whole
        return ref
    if not known or any(each.ref == ref for each in known):
        return ref
    if len(known) > 1:
        raise _ambiguous(ref.id, known)
    return known[0].ref


def _ambiguous(prefix: str, known: Sequence[Submission]) -> errors.AmbiguousRefError:
    shown = [f"{each.ref} ({' '.join(each.summary.split())[:40]})" for each in known[:MAX_CANDIDATES]]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return errors.AmbiguousRefError(
        f"{prefix!r} is the beginning of {len(known)} tasks: {', '.join(shown)}{more}",
        candidates=[each.ref for each in known],
        remedy="pass more of the id",
    )
