"""A session with a `FakeAgent` in a thread of the test: what the server receives, and how the turn ended."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from coatcheck import PermissionRequest, TaskEvent
from coatcheck.cloud.acp.agent import connect_lines
from coatcheck.cloud.acp.permissions import Permissions
from coatcheck.cloud.acp.session import PromptOptions, PromptTurn
from coatcheck.cloud.acp.updates import SessionUpdates
from coatcheck.cloud.attempts import Job
from coatcheck.cloud.models import AgentSession, CloudFailure

from .fake_agent import FakeAgent


class Turn(NamedTuple):
    """What came of a turn. `lines` are lines of the agent that were no messages."""

    failure: CloudFailure | None
    events: list[TaskEvent]
    updates: SessionUpdates
    requests: list[PermissionRequest]
    lines: list[str]
    session: AgentSession | None

    @property
    def shown(self) -> list[str]:
        """The events as their types and texts."""
        return [f"{event.type.removeprefix('task.')} {event.text}".rstrip() for event in self.events]


def job_of(prompt: str, **members: Any) -> Job:
    """Return an attempt to be prompted."""
    names = {"task_id": "task_1", "attempt_id": "a1", "environment_id": "e", "source": "", "branch": "main"}
    return Job(**{**names, "number": 1, "total": 1, "prompt": prompt, "workspace": "a1", **members})


def prompt(
    *lines: str,
    folder: Path,
    flags: tuple[str, ...] = (),
    permissions: Permissions = "edits",
    decide: Callable[[PermissionRequest], str | None] = lambda _: None,
    cancel_at: str | None = None,
    **job: Any,
) -> Turn:
    """Prompt an agent with *lines*; *decide* is the person who decides, and the turn is cancelled at an event."""
    agent_in, to_agent = os.pipe()
    from_agent, agent_out = os.pipe()
    agent = FakeAgent(os.fdopen(agent_in), os.fdopen(agent_out, "w"), str(folder), flags)

    def run_agent() -> None:
        with agent.input, agent.output, suppress(SystemExit, BrokenPipeError):
            agent.run()

    thread = threading.Thread(target=run_agent)
    thread.start()
    try:
        script = Script(job_of("\n".join(lines), **job), folder, permissions, decide, cancel_at)
        return asyncio.run(_prompt(script, from_agent, to_agent))
    finally:
        thread.join()


class Script(NamedTuple):
    """A turn as a test describes it."""

    job: Job
    folder: Path
    permissions: Permissions
    decide: Callable[[PermissionRequest], str | None]
    cancel_at: str | None


async def _prompt(script: Script, from_agent: int, to_agent: int) -> Turn:
    job, folder, permissions, decide, cancel_at = script
    events, requests, lines = list[TaskEvent](), list[PermissionRequest](), list[str]()
    loop = asyncio.get_running_loop()

    def emit(event: TaskEvent) -> None:
        events.append(event)
        if cancel_at is not None and event.text == cancel_at:
            asyncio.run_coroutine_threadsafe(turn.cancel(), loop)

    def request(asked: PermissionRequest, resolve: Callable[[str | None], None]) -> str:
        requests.append(asked)
        if cancel_at == asked.title:
            asyncio.run_coroutine_threadsafe(turn.cancel(), loop)
        else:
            resolve(decide(asked))
        return "r1"

    updates = SessionUpdates(job, folder, emit, now=lambda: 0.0)
    options = PromptOptions(
        job=job,
        folder=folder,
        permissions=permissions,
        request=request,
        withdraw=lambda _: None,
        note=updates.note,
    )
    turn = PromptTurn(options, updates)
    with os.fdopen(from_agent, "rb") as output, os.fdopen(to_agent, "wb") as input:
        failure = await turn.run(await connect_lines(output, input, lines.append))
    return Turn(failure, events, updates, requests, lines, turn.session)
