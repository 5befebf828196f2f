"""Google's JavaScript client and the client of the Python index use our Jules emulator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coatcheck import Client, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import JulesEmulator, MemoryJournal, serving
from coatcheck.testing.emulators import jules_scripts as lives
from coatcheck.testing.emulators.jules_scripts import DIFF

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv/peers"
MODULES = PEERS / "node/node_modules"
PYTHON = PEERS / "python/bin/python"

# What a whole life may take, with both programs starting.
SECONDS = 60

PYTHON_CLIENT = """
import json, sys
from jules_agent_sdk import JulesClient

base_url, key = sys.argv[1:]
def tell(**said): print(json.dumps(said), flush=True)

with JulesClient(api_key=key, base_url=base_url) as client:
    tell(sources=[source.name for source in client.sources.list_all()])
    session = client.sessions.create(
        prompt="Say hello", source="sources/github/owner/repo", starting_branch="main", require_plan_approval=True
    )
    while client.sessions.get(session.id).state.value != "AWAITING_PLAN_APPROVAL":
        pass
    client.sessions.approve_plan(session.id)
    done = client.sessions.wait_for_completion(session.id, poll_interval=0, timeout=20)
    tell(id=session.id, state=done.state.value, activities=len(client.activities.list_all(session.id)))
    client.sessions.send_message(session.id, "and the world")
    tell(state=client.sessions.wait_for_completion(session.id, poll_interval=0, timeout=20).state.value)
"""


@contextmanager
def served(**options: Any) -> Iterator[tuple[JulesEmulator, str]]:
    """Serve the Jules emulator over loopback, and yield the base URL."""
    emulator = JulesEmulator(clock=SystemClock(), **options)
    with serving(emulator) as url:
        yield emulator, url.replace("/backend-api", "/v1alpha")


def lines(command: list[str], *, home: Path) -> list[dict[str, Any]]:
    """Return what a program prints, line by line, and fail with its stderr."""
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "JULES_HOME": str(home)}
    path = f"{PEERS / 'bin'}:{environ['PATH']}"
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, cwd=home, env={**environ, "PATH": path}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def google(emulator: JulesEmulator, url: str, *, home: Path) -> list[dict[str, Any]]:
    """Run a whole session with Google's client."""
    return lines(["node", str(HERE / "jules_sdk.mjs"), str(MODULES), url, emulator.token], home=home)


@pytest.mark.parametrize("options", [{}, {"chunked": True}], ids=["plain", "chunked"])
def test_a_session_with_googles_client(tmp_path: Path, options: dict[str, Any]) -> None:
    """Google's client creates, plans, approves, streams and reads the result."""
    with served(**options) as (emulator, url):
        waits, *activities, result = google(emulator, url, home=tmp_path)

    assert "awaitingPlanApproval" == waits["state"]
    assert [
        "progressUpdated",
        "planGenerated",
        "planApproved",
        "progressUpdated",
        "progressUpdated",
        "agentMessaged",
        "progressUpdated",
        "sessionCompleted",
    ] == [activity["type"] for activity in activities]
    assert ["bashOutput", "media", "changeSet"] == activities[4]["artifacts"]
    assert ("completed", "https://github.com/owner/repo/pull/7") == (result["state"], result["pullRequest"])
    assert (["hello.txt"], DIFF) == (result["files"], result["diff"])


def test_both_clients_see_the_same_session(tmp_path: Path) -> None:
    """Our client reads the state, the diff, the pull request and every event of the session that Google's client created."""
    with served() as (emulator, url):
        events_of_google = google(emulator, url, home=tmp_path)
        with Client("jules", base_url=url, token=emulator.token, journal=MemoryJournal(), environ={}) as client:
            task = client.get_task(events_of_google[0]["id"])
            events = list(client.stream_task(task.ref))

    assert (TaskState.SUCCEEDED, DIFF.encode(), events_of_google[-1]["pullRequest"]) == (
        task.state,
        bytes(task.outcome.patch),
        task.outcome.pull_request.url,
    )
    assert len(events_of_google) - 2 == len(events)


def test_googles_client_and_ours_fail_alike(tmp_path: Path) -> None:
    """Both report the failure; only ours has the reason."""
    with served(life=lives.failed) as (emulator, url):
        with Client("jules", base_url=url, token=emulator.token, journal=MemoryJournal(), environ={}) as client:
            task = client.create_task_and_wait("Say hello", repository="owner/repo", interval=0.05)
        script = tmp_path / "failing.mjs"
        entry = (MODULES / "@google/jules-sdk/dist/index.mjs").as_uri()
        script.write_text(
            f'import {{ jules }} from "{entry}";\n'
            f'const client = jules.with({{ baseUrl: "{url}", apiKey: "{emulator.token}" }});\n'
            f'await client.session("{task.ref.id}").result().catch((error) =>'
            " console.log(JSON.stringify({ name: error.name, text: error.message })));\nprocess.exit(0);\n"
        )
        (theirs,) = lines(["node", str(script)], home=tmp_path)

    assert (TaskState.FAILED, True) == (task.state, "The tests need a database." in str(task.error))
    assert ("AutomatedSessionFailedError", False) == (theirs["name"], "database" in theirs["text"])


def test_a_session_with_the_client_of_the_python_index(tmp_path: Path) -> None:
    """The client of the Python index lists sources, creates, approves, waits, lists activities and sends a message."""
    with served(wakes=True) as (emulator, url):
        sources, done, again = lines([str(PYTHON), "-c", PYTHON_CLIENT, url, emulator.token], home=tmp_path)

    assert ["sources/github/owner/repo", "sources/github/owner/empty"] == sources["sources"]
    assert ("COMPLETED", 8, "COMPLETED") == (done["state"], done["activities"], again["state"])
