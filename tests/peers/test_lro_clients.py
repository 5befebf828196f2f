"""The long-running-operation clients of Microsoft and Google and ours use one service over HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.providers.generic_http.descriptions import AZURE, GOOGLE, PLAIN, provider

from coatcheck import Client, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import MemoryJournal, serving
from coatcheck.testing.emulators.generic_http import Http202Emulator

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv/peers/python/bin/python"
# A whole life takes the clients a second; importing them on a busy machine, some more.
SECONDS = 60

# What each style answers to: the official client, where it submits, and our description of the same.
STYLES = {
    "azure": ("azure", "/jobs", AZURE),
    "plain": ("azure", "/plain", PLAIN),
    "google": ("google", "/v1/jobs", GOOGLE),
}


@contextmanager
def served(**options: Any) -> Iterator[tuple[Http202Emulator, str]]:
    """Serve over loopback, and yield the base URL."""
    emulator = Http202Emulator(clock=SystemClock(), pause=0, **options)
    with serving(emulator) as url:
        yield emulator, url.removesuffix("/backend-api")


def theirs(client: str, base: str, path: str) -> dict[str, Any]:
    """Run a whole operation with an official client, and return its result."""
    command = [str(PYTHON), str(HERE / "lro_clients.py"), client, base, path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def asked(emulator: Http202Emulator) -> list[tuple[str, str]]:
    """Return the requests for one task, and clear the record."""
    found = [(request.method, request.path.replace("job2", "job1")) for request in emulator.requests]
    emulator.requests.clear()
    return [request for request in found if request[1] != "/v1/projects/demo/operations"]


@pytest.mark.parametrize("style", STYLES)
def test_both_clients_get_the_same_result(style: str) -> None:
    """Equal responses lead both to the same requests and the same result."""
    client, path, toml = STYLES[style]
    with served() as (emulator, base):
        seen = theirs(client, base, path)
        their_requests = asked(emulator)
        described = provider(toml, base_url=base)
        with Client(described, token=emulator.token, journal=MemoryJournal(), environ={}) as ours:
            task = ours.poll_task(ours.create_task("Say hello"), interval=0.01)
        result = seen["result"]["message"]

    assert (TaskState.SUCCEEDED, result) == (task.state, task.outcome.text if task.outcome else None)
    assert their_requests == asked(emulator)


@pytest.mark.parametrize("style", ["azure", "google"])
def test_failures_are_failures_to_both(style: str) -> None:
    """The error that the official client raises is that of our task."""
    client, path, toml = STYLES[style]
    with served(life=("NotStarted", "Failed")) as (emulator, base):
        seen = theirs(client, base, path)
        described = provider(toml, base_url=base)
        with Client(described, token=emulator.token, journal=MemoryJournal(), environ={}) as ours:
            task = ours.poll_task(ours.create_task("Say hello"), interval=0.01)

    assert TaskState.FAILED is task.state
    assert (task.error.message if task.error else "") in seen["raised"]


def test_their_client_finds_our_operation_in_the_list() -> None:
    """The names that Google's client lists are the ids in our refs."""
    client, path, toml = STYLES["google"]
    with served() as (emulator, base):
        seen = theirs(client, base, path)
        with Client(provider(toml, base_url=base), token=emulator.token, environ={}) as ours:
            listed = [task.ref.id.replace("%2F", "/") for task in ours.list_tasks()]

    assert seen["listed"] == listed
