"""Open pages of tasks in a browser, and print their URLs.

Invariants: with ``--json``, and where a browser would not be visible (over SSH, without a desktop), only the URL is
printed; only https URLs and http URLs of this machine are opened (`safe_links.is_safe_url`): a service's answer cannot
start another program.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import errors
from .process_env import can_browse
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
            page = task if isinstance(task, errors.CoatcheckError) else _open(run, task)
        except errors.CoatcheckError as error:
            if len(results) == 1:
                raise
            page = error
        opened.append((ref, page))
    return answer_each(run, opened, dict, lambda page: [page["url"]])


def _open(run: CommandContext, task: Task) -> dict[str, str]:
    """Open the page of *task*. Raises `TaskError` where it has none that may be opened."""
    from .._protocol.safe_links import is_safe_url

    if not task.url:
        raise errors.TaskError(f"{task.ref} has no page", ref=task.ref, remedy=f"run: coatcheck show {task.ref}")
    if not is_safe_url(task.url):
        raise errors.TaskError(
            f"the page of {task.ref} is not opened: {task.url} is neither https nor on this machine", ref=task.ref
        )
    if not run.is_json and can_browse(run.process_env.environ, sys.platform):
        import webbrowser  # it searches for browsers

        if not webbrowser.open(task.url):
            run.note(f"no browser could be started; open {task.url} yourself")
    return {"ref": str(task.ref), "url": task.url}
