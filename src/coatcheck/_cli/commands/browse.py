"""`open` opens the web page of a task."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ... import errors
from ..context import CommandContext, command, ref_argument
from ..process_env import can_browse

if TYPE_CHECKING:
    from ..._model.tasks import Task


@command(
    "open",
    examples="""
coatcheck open codex:task_e_6a0
coatcheck open --json codex:task_e_6a0
""",
)
@ref_argument
def open_command(run: CommandContext, *, task: str) -> None:
    """Open a task's web page in the browser, and print its URL.

    Where there is no browser, for example over SSH, and with --json, only the URL is printed.
    """
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        open_page(run, client.get_task(ref))


def open_page(run: CommandContext, task: Task) -> None:
    """Print the URL of a task's page and open it. Raises `TaskError` where the service has no page for it."""
    url = task.url
    if not url:
        remedy = f"print the result with: coatcheck show {task.ref}"
        raise errors.TaskError(f"the service gives no web page for {task.ref}", ref=task.ref, remedy=remedy)
    run.answer(lambda: {"ref": str(task.ref), "url": url}, lambda: [url])
    if not run.is_json and can_browse(run.process_env.environ, sys.platform):
        import webbrowser  # importing it searches for browsers

        if not webbrowser.open(url):
            run.note(f"no browser could be started; open {url} yourself")
