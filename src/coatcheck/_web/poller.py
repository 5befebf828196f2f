"""Poll the tasks that have not ended while a page is open, so that what it shows is current.

Guarantees:

- without an open page nothing is polled;
- a task is polled after `FIRST` seconds and then less often, at most every `LONGEST`; a service that cannot be reached
  is left alone for `AFTER_ERROR`, and the page shows why;
- what is polled is recorded in the store, where every page reads it; a task that waits gets its gate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import errors
from .._app.outcomes import load_task
from .._model.states import TaskState
from .._protocol.provider import Verb
from .._store.history import HistoryFilter
from .page_errors import PageNotFoundError
from .unavailable_services import Unavailability

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef
    from .site import Site

LOGGER = logging.getLogger("coatcheck.web")
# Seconds between two polls of a task: a half of its age, within these bounds.
FIRST, LONGEST = 2.0, 30.0
AFTER_ERROR = 30.0
# So many of the last submitted tasks are polled.
TASKS = 20
OPEN_STATES = tuple(state for state in TaskState if not state.is_terminal)


class Poller:
    """Polls the open tasks of a site; *is_watched* is whether a page is open."""

    def __init__(self, site: Site, *, is_watched: Callable[[], bool]) -> None:
        self._site, self._is_watched = site, is_watched
        self._due: dict[TaskRef, float] = {}
        self._polled: dict[TaskRef, float] = {}

    def poll_due(self) -> None:
        """Poll each task that is due."""
        if not self._is_watched() or not self._site.is_recording:
            return
        now = self._site.now
        found = self._site.history.list(HistoryFilter(states=OPEN_STATES), limit=TASKS)
        for entry in found.items:
            ref = entry.task.ref
            if self._due_at(ref) <= now and not self._is_unavailable(ref.provider, now):
                self._poll(ref, entry.task, now)
        known = {entry.task.ref for entry in found.items}
        self._due = {ref: at for ref, at in self._due.items() if ref in known}
        self._polled = {ref: at for ref, at in self._polled.items() if ref in known}

    def _due_at(self, ref: TaskRef) -> float:
        """Return when a task is due: one that was acted on is due at once."""
        due, acted = self._due.get(ref, 0.0), self._site.acted_at.get(ref)
        return due if acted is None or acted <= self._polled.get(ref, 0.0) else 0.0

    def _is_unavailable(self, provider: str, now: float) -> bool:
        reason = self._site.unavailable.get(provider)
        return reason is not None and reason.until > now

    def _poll(self, ref: TaskRef, task: Task, now: float) -> None:
        began = max(task.created_at.timestamp() if task.created_at else 0.0, self._site.acted_at.get(ref, 0.0)) or now
        self._polled[ref] = now
        self._due[ref] = now + min(max(FIRST, (now - began) / 2), LONGEST)
        try:
            poll_task(self._site, ref)
        except errors.CoatcheckError as error:
            LOGGER.info("%s cannot be polled: %s", ref, error)
            if not isinstance(error, PageNotFoundError | errors.TaskError):
                self._site.unavailable.set(ref.provider, Unavailability(str(error), error.remedy, now + AFTER_ERROR))
        else:
            self._site.unavailable.set(ref.provider, None)


def poll_task(site: Site, ref: TaskRef) -> Task | None:
    """Request a task from its service, which records it, and open the gate of what it waits for.

    None where the service does not report single tasks.
    """
    with site.client(ref.provider, refs=[ref]) as client:
        if Verb.GET_TASK not in client.capabilities.verbs:
            return None
        try:
            task = load_task(client, ref)
        except errors.NotFoundError as error:
            raise PageNotFoundError(
                f"{ref} does not exist at its service, or belongs to another login: {error}",
                remedy=f"list its tasks with: coatcheck list --provider {ref.provider}",
            ) from error
    if site.is_recording and task.state.ends_wait:
        site.gates.observe(task)
    return task
