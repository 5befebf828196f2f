"""Cursor's official SDK uses our emulator, beside our provider."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.peers.peer_support import TIME_LIMIT, bare_environ

from coatcheck import Client, TaskSpec, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept
from coatcheck.providers.cursor.endpoints import Service
from coatcheck.providers.cursor.provider import CursorProvider
from coatcheck.testing import MemoryJournal, serving
from coatcheck.testing.emulators.cursor import CursorEmulator

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv/peers/cursor/bin/python"
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", title="Greeting", open_pull_request=True)


@contextmanager
def served(*faults: Fault) -> Iterator[CursorEmulator]:
    """Serve the emulator over loopback."""
    emulator = CursorEmulator(clock=SystemClock(), files={"notes.md": b"done\n"}, faults=faults)
    with serving(emulator) as url:
        emulator.base_url = url.removesuffix("/backend-api")
        yield emulator


def theirs(emulator: CursorEmulator, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a part of `cursor_client.py`, and return its result."""
    environ = bare_environ(folder) | {"CURSOR_BACKEND_URL": emulator.base_url, "CURSOR_API_KEY": emulator.token}
    command = [str(PYTHON), str(HERE / "cursor_client.py"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIME_LIMIT, check=False, env=environ)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def ours(emulator: CursorEmulator) -> Client:
    """Return our client."""
    provider = CursorProvider(Service(emulator.base_url, emulator.base_url))
    return Client(provider, token=emulator.token, journal=MemoryJournal(), environ={"COATCHECK_LEARN": "off"})


def test_the_sdk_runs_an_agent(tmp_path: Path) -> None:
    """The SDK creates, streams and reads an agent with its files and usage; we read the same."""
    with served() as emulator:
        seen = theirs(emulator, tmp_path, "whole")
        with ours(emulator) as client:
            task = client.poll_task(f"cursor:{seen['id']}")
            listed = [each.id for each in client.list_tasks()]
            models = [model.id for model in client.list_models()]
            repositories = [environment.id for environment in client.list_environments()]
    outcome = task.outcome
    assert outcome is not None
    assert outcome.pull_request is not None

    assert ["thinking", "tool_call", "assistant"] == [kind for kind in dict.fromkeys(seen["kinds"]) if kind != "status"]
    assert ("finished", "finished", TaskState.SUCCEEDED) == (seen["status"], seen["again"], task.state)
    assert (seen["text"], seen["branch"], seen["pull"]) == (
        outcome.text,
        outcome.pull_request.branch,
        outcome.pull_request.url,
    )
    assert (seen["files"], seen["file"]) == ([file.path for file in outcome.files], outcome.files[0].content)
    assert f"{seen['tokens']:,} tokens" in task.notices[0].text
    assert (seen["listed"], seen["models"], seen["repositories"]) == (listed, models, repositories)


def test_the_sdk_acts_on_agents(tmp_path: Path) -> None:
    """The SDK archives and deletes, and reads the errors of the emulator by their codes."""
    with served() as emulator:
        seen = theirs(emulator, tmp_path, "acts")

    assert ("[agent_archived]" in seen["refused"], "[agent_not_found]" in seen["deleted"]) == (True, True)


def test_the_sdk_reads_what_we_submitted(tmp_path: Path) -> None:
    """The SDK reads an agent that we created, and waits for its run."""
    with served() as emulator, ours(emulator) as client:
        ref = client.create_task(SPEC).ref
        seen = theirs(emulator, tmp_path, "look", ref.id)

    assert {"id": ref.id, "name": "Greeting", "repos": ["https://github.com/owner/repo"], "run": "finished"} == seen


@pytest.mark.parametrize("fault", [Reset, ResetAfterAccept], ids=["before", "after"])
def test_creates_on_connections_that_are_cut(fault: type[Fault], tmp_path: Path) -> None:
    """On a connection that is cut before or after the create, the SDK raises; we return the one task."""
    with served(fault(on="create_task")) as emulator:
        seen = theirs(emulator, tmp_path, "cut")
        of_sdk = len(emulator.tasks), len(emulator.seen("create_task"))
    with served(fault(on="create_task")) as emulator, ours(emulator) as client:
        ref = client.create_task(SPEC).ref
        of_us = emulator.tasks, len(emulator.seen("create_task"))

    assert ((ref.id,), 2) == of_us
    assert (True, (0 if fault is Reset else 1, 1)) == (seen["error"] != "nothing", of_sdk)
