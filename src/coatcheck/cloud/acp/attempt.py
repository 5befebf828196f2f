"""Run the ACP agent of an attempt: what `command_agent` is for commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..._workspaces.workspace import Workspace
from ..attempts import AgentEnding, Job, Listener
from .agent import AcpProcess
from .permissions import Permissions
from .session import PromptOptions, PromptTurn
from .updates import SessionUpdates


def run_acp(
    command: tuple[str, ...],
    job: Job,
    workspace: Workspace,
    environ: Mapping[str, str],
    listener: Listener,
    *,
    permissions: Permissions,
    now: Callable[[], float] = time.time,
) -> AgentEnding:
    """Prompt the agent in a clone until its turn ends. Raises `OSError` and `ValueError` where it cannot be started."""
    updates = SessionUpdates(job, workspace.work, lambda event: listener.on_event(job, event), now=now)
    options = PromptOptions(
        job=job,
        folder=workspace.work,
        permissions=permissions,
        request=lambda request, resolve: listener.on_permission(job, request, resolve),
        withdraw=listener.on_withdrawn,
        note=updates.note,
    )
    process = AcpProcess(PromptTurn(options, updates), updates, lambda name, line: listener.on_line(job, name, line))
    return process.run(command, cwd=workspace.work, environ=environ, scope=workspace.scope, cgroup=workspace.cgroup)
