"""GitHub's OpenAPI description, enforced by Prism between our client and our emulator, checks both.

Prism answers 500 where the emulator says something that is not described, and 422 where we do. It follows redirects
itself, token and all, so downloads go past it.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.peers.peer_support import free_ports

from coatcheck import Client, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._runtime.transport import ReqwestTransport
from coatcheck._store.journal import NoJournal
from coatcheck.cloud.faults import ResetAfterAccept
from coatcheck.cloud.http_server import serving
from coatcheck.providers.copilot.capabilities import Service as AgentService
from coatcheck.providers.copilot.provider import CopilotProvider
from coatcheck.providers.github_actions.provider import ActionsProvider
from coatcheck.providers.github_actions.workflow_settings import Service
from coatcheck.testing import GithubEmulator
from coatcheck.testing.emulators.github_agents import AgentLife
from coatcheck.testing.emulators.github_runs import PATCH, failing

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parents[2] / ".venv/peers"
PRISM, DESCRIPTION = PEERS / "node/node_modules/.bin/prism", PEERS / "github.json"
# It reads 250 kB of description, on a machine that does other things as well (seconds).
TIME_LIMIT = 30


class DirectDownloads(ReqwestTransport):
    """A transport that sends downloads directly, without the proxy."""

    around: dict[str, str] = {}  # noqa: RUF012 - one proxy, one emulator

    def send(self, request: Request) -> Response:
        """Send; downloads go to their own host."""
        if request.path.endswith("/zip"):
            for proxy, service in self.around.items():
                request = msgspec.structs.replace(request, url=request.url.replace(proxy, service))
        return super().send(request)


class DescribedGithub:
    """The emulated GitHub and the proxy in front of it."""

    def __init__(self, github: GithubEmulator, url: str) -> None:
        self.github, self.url = github, url

    def client(self, provider: Any) -> Client:
        """Return a client that uses the proxy."""
        environ = {"COATCHECK_LEARN": "off"}
        return Client(
            provider, token=self.github.token, transport=DirectDownloads(), journal=NoJournal(), environ=environ
        )

    def actions(self, **settings: Any) -> Client:
        """Return a client of Actions."""
        settings = {"api_version": "2026-03-10", "repository": "owner/repo", **settings}
        return self.client(ActionsProvider(Service(base_url=self.url, **settings)))

    def copilot(self) -> Client:
        """Return a client of the coding agent."""
        return self.client(CopilotProvider(AgentService(base_url=self.url, repository="owner/repo")))


@pytest.fixture
def between(tmp_path: Path) -> Iterator[DescribedGithub]:
    """Serve a GitHub that accepts only what is described."""
    if not (PRISM.exists() and DESCRIPTION.exists()):
        pytest.fail("Prism is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    github = GithubEmulator(clock=SystemClock())
    with serving(github) as served:
        service, (port,) = served.removesuffix("/backend-api"), free_ports(1)
        github.blobs = service.replace("127.0.0.1", "localhost")
        command = [str(PRISM), "proxy", "--errors", "-h", "127.0.0.1", "-p", str(port), str(DESCRIPTION), service]
        path = f"{PEERS / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environ = {"PATH": path, "HOME": str(tmp_path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ) as prism:
            try:
                wait_for(prism)
                proxy = f"http://127.0.0.1:{port}"
                DirectDownloads.around = {proxy: service}
                yield DescribedGithub(github, proxy)
            finally:
                prism.terminate()
                prism.wait(10)


def wait_for(prism: subprocess.Popen[bytes]) -> None:
    """Wait until it reports that it listens; later output is read and discarded, so that it never blocks."""
    said: list[bytes] = []
    listens = threading.Event()

    def read() -> None:
        for line in prism.stdout or ():
            said.append(line)
            if b"is listening" in line:
                listens.set()

    threading.Thread(target=read, daemon=True).start()
    if not listens.wait(TIME_LIMIT):
        pytest.fail(f"Prism does not start: {b''.join(said).decode()}")


# The types of the events of a run besides those of the states before its end.
EVENT_TYPES = {"task.progress", "task.message", "task.diff", "task.succeeded"}
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", title="Hello")


def test_a_run_lives_as_it_is_described(between: DescribedGithub) -> None:
    """Dispatch, list, watch, download, usage, delete: every request and response is as GitHub describes it."""
    with between.actions() as client:
        environments = client.list_environments()
        task = client.create_task(SPEC)
        listed = list(client.list_tasks())
        types = {event.type for event in client.watch_task(task.ref, interval=0.01)}
        ended = client.get_task(task.ref)
        usage = client.get_usage()
        client.delete_task(task.ref)

    assert ("owner/repo/coatcheck.yml", [task.ref]) == (environments[0].id, [each.ref for each in listed])
    assert (EVENT_TYPES, TaskState.SUCCEEDED, PATCH) == (
        types - {"task.submitted", "task.started"},
        ended.state,
        str(ended.outcome.patch if ended.outcome else ""),
    )
    assert usage.window("core") is not None


def test_a_lost_answer_is_found_as_it_is_described(between: DescribedGithub) -> None:
    """A lost response is found by workflow, branch and a range of time, which the description has wrong."""
    between.github.faults.append(ResetAfterAccept(on="create_task"))
    with between.actions() as client:
        task = client.create_task(SPEC)

    assert (1, 1) == (len(between.github.tasks), len(between.github.seen("create_task"))), task


@pytest.mark.parametrize("force", [False, True])
def test_a_run_is_cancelled_as_it_is_described(between: DescribedGithub, *, force: bool) -> None:
    """A cancellation is 202, and 409 once the run has ended."""
    with between.actions(force_cancel=force) as client:
        ref = client.create_task(SPEC).ref
        client.cancel_task(ref)
        with pytest.raises(errors.ConflictError):
            client.cancel_task(ref)

        assert TaskState.CANCELLED is client.get_task(ref).state


def test_a_failed_run_is_as_it_is_described(between: DescribedGithub) -> None:
    """A failed run has its job, its step and the pull request of its branch."""
    between.github.life = failing()
    between.github.leaves = lambda _: {"result.json": b'{"branch": "coatcheck/x"}'}
    between.github.add_pull(7, branch="coatcheck/x")
    with between.actions() as client:
        task = client.poll_task(client.create_task(SPEC).ref, interval=0.01, timeout=10)

    assert ("failure: agent > Run the agent: failure", [7]) == (
        str(task.error),
        [pull.number for pull in task.pull_requests],
    )


def test_an_unchanged_run_is_free_as_it_is_described(between: DescribedGithub) -> None:
    """A conditional request is answered 304 through the proxy."""
    with between.actions() as client:
        ref = client.create_task(SPEC).ref
        for _ in range(6):
            client.get_task(ref)

    assert between.github.meter.free > 0


def test_the_agents_tasks_are_as_they_are_described(between: DescribedGithub) -> None:
    """The agent's tasks are created, read and listed, archived ones included."""
    between.github.agents.life = AgentLife(usage={"type": "ai_credits", "amount": 5})
    with between.copilot() as client:
        task = client.create_task(TaskSpec(prompt="Say hello", model="gpt-5.4", open_pull_request=False))
        ended = client.poll_task(task.ref, interval=0.01, timeout=10)
        listed = [each.ref for each in client.list_tasks(environment="owner/repo", filter="all")]

    assert (TaskState.SUCCEEDED, [task.ref]) == (ended.state, listed)
