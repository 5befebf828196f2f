"""The clients of a fleet's services."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fleet.fixtures import ENVIRONMENT, FleetFixture, spec_of

from coatcheck import TaskSpec
from coatcheck._fleet.services import ServiceClient


async def poll_at_once(client: ServiceClient, count: int) -> list[list[str]]:
    """Submit *count* tasks, poll each in a round of its own, all at once; return the ids that each round found ended."""
    async with client:
        spec = TaskSpec(prompt="Add types.", environment=ENVIRONMENT.id, branch="main")
        refs = [(await client.submit(spec, id=f"{number}")).ref for number in range(count)]
        rounds = []
        for _ in range(2):  # a task runs at the first poll
            rounds = await asyncio.gather(*(client.sweep([ref]) for ref in refs))
        return [[task.ref.id for task in each.ended] for each in rounds]


def test_two_fleets_poll_one_account_at_once(tmp_path: Path) -> None:
    """Rounds of polling that begin at once, of several fleets of one worker, find each the tasks that they asked for."""
    fleet = FleetFixture(tmp_path, spec_of(1))
    ended = asyncio.run(poll_at_once(fleet.connect("codex", ""), 3))

    assert [[task.id] for task in fleet.cloud.tasks] == ended
