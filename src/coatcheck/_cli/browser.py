"""Open pages of tasks in a browser.

Invariant: only https URLs and http URLs of this machine are opened (`hyperlinks.is_safe_url`): a service's answer cannot
start another program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import errors
from .several_tasks import Result, answer_each

if TYPE_CHECKING:
    from .._model.tasks import Task
    from .context import CommandContext
    from .exit_codes import ExitCode


def open_pages(run: CommandContext, results: Sequence[Result[Task]]) -> ExitCode:
    """Open the page of each task and print its URL; return the exit code of the first error."""
    opened: list[Result[dict[str, str]]] = []
    for ref, task in results:
        try:
            page = task if isinstance(task, errors.CoatcheckError) else _open(task)
        except errors.CoatcheckError as error:
            if len(results) == 1:
                raise
            page = error
        opened.append((ref, page))
    return answer_each(run, opened, dict, lambda page: [page["url"]])


def _open(task: Task) -> dict[str, str]:
    """Open the page of *task*. Raises `TaskError` where it has none that may be opened."""
    import webbrowser

    from .hyperlinks import is_safe_url

    if not task.url:
        raise errors.TaskError(f"{task.ref} has no page", ref=task.ref, remedy=f"run: coatcheck show {task.ref}")
    if not is_safe_url(task.url):
        raise errors.TaskError(
            f"the page of {task.ref} is not opened: {task.url} is neither https nor on this machine", ref=task.ref
        )
    if not webbrowser.open(task.url):
        raise errors.TaskError(f"no browser was found for {task.ref}", ref=task.ref, remedy=f"open {task.url}")
    return {"ref": str(task.ref), "url": task.url}
