"""GitHub's own command line and our client show the same runs of our emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fleet.forge_fixtures import ForgeFixture, delivery
from tests.peers.github_support import on_socket

from coatcheck import Client, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.providers.github_actions.provider import ActionsProvider
from coatcheck.providers.github_actions.workflow_settings import Service
from coatcheck.testing import EmulatorTransport, GithubEmulator, MemoryJournal, serving
from coatcheck.testing.emulators.github_runs import LIFE, PATCH, STEPS, Act

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parents[2] / ".venv/peers/bin"
# No command does more than a dozen requests over a socket (seconds).
TIME_LIMIT = 30


class Hub:
    """The emulated GitHub, ``gh`` with a login, and our client."""

    def __init__(self, folder: Path) -> None:
        gh = shutil.which("gh", path=f"{PEERS}{os.pathsep}{os.environ['PATH']}")
        if gh is None:
            pytest.fail("gh is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
        self.gh_path, self.folder, self.socket = gh, folder, folder / "gh.sock"
        # Plain http, and every request to the socket: gh has an exception for this host.
        self.github = GithubEmulator(clock=SystemClock(), blobs="http://blobs.localhost")
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GH_CONFIG_DIR": str(folder / "config"),
            "GH_TOKEN": self.github.token,
            "GH_HOST": "github.localhost",
            "GH_NO_UPDATE_NOTIFIER": "1",
            "NO_COLOR": "1",
        }
        (folder / "config").mkdir()
        (folder / "config/config.yml").write_text(f"http_unix_socket: {self.socket}\n")

    def gh(self, *arguments: str, code: int = 0, repository: str = "owner/repo") -> str:
        """Run ``gh``; a failure has its output."""
        command = [self.gh_path, *arguments, "-R", f"github.localhost/{repository}"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def dispatch(self, key: str = "t-42") -> str:
        """Dispatch a run with ``gh``, and return its number."""
        self.gh("workflow", "run", "coatcheck.yml", "--ref", "main", "-f", "prompt=Say hello", "-f", f"task_id={key}")
        return str(self.github.run().id)

    def client(self) -> Client:
        """Return our client."""
        provider = ActionsProvider(Service(base_url="http://127.0.0.1:9", api_version="2026-03-10"))
        options = {"journal": MemoryJournal(), "environ": {"COATCHECK_LEARN": "off"}}
        return Client(provider, token=self.github.token, transport=EmulatorTransport(self.github), **options)  # type: ignore[arg-type]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Serve the emulated GitHub on a socket."""
    hub = Hub(tmp_path)
    with on_socket(hub.github, hub.socket):
        yield hub


def test_we_find_what_gh_dispatches(hub: Hub) -> None:
    """A run that ``gh`` dispatches with our key is found by us, and both list it with the same words."""
    id = hub.dispatch()
    fields = "databaseId,displayTitle,status,headBranch,event,workflowName"
    (theirs,) = json.loads(hub.gh("run", "list", "--json", fields))
    with hub.client() as client:
        (ours,) = client.list_tasks(environment="owner/repo")

    assert (f"owner~repo~{id}", "coatcheck", "queued", "main") == (ours.ref.id, ours.title, ours.raw_state, ours.branch)
    assert {
        "databaseId": int(id),
        "displayTitle": "coatcheck [t-42]",
        "status": "queued",
        "headBranch": "main",
        "event": "workflow_dispatch",
        "workflowName": "Agent",
    } == theirs


def test_gh_watches_a_run_to_its_end(hub: Hub) -> None:
    """``gh run watch`` shows the job and every step to the end."""
    id = hub.dispatch()
    last = hub.gh("run", "watch", id, "--interval", "1", "--exit-status").rpartition("Agent · ")[2]

    assert list(STEPS) == [step for step in STEPS if f"✓ {step}" in last], last


def test_gh_downloads_our_patch(hub: Hub) -> None:
    """``gh`` downloads the artifact by a redirect to another host without the token; our patch is its file."""
    id = hub.dispatch()
    with hub.client() as client:
        ours = client.poll_task(f"github_actions:owner~repo~{id}", interval=0.01)
    hub.gh("run", "download", id, "-n", "coatcheck", "-D", str(hub.folder / "result"))
    patch = (hub.folder / "result/patch.diff").read_bytes()

    assert (PATCH.encode(), bytes(ours.outcome.patch)) == (patch, patch)
    assert (hub.folder / "result/message.md").read_text().strip() == ours.outcome.text


def test_gh_shows_the_logs(hub: Hub) -> None:
    """``gh run view --log`` shows job, step and line."""
    id = hub.dispatch()
    hub.github.run().end("success", 0.0)
    hub.github.run().act = LIFE[-1]

    assert "agent\tRun the agent\tRun the agent is done" in hub.gh("run", "view", id, "--log")


def test_gh_shows_the_pull_requests_of_deliveries(hub: Hub) -> None:
    """``gh pr list`` and ``gh pr view`` show each delivery of a fleet once, as its file describes it."""
    with serving(hub.github) as base:
        forge = ForgeFixture(hub.github, base.removesuffix("/backend-api"), hub.folder / "forge")
        target = forge.target(labels=("types",))
        urls = [target(delivery(forge.base, key=key)).url for key in ("core", "http", "core")]
    fields = "url,title,headRefName,baseRefName,isDraft,labels,state"
    listed = json.loads(hub.gh("pr", "list", "--json", fields, repository="acme/api"))
    viewed = json.loads(hub.gh("pr", "view", "coatcheck/typing/core", "--json", fields, repository="acme/api"))

    assert urls[0] == urls[2] == viewed["url"]
    assert [urls[1], urls[0]] == [each["url"] for each in listed]
    assert ("Add types", "coatcheck/typing/core", "main", True, ["types"], "OPEN") == (
        *(viewed[name] for name in ("title", "headRefName", "baseRefName", "isDraft")),
        [each["name"] for each in viewed["labels"]],
        viewed["state"],
    )


def test_gh_cancels_once(hub: Hub) -> None:
    """A second cancellation is refused, and both show the same end."""
    hub.github.life = (Act("queued"), Act("in_progress", steps=1, seconds=1e9))
    id = hub.dispatch()
    hub.gh("run", "cancel", id)
    again = hub.gh("run", "cancel", id, code=1)
    with hub.client() as client:
        ours = client.get_task(f"github_actions:owner~repo~{id}")

    assert "Cannot cancel a workflow run that is completed" in again
    assert TaskState.CANCELLED is ours.state


def test_gh_is_refused_as_we_are(hub: Hub) -> None:
    """Both get 422 with GitHub's message for an undeclared input."""
    said = hub.gh("workflow", "run", "coatcheck.yml", "--ref", "main", "-f", "variant=blue", code=1)

    assert 'Unexpected inputs provided: ["variant"]' in said
