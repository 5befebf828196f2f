"""Tasks that commands read from the history instead of their services.

Invariants:

- a result that comes from the history is marked: by a line on stderr (`recording.py`), and by ``recorded_at`` with
  ``--json``;
- with ``--refresh`` and ``--base-url`` tasks are read from the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import errors

if TYPE_CHECKING:
    from .._app.task_history import StoredTask, TaskReader
    from .._model.tasks import TaskRef
    from .context import CommandContext
    from .several_tasks import Result

T = TypeVar("T")
refresh_option = click.option(
    "--refresh", is_flag=True, help="Read from the service also tasks that have ended and are in the history."
)


@contextmanager
def reading(
    run: CommandContext, ref: TaskRef, *, is_refreshed: bool, needs_attempts: bool = False
) -> Iterator[TaskReader]:
    """Return what reads the task *ref*: the history where it is current there, else a client.

    *needs_attempts* is for callers that list the attempts of a task that has only one as well.
    """
    stored = None if is_refreshed else _find(run, ref)
    if stored is not None and (stored.entry.task.attempts or not needs_attempts):
        run.read_from_history[ref] = stored.entry.recorded_at
        yield stored
        return
    with run.client(ref.provider) as client:
        yield client


def read_each(
    run: CommandContext, refs: Sequence[TaskRef], read: Callable[[TaskReader, TaskRef], T], *, is_refreshed: bool
) -> list[Result[T]]:
    """Return what *read* returns for each task, or its error, in the order of *refs*. The error of one task is raised."""
    from .several_tasks import for_each

    found = {} if is_refreshed else {ref: stored for ref in refs if (stored := _find(run, ref)) is not None}
    run.read_from_history.update({ref: stored.entry.recorded_at for ref, stored in found.items()})
    results: dict[TaskRef, T | errors.CoatcheckError] = {}
    for ref, stored in found.items():
        try:
            results[ref] = read(stored, ref)
        except errors.CoatcheckError as error:
            if len(refs) == 1:
                raise
            results[ref] = error
    others = [ref for ref in refs if ref not in found]
    results |= for_each(run, others, read, is_raised=len(refs) == 1)
    return [(ref, results[ref]) for ref in refs]


def with_origin(run: CommandContext, ref: TaskRef, document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* with ``recorded_at``: when the task was recorded, None where it was read from its service."""
    from .json_output import jsonable

    return {**document, "recorded_at": jsonable(run.read_from_history.get(ref))}


def _find(run: CommandContext, ref: TaskRef) -> StoredTask | None:
    return run.history.find(ref) if run.base_url is None else None
