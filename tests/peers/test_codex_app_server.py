"""Codex's own app-server runs whole turns with a scripted model, and our provider submits, watches and reads them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.clients import VARIANTS
from tests.peers.peer_support import PEERS
from tests.peers.scripted_model import ScriptedModel, settings
from websockets.sync.client import unix_connect

from coatcheck import AsyncClient, Client, RetryPolicy, Task, TaskSpec, TaskState, errors
from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.channel_opener import ChannelOpener
from coatcheck._runtime.network import TransportOptions

pytestmark = pytest.mark.peer

CODEX = PEERS / "codex-newest"
EDIT = """apply_patch <<'X'
*** Begin Patch
*** Update File: a.txt
@@
-one
+two
*** Add File: new.txt
+patched
*** End Patch
X"""


def script(*steps: str, title: str = "Change files") -> str:
    """Return a prompt that makes the model take *steps*."""
    return f"{title}\nSCRIPT\n" + "\n---\n".join(steps)


class Host:
    """A host with a repository in *folder*, which uses the model at an address."""

    def __init__(self, folder: Path, model_url: str) -> None:
        self.folder = folder
        self.home, self.repository, self.socket = folder / "home", folder / "repository", folder / "socket"
        for name in ("home", "repository", "tmp"):
            (folder / name).mkdir()
        git(self.repository, "init", "-q", "-b", "main")
        (self.repository / "a.txt").write_text("one\n")
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-qm", "base")
        (self.home / "config.toml").write_text(settings(model_url))
        # With CODEX_HOME below the temporary folder Codex makes no helpers for its sandbox.
        self.environ = {**os.environ, "CODEX_HOME": str(self.home), "LOOP_KEY": "x", "TMPDIR": str(folder / "tmp")}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def checkouts(self) -> list[Path]:
        """The checkouts of tasks."""
        return [path for path in (self.home / "coatcheck").iterdir() if path.is_dir()]

    def start(self, *options: str, listen: str | None = None) -> None:
        """Start the server and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        command = [str(CODEX), "app-server", "--listen", listen or f"unix://{self.socket}", *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        while listen is None and not self.socket.exists():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()

    def options(self, **values: str) -> dict[str, Any]:
        """Return the options of a client of this host."""
        named = {"base_url": f"unix://{self.socket}", **values}
        environ = {f"COATCHECK_CODEX_APP_SERVER_{name.upper()}": value for name, value in named.items()}
        state = {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        return {
            "provider": "codex_app_server",
            "environ": {**self.environ, **state, "COATCHECK_LEARN": "off", **environ},
        }

    def spec(self, *steps: str, **options: Any) -> TaskSpec:
        """Return a task in the repository of the host."""
        return TaskSpec(prompt=script(*steps), environment=str(self.repository), **options)


class ScriptedHost(Host):
    """A host whose model follows the scripts in the prompts."""

    def __init__(self, folder: Path, model: ScriptedModel) -> None:
        super().__init__(folder, model.url)
        self.model = model


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    """A host that runs. Its folder is on a disk: Codex's sandbox has a /dev of its own, which hides /dev/shm."""
    with ScriptedModel() as model, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        started = ScriptedHost(Path(folder), model)
        started.start()
        try:
            yield started
        finally:
            started.stop()


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def tree(folder: Path) -> Mapping[str, bytes]:
    """Return the files of a work tree."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def applied(host: ScriptedHost, task: Task) -> Mapping[str, bytes]:
    """Return the files of the repository after git has applied the patch of *task*."""
    copy = host.folder / "copy"
    git(host.folder, "clone", "-q", str(host.repository), str(copy))
    patch = host.folder / "change.patch"
    patch.write_bytes(bytes(task.require_patch()))
    git(copy, "apply", "--index", str(patch))
    return tree(copy)


@pytest.mark.parametrize("variant", VARIANTS)
def test_edits_of_every_kind_are_in_the_patch(host: ScriptedHost, variant: str) -> None:
    """What the patch tool, the shell and git changed, binary files included, is what git applies from our patch."""
    steps = (
        EDIT,
        "printf '\\377\\000\\n' >binary; printf 'caf\\351\\n' >latin; mkdir -p sub; echo x >'sub/a b'",
        "git add -A && git -c user.name=a -c user.email=a@b commit -qm mine; echo after >after.txt",
        "say All is changed.",
    )
    options = host.options()
    if variant == "blocking":
        with Client(**options) as client:
            task = client.poll_task(client.create_task(host.spec(*steps)), timeout=240)
    else:

        async def run() -> Task:
            async with AsyncClient(**options) as client:
                return await client.poll_task(await client.create_task(host.spec(*steps)), timeout=240)

        task = asyncio.run(run())
    (checkout,) = host.checkouts

    assert (TaskState.SUCCEEDED, "All is changed.", "Change files") == (task.state, task.outcome.text, task.title)  # type: ignore[union-attr]
    assert b"caf\xe9\n" == tree(checkout)["latin"]
    assert tree(checkout) == applied(host, task)


def test_a_watch_shows_the_work_and_a_message_continues_it(host: ScriptedHost) -> None:
    """Events are shown in their order; a follow-up goes on in the same checkout; deleting removes it."""
    with Client(**host.options()) as client:
        ref = client.create_task(host.spec(EDIT, "echo shell >shell.txt", "say First.")).ref
        events = list(client.watch_task(ref, timeout=240))
        client.send_message(ref, script("rm a.txt", "say Second."))
        task = client.poll_task(ref, timeout=240)
        listed = [(each.ref, each.state) for each in client.list_tasks()]
        client.delete_task(ref)
        with pytest.raises(errors.NotFoundError):
            client.get_task(ref)

    kinds = [event.type for event in events if event.type in ("task.tool", "task.message", "task.succeeded")]

    assert ["task.message", "task.tool", "task.tool", "task.message", "task.succeeded"] == kinds
    assert ("Second.", ["a.txt", "new.txt", "shell.txt"]) == (
        task.outcome.text,  # type: ignore[union-attr]
        sorted(change.path for change in task.require_patch().files),
    )
    assert ([(ref, TaskState.SUCCEEDED)], []) == (listed, host.checkouts)


def test_several_tasks_are_watched_over_one_connection(host: ScriptedHost) -> None:
    """A watch of three threads shows what each does in its order, the parts before and after the connection included."""
    host.model.hold.clear()
    with Client(**host.options()) as client:
        refs = [client.create_task(host.spec("echo WAIT", f"say Task {number}.")).ref for number in range(3)]
        assert host.model.is_held.wait(240)
        shown = []
        for event in client.watch_tasks(refs, timeout=240):
            shown.append(event)
            if sum(each.type == "task.message" for each in shown) == len(refs):
                host.model.hold.set()  # each thread's first message was read from its items

    expected = [["task.started", "task.message", "task.tool", "task.message", "task.succeeded"]] * 3
    kinds = {"task.started", "task.message", "task.tool", "task.succeeded"}

    assert expected == [[event.type for event in shown if event.ref == ref and event.type in kinds] for ref in refs]
    assert [f"Task {number}." for number in range(3)] == [
        [event.text for event in shown if event.ref == ref and event.type == "task.message"][-1] for ref in refs
    ]


def call_raw(host: Host, method: str, **parameters: object) -> Any:
    """Call a method of the host as another program does, and return its result."""
    with unix_connect(str(host.socket), "ws://localhost/", compression=None) as socket:
        about = {"clientInfo": {"name": "person", "version": "1"}, "capabilities": {"experimentalApi": True}}
        for id, (name, given) in enumerate((("initialize", about), (method, parameters))):
            socket.send(json.dumps({"id": id, "method": name, "params": given}))
            while (answer := json.loads(socket.recv())).get("id") != id:
                pass
    return answer["result"]


def test_attempts_are_independent_forks(host: ScriptedHost) -> None:
    """Three attempts know nothing of one another, each has its change, and a person's fork is a task of its own."""
    with Client(**host.options()) as client:
        steps = ('basename "$PWD" >which.txt', "say Done.")
        task = client.poll_task(client.create_task(host.spec(*steps, attempts=3, key="k")), timeout=240)
        sources = [call_raw(host, "thread/read", threadId=each.id)["thread"]["forkedFromId"] for each in task.attempts]
        fork = call_raw(host, "thread/fork", threadId=task.id)["thread"]["id"]
        client.send_message(fork, script("say Of a person."))
        continued = client.poll_task(fork, timeout=240)
        found = client.create_task(host.spec(*steps, attempts=3, key="k"))
        listed = {each.id for each in client.list_tasks()}
        with pytest.raises(errors.ConflictError, match=fork):
            client.delete_task(task.ref)
        client.delete_task(fork)
        client.archive_task(task.ref)
        archived = [each.ref for each in client.list_tasks(filter="archived")]
        client.delete_task(task.ref)

    begun = [len(body["input"]) for body in host.model.requests[:6]]

    assert [(f"k.{number}-of-3\n", "Done.") for number in (1, 2, 3)] == [
        (bytes(each.outcome.patch).decode().rpartition("+")[2], each.outcome.text)  # type: ignore[union-attr,arg-type]
        for each in task.attempts
    ]
    assert [None, task.id, task.id] == sources
    assert ([min(begun)] * 3, [max(begun)] * 3) == (sorted(begun)[:3], sorted(begun)[3:])
    assert (task.ref, {task.id, fork}, "Of a person.") == (found.ref, listed, continued.outcome.text)  # type: ignore[union-attr]
    assert ([task.ref], []) == (archived, host.checkouts)


APPROVE = """
import sys
from coatcheck import Client
with Client("codex_app_server") as client:
    task = client.get_task(sys.argv[1])
    client.decide_permission(task.ref, task.permission_requests[0].id, "accept")
"""


def test_an_approval_comes_from_another_process(host: ScriptedHost) -> None:
    """A command that needs approval waits for it; another process accepts it, and an edit is declined."""
    options = host.options(approval_policy="untrusted")
    with Client(**options) as client:
        ref = client.create_task(host.spec("touch approved.txt", "touch declined.txt", EDIT, "say Ended.")).ref
        first = client.poll_task(ref, timeout=240)
        subprocess.run([sys.executable, "-c", APPROVE, str(ref)], env=options["environ"], check=True)
        declined = client.poll_task(ref, timeout=240)
        client.decide_permission(ref, declined.permission_requests[0].id, "decline")
        second = client.poll_task(ref, timeout=240)
        client.decide_permission(ref, second.permission_requests[0].id, "decline")
        ended = client.poll_task(ref, timeout=240)

    assert [TaskState.INPUT_REQUIRED] * 2 == [first.state, second.state]
    assert ["run /bin/bash -lc 'touch approved.txt'", "change files"] == [
        task.permission_requests[0].title for task in (first, second)
    ]
    assert (TaskState.SUCCEEDED, ["approved.txt"], "a.txt (declined)") == (
        ended.state,
        [change.path for change in ended.require_patch().files],
        ended.notices[0].text.partition(": ")[2].partition(",")[0],
    )


def test_a_killed_host_is_resumed(host: ScriptedHost) -> None:
    """After SIGKILL in the middle of a turn the task is paused, and a message continues it in its checkout."""
    host.model.hold.clear()
    with Client(**host.options(), retry=RetryPolicy(attempts=1)) as client:
        ref = client.create_task(host.spec("echo kept >kept.txt", "echo WAIT", "say Never.")).ref
        assert host.model.is_held.wait(240)
        host.stop(signal.SIGKILL)
        host.model.hold.set()
        with pytest.raises(errors.TransportError):
            client.get_task(ref)
        host.start()
        paused = client.poll_task(ref, timeout=240)
        client.send_message(ref, script("echo more >more.txt", "say Resumed."))
        ended = client.poll_task(ref, timeout=240)

    assert (TaskState.PAUSED, TaskState.SUCCEEDED, "Resumed.") == (paused.state, ended.state, ended.outcome.text)  # type: ignore[union-attr]
    assert ["kept.txt", "more.txt"] == sorted(change.path for change in ended.require_patch().files)


def test_a_turn_is_cancelled(host: ScriptedHost) -> None:
    """Cancelling interrupts the turn; cancelling again is a conflict."""
    host.model.hold.clear()
    with Client(**host.options()) as client:
        ref = client.create_task(host.spec("echo WAIT", "say Never.")).ref
        assert host.model.is_held.wait(240)
        client.cancel_task(ref)
        task = client.poll_task(ref, timeout=240)
        with pytest.raises(errors.ConflictError):
            client.cancel_task(ref)

    assert TaskState.CANCELLED == task.state


def test_twenty_tasks_run_at_once(host: ScriptedHost) -> None:
    """Twenty tasks on one host each have their own change, and no other's."""

    async def run() -> list[Task]:
        async with AsyncClient(**host.options()) as client:

            async def one(number: int) -> Task:
                spec = host.spec(f"echo {number} >file-{number}.txt", f"say Task {number}.")
                return await client.poll_task(await client.create_task(spec), timeout=240)

            return list(await asyncio.gather(*map(one, range(20))))

    tasks = asyncio.run(run())

    assert [(f"Task {number}.", [f"file-{number}.txt"]) for number in range(20)] == [
        (task.outcome.text, [change.path for change in task.require_patch().files])  # type: ignore[union-attr]
        for task in tasks
    ]


class CutBeforeAnswer:
    """Opens real channels, and cuts the first one that has sent a call of *method*, when the answer has come."""

    def __init__(self, options: TransportOptions, method: bytes) -> None:
        self._opener, self._method = ChannelOpener(options), b'"' + method + b'"'
        self.close_channels = self._opener.close_channels
        self.cuts, self._is_sent = 0, False

    def open_channel(self, request: Request) -> Response:
        """Open a channel that may be cut."""
        response = self._opener.open_channel(request)
        channel, send, receive = response.stream, response.stream.send, response.stream.receive

        def sending(message: bytes) -> None:
            self._is_sent |= self._method in message and not self.cuts
            send(message)

        def cutting(timeout: float) -> bytes | None:
            message: bytes | None = receive(timeout)
            if self._is_sent and message is not None and b'"result"' in message:
                self.cuts, self._is_sent = 1, False
                channel.close()
                raise errors.TransportError("the connection was cut")
            return message

        channel.send, channel.receive = sending, cutting
        return response

    def close(self) -> None:
        """Close nothing more."""


@pytest.mark.parametrize("method", [b"turn/start", b"thread/start"])
def test_a_lost_answer_makes_no_second_turn(host: ScriptedHost, method: bytes) -> None:
    """A turn whose answer was lost is found and runs once; what is lost before it leaves no task."""
    options = host.options()
    cutting = CutBeforeAnswer(TransportOptions(environ=options["environ"]), method)
    made: list[Any] = []
    with Client(**options, transport=cutting) as client:  # type: ignore[arg-type]
        try:
            made.append(
                client.poll_task(client.create_task(host.spec("echo once >>once.txt", "say Once.")), timeout=240)
            )
        except errors.TransportError:
            assert method == b"thread/start"
        listed = list(client.list_tasks())

    expected = [["once.txt"]] if method == b"turn/start" else []

    assert (expected, len(expected), 1) == (
        [[change.path for change in task.require_patch().files] for task in made],
        len(listed),
        cutting.cuts,
    )
    assert len(expected) * 2 == len(host.model.requests)


def test_a_program_serves_attended_work(host: ScriptedHost) -> None:
    """Without a host, a program that the client starts and ends does the work."""
    host.stop()
    options = host.options(base_url="stdio:", command=f"{CODEX} app-server")
    with Client(**options) as client:
        task = client.poll_task(client.create_task(host.spec(EDIT, "say By a program.")), timeout=20, interval=0.2)

    assert ("By a program.", ["a.txt", "new.txt"]) == (
        task.outcome.text,  # type: ignore[union-attr]
        [change.path for change in task.require_patch().files],
    )


def test_a_repository_is_cloned_once_and_fetched(host: ScriptedHost) -> None:
    """A repository that is named is cloned to the host; the next task starts from what was pushed since."""
    options = host.options(clone_url=f"file://{host.folder}/{{repository}}")
    with Client(**options) as client:
        spec = TaskSpec(prompt=script("cat a.txt", "say Read."), repository="owner/repo", branch="main")
        (host.folder / "owner").mkdir()
        (host.folder / "owner/repo").symlink_to(host.repository)
        first = client.poll_task(client.create_task(spec), timeout=240)
        (host.repository / "a.txt").write_text("pushed\n")
        git(host.repository, "commit", "-qam", "pushed")
        second = client.poll_task(client.create_task(spec), timeout=240)

    checkouts = host.home / "coatcheck"
    contents = {path.read_text() for path in checkouts.glob("*/a.txt")}

    assert ({"one\n", "pushed\n"}, True) == (contents, (checkouts / "repositories/owner/repo.git").is_dir())
    assert [TaskState.SUCCEEDED] * 2 == [first.state, second.state]
