"""The agent-server of OpenHands runs whole tasks with a scripted model, and our provider submits, watches and reads them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.clients import VARIANTS
from tests.peers.peer_support import OURS, PEERS, wait_for
from tests.peers.scripted_model import ScriptedChat
from tests.peers.test_codex_app_server import Host, git, host, script, tree

from coatcheck import AsyncClient, Client, RetryPolicy, Task, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.network import TransportOptions
from coatcheck._runtime.transport import AsyncReqwestTransport, ReqwestTransport

__all__ = ["host"]

PROGRAM = PEERS.parent / "openhands/bin/agent-server"
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PROGRAM.exists(), reason="the agent-server needs Python 3.12, which setup.sh did not find"),
]
KEY = "peer-key"
# A limit that only a hang reaches (seconds).
LIMIT = 240.0


class PatientTransport(ReqwestTransport):
    """Waits as long as a busy machine takes: the server imports its tools when they are first used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(TransportOptions(environ=environ, timeout=LIMIT))


class AgentServer:
    """A server with a repository and a model, in a folder of its own."""

    def __init__(self, folder: Path, model: ScriptedChat) -> None:
        self.model, self.folder, self.home = model, folder, folder / "openhands-home"
        self.repository = folder / "repository"
        for path in (self.home, self.repository):
            path.mkdir()
        git(self.repository, "init", "-q", "-b", "main")
        (self.repository / "a.txt").write_text("one\n")
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-qm", "base")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        unused = {"OH_ENABLE_BROWSER": "false", "OH_ENABLE_VSCODE": "false"}
        # The server's tools run in tmux where it is installed; its servers outlive one that was killed.
        self.environ = {
            **os.environ,
            "HOME": str(self.home),
            "SESSION_API_KEY": KEY,
            "TMUX_TMPDIR": str(folder),
            **unused,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def checkouts(self) -> list[Path]:
        """The checkouts of tasks."""
        return [path for path in (self.home / ".openhands/coatcheck").iterdir() if path.is_dir()]

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [str(PROGRAM), "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=log, stderr=log)
        wait_for(self.port, self.folder / "log")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()

    def end_terminals(self) -> None:
        """End what a killed server has left."""
        for path in self.folder.glob("tmux-*/*"):
            subprocess.run(["tmux", "-S", str(path), "kill-server"], check=False, capture_output=True)

    def store_model(self) -> None:
        """Store the scripted model on the server, as the one of its default agent."""
        llm = {"model": "openai/fake", "api_key": "k", "base_url": self.model.url, "usage_id": "agent"}
        headers = {"content-type": "application/json", "x-session-api-key": KEY}
        body = json.dumps({"llm": llm}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api/profiles/default", body, headers)):
            pass

    def options(self, **values: str) -> dict[str, Any]:
        """Return the options of a client of this server."""
        named = {"base_url": self.url, **values}
        environ = {f"COATCHECK_OPENHANDS_{name.upper()}": value for name, value in named.items()}
        state = {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        given = {"PATH": os.environ["PATH"], "OH_SESSION_API_KEYS_0": KEY, "COATCHECK_LEARN": "off"}
        environ = {**given, **state, **environ}
        return {"provider": "openhands", "environ": environ, "transport": PatientTransport(environ)}

    def spec(self, *steps: str, **options: Any) -> TaskSpec:
        """Return a task in the repository of the server."""
        return TaskSpec(prompt=script(*steps), environment=str(self.repository), **options)


@pytest.fixture(scope="module")
def running() -> Iterator[AgentServer]:
    """A server that runs; it takes seconds to start."""
    with ScriptedChat() as model, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        started = AgentServer(Path(folder), model)
        started.start()
        started.store_model()
        try:
            yield started
        finally:
            started.stop()
            started.end_terminals()


@pytest.fixture
def server(running: AgentServer) -> AgentServer:
    """The server, with a model that holds nothing."""
    running.model.hold.set()
    running.model.is_held.clear()
    running.model.requests.clear()
    return running


def applied(server: AgentServer, task: Task, folder: Path) -> dict[str, bytes]:
    """Return the files of the repository after git has applied the patch of *task*."""
    git(folder, "clone", "-q", str(server.repository), "copy")
    (folder / "change.patch").write_bytes(bytes(task.require_patch()))
    git(folder / "copy", "apply", "--index", str(folder / "change.patch"))
    return dict(tree(folder / "copy"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_edits_of_every_kind_are_in_the_patch(server: AgentServer, variant: str, tmp_path: Path) -> None:
    """What the shell and git changed, binary files included, is what git applies from our patch."""
    spec = server.spec(
        "echo two >>a.txt; printf '\\377\\000\\n' >binary; printf 'caf\\351\\n' >latin; mkdir -p sub; echo x >'sub/a b'",
        "git add -A && git -c user.name=a -c user.email=a@b commit -qm mine; echo after >after.txt",
        "say All is changed.",
        title="Change files",
    )
    options = server.options()
    if variant == "blocking":
        with Client(**options) as client:
            task = client.poll_task(client.create_task(spec), timeout=LIMIT)
    else:

        async def run() -> Task:
            transport = AsyncReqwestTransport(TransportOptions(environ=options["environ"], timeout=LIMIT))
            async with AsyncClient(**{**options, "transport": transport}) as client:
                return await client.poll_task(await client.create_task(spec), timeout=LIMIT)

        task = asyncio.run(run())
    checkout = next(path for path in server.checkouts if path.name == task.id)

    assert (TaskState.SUCCEEDED, "All is changed.", "Change files") == (task.state, task.outcome.text, task.title)  # type: ignore[union-attr]
    assert b"caf\xe9\n" == tree(checkout)["latin"]
    assert tree(checkout) == applied(server, task, tmp_path)


def test_a_watch_shows_the_work_and_a_message_continues_it(server: AgentServer) -> None:
    """Events come in their order, and again after any of them; a message continues; deleting removes the checkout."""
    with Client(**server.options()) as client:
        ref = client.create_task(server.spec("echo shell >shell.txt", "ls", "say First.")).ref
        events = list(client.stream_task(ref, timeout=LIMIT))
        rest = list(client.stream_task(ref, after=events[2].id))
        client.send_message(ref, script("rm a.txt", "say Second."))
        task = client.poll_task(ref, timeout=LIMIT)
        listed = {each.ref: each.state for each in client.list_tasks()}
        client.delete_task(ref)
        with pytest.raises(errors.NotFoundError):
            client.get_task(ref)
    kinds = [event.type for event in events if event.type in ("task.tool", "task.message", "task.succeeded")]

    assert ["task.message", *["task.tool"] * 4, "task.message", "task.succeeded"] == kinds
    assert (events[3:], "Second.", ["a.txt", "shell.txt"]) == (
        rest,
        task.outcome.text,  # type: ignore[union-attr]
        sorted(change.path for change in task.require_patch().files),
    )
    assert (TaskState.SUCCEEDED, []) == (listed[ref], [path for path in server.checkouts if path.name == ref.id])


APPROVE = """
import sys
from coatcheck import Client
with Client("openhands") as client:
    task = client.get_task(sys.argv[1])
    client.decide_permission(task.ref, task.permission_requests[0].id, "accept")
"""


def test_an_approval_comes_from_another_process(server: AgentServer) -> None:
    """An action waits for a decision; another process allows one, another is rejected, and a message decides nothing."""
    options = server.options(confirmation="always")
    with Client(**options) as client:
        ref = client.create_task(server.spec("touch approved.txt", "touch rejected.txt", "say Ended.")).ref
        first = client.poll_task(ref, timeout=LIMIT)
        with pytest.raises(errors.ConflictError):
            client.send_message(ref, "go on")
        subprocess.run([sys.executable, "-c", APPROVE, str(ref)], env=options["environ"], check=True)
        second = client.poll_task(ref, timeout=LIMIT)
        for _ in range(2):
            client.decide_permission(ref, second.permission_requests[0].id, "reject")
        ended = client.poll_task(ref, timeout=LIMIT)

    assert ["run touch approved.txt", "run touch rejected.txt"] == [
        task.permission_requests[0].title for task in (first, second)
    ]
    assert (TaskState.SUCCEEDED, ["approved.txt"]) == (
        ended.state,
        [change.path for change in ended.require_patch().files],
    )


def test_a_task_that_waits_is_cancelled(server: AgentServer) -> None:
    """A task that waits for a decision is cancelled without the action; a message continues it."""
    with Client(**server.options(confirmation="always")) as client:
        ref = client.create_task(server.spec("touch never.txt", "say Ended.")).ref
        client.poll_task(ref, timeout=LIMIT)
        client.cancel_task(ref)
        cancelled = client.poll_task(ref, timeout=LIMIT)
        client.send_message(ref, script("say Continued."))
        ended = client.poll_task(ref, timeout=LIMIT)

    assert (TaskState.CANCELLED, None, "Continued.") == (
        cancelled.state,
        cancelled.outcome and cancelled.outcome.patch,
        ended.outcome and ended.outcome.text,
    )


def test_a_running_task_is_cancelled(server: AgentServer) -> None:
    """Cancelling interrupts a request of the model and a tool; cancelling again is a conflict."""
    server.model.hold.clear()
    with Client(**server.options()) as client:
        refs = [client.create_task(server.spec(step, "say Never.")).ref for step in ("echo WAIT", "sleep 200")]
        assert server.model.is_held.wait(LIMIT)
        next(event for event in client.watch_task(refs[1], timeout=LIMIT) if event.text == "sleep 200")
        for ref in refs:
            client.cancel_task(ref)
        states = [client.poll_task(ref, timeout=LIMIT).state for ref in refs]
        with pytest.raises(errors.ConflictError):
            client.cancel_task(refs[0])

    assert [TaskState.CANCELLED] * 2 == states


class CutAfterAnswer(PatientTransport):
    """Sends requests, and loses the first answer to a request of *path*."""

    def __init__(self, environ: Mapping[str, str], path: str) -> None:
        super().__init__(environ)
        self._path, self.cuts = path, 0

    def send(self, request: Request) -> Response:
        """Return the answer, if it is not lost."""
        response = super().send(request)
        if request.method == "POST" and request.path == self._path and not self.cuts:
            self.cuts = 1
            raise errors.TransportError("the connection was cut")
        return response


@pytest.mark.parametrize("path", ["/api/conversations", "/api/bash/execute_bash_command"])
def test_a_lost_answer_makes_no_second_conversation(server: AgentServer, path: str) -> None:
    """A create and a checkout whose answers were lost are repeated, and the agent works once."""
    options = server.options()
    cutting = CutAfterAnswer(options["environ"], path)
    with Client(**{**options, "transport": cutting}) as client:
        before = len(list(client.list_tasks()))
        created = client.create_task(server.spec("echo once >>once.txt", "say Once."))
        task = client.poll_task(created, timeout=LIMIT)
        after = len(list(client.list_tasks()))

    assert (1, before + 1, "+once") == (cutting.cuts, after, bytes(task.require_patch()).decode().split("\n")[-2])
    assert 2 == len(server.model.requests)


def test_a_killed_server_is_continued(server: AgentServer) -> None:
    """After SIGKILL while a tool runs the task has failed with the reason, and a message continues it in its checkout."""
    with Client(**server.options(), retry=RetryPolicy(attempts=1)) as client:
        ref = client.create_task(server.spec("echo kept >kept.txt", "sleep 200", "say Never.")).ref
        next(event for event in client.watch_task(ref, timeout=LIMIT) if event.text == "sleep 200")
        server.stop(signal.SIGKILL)
        with pytest.raises(errors.TransportError):
            client.get_task(ref)
        server.start()
        failed = client.poll_task(ref, timeout=LIMIT)
        client.send_message(ref, script("echo more >more.txt", "say Resumed."))
        ended = client.poll_task(ref, timeout=LIMIT)

    assert (TaskState.FAILED, True) == (failed.state, "restart" in str(failed.error))
    assert (TaskState.SUCCEEDED, ["kept.txt", "more.txt"]) == (
        ended.state,
        sorted(change.path for change in ended.require_patch().files),
    )


def test_the_better_patch_of_two_real_programs_is_applied(server: AgentServer, host: Host, tmp_path: Path) -> None:
    """Codex and OpenHands work on one task; the result that passes the check is applied to the checkout."""
    git(tmp_path, "clone", "-q", str(host.repository), "work")
    step = f"case $HOME in {server.home}) echo right;; *) echo wrong;; esac >answer.txt"
    services = ("--on", "codex_app_server", "--on", "openhands", "--environment", str(host.repository))
    checks = ("--check", "grep -q right answer.txt", "--sandbox", "none", "--interval", "0.2", "--apply-best", "--json")
    environ = {**server.options()["environ"], **host.options()["environ"], "HOME": str(tmp_path)}
    ran = subprocess.run(
        [str(OURS), "run", *services, *checks, script(step, "say Written.")],
        cwd=tmp_path / "work", env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    review = json.loads(ran.stdout)

    assert ("openhands:", 2, "right\n") == (
        review["choice"][:10],
        len(review["cards"]),
        (tmp_path / "work/answer.txt").read_text(),
    )
