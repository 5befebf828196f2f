"""`demo --web`: a task with several attempts, shown on a page until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._app.outcomes import load_task
from .._app.wait import WaitOptions, wait_for_task
from .._runtime.system_clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from .._web.site import Site
    from .context import CommandContext


def show_demo_page(
    run: CommandContext, folder: Path, prompt: str, *, label: str, attempts: int, wait: WaitOptions
) -> None:
    """Submit *prompt* to the local cloud of *run*, wait for its attempts, and serve a page of them."""
    from .._web.rendering import require_extra

    require_extra()
    from .._web.site import Site
    from .commands.web import serve

    site = Site(run.workspace, clock=SystemClock(), checkout=str(folder))
    try:
        ref = _submit(site, prompt, label=label, attempts=attempts, wait=wait)
        run.note(f"{attempts} attempts were made for {ref}; compare them, and apply one to {folder}.")
        serve(run, site, path=f"/tasks/{ref}")
    finally:
        site.close()
    run.note(f"The project is in {folder}; the cloud was stopped.")


def _submit(site: Site, prompt: str, *, label: str, attempts: int, wait: WaitOptions) -> str:
    """Submit a task, wait for its end, and record its attempts."""
    with site.client() as client:
        task = client.create_task(prompt, environment=label, attempts=attempts)
        wait_for_task(client, task.ref, wait)
        load_task(client, task.ref)
    return str(task.ref)
