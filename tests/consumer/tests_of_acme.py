"""Tests of a project that uses the test kit, checked by mypy and pyright, both strict."""

from __future__ import annotations

import asyncio

from coatcheck import AsyncClient, Client, Task
from coatcheck.testing import (
    AsyncEmulatorTransport,
    AttemptScript,
    CloudResult,
    EmulatorTransport,
    FakeClock,
    MemoryJournal,
    ScriptedCloud,
    faults,
    serving,
)


def make_cloud() -> ScriptedCloud:
    """Return a cloud whose first status request fails."""
    script = AttemptScript(result=CloudResult(messages=("Done.",), title="Say hello"))
    return ScriptedCloud(attempts=[script], faults=[faults.Status(503, on="get_task")])


def submit(cloud: ScriptedCloud) -> Task:
    """Return a finished task of *cloud*."""
    transport, clock = EmulatorTransport(cloud), FakeClock()
    options = Client(
        "codex",
        token=cloud.tokens.access_token,
        transport=transport,
        clock=clock,
        journal=MemoryJournal(),
        environ={"COATCHECK_LEARN": "off"},
    )
    with options as client:
        return client.create_task_and_wait("Say hello", repository="owner/repo")


async def submit_async(cloud: ScriptedCloud) -> Task:
    """Return a finished task of *cloud*, with the asyncio client."""
    async with AsyncClient(
        "codex",
        token=cloud.tokens.access_token,
        transport=AsyncEmulatorTransport(cloud),
        clock=FakeClock(),
        journal=MemoryJournal(),
        environ={"COATCHECK_LEARN": "off"},
    ) as client:
        return await client.create_task_and_wait("Say hello", repository="owner/repo")


def over_a_socket() -> Task:
    """Return a finished task of a cloud behind a socket."""
    cloud = make_cloud()
    with serving(cloud) as url, Client("codex", base_url=url, token=cloud.tokens.access_token) as client:
        return client.create_task_and_wait("Say hello", repository="owner/repo", timeout=60)


if __name__ == "__main__":
    print(submit(make_cloud()).state, asyncio.run(submit_async(make_cloud())).state)
