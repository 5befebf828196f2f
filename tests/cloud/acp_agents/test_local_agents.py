"""An ACP agent in a process of its own, behind a local cloud: what clients, terminals and follow-ups see of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO, TextIO
from urllib.request import urlopen

import pytest
from tests.web.test_live import OpenPage
from tests.web.web_support import TOKEN, Browser

import coatcheck
from coatcheck import Task, TaskRef, TaskState, errors
from coatcheck._app.gates import Gates
from coatcheck._app.workspace import Workspace
from coatcheck._cli.app import run
from coatcheck._cli.console import Console
from coatcheck._cli.process_env import ProcessEnv
from coatcheck._runtime.config import Config
from coatcheck._runtime.server_record import ServerRecord, record_path
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._web.app import WebApp
from coatcheck._web.site import Site
from coatcheck.cloud.demo.site import make_site
from coatcheck.cloud.launcher import ServeOptions, environment, running

AGENT = (sys.executable, "-S", str(Path(__file__).with_name("fake_agent.py")), "load")


class Machine:
    """A machine on which a local cloud runs, as one of its users sees it."""

    def __init__(self, environ: dict[str, str], folder: Path, record: ServerRecord) -> None:
        self.environ, self.folder, self.record = environ, folder, record

    def client(self) -> coatcheck.Client:
        """Return a client of the server."""
        return coatcheck.Client("local", environ=self.environ)

    def submit(self, *lines: str) -> TaskRef:
        """Submit a prompt, and return its task."""
        with self.client() as client:
            return client.create_task(coatcheck.TaskSpec(prompt="\n".join(lines), environment="owner/repo")).ref

    @staticmethod
    def end_of(client: coatcheck.Client, task: TaskRef) -> Task:
        """Return a task that has ended, whatever it waits for meanwhile."""
        for _ in client.watch_task(task, timeout=240):
            pass
        return client.get_task(task)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command in another terminal; return its exit code and what it printed."""
        out = io.BytesIO()
        return self.run_into(out, *arguments), out.getvalue().decode()

    def run_into(self, out: BinaryIO, *arguments: str) -> int:
        """Run a command that prints to *out*; return its exit code."""
        console = Console(out, out, environ=self.environ, is_terminal=False, is_interactive=False)
        environment = ProcessEnv(environ=self.environ, folder=str(self.folder), stdin=io.BytesIO(), console=console)
        return int(run(arguments, environment))

    @contextmanager
    def page(self) -> Iterator[Browser]:
        """Serve the page of `coatcheck web`, and return a browser that has opened it."""
        workspace = Workspace(
            str(self.folder), config=Config(environ=self.environ), environ=self.environ, provider="local"
        )
        site = Site(workspace, clock=SystemClock(), checkout=None)
        app = WebApp(site, token=TOKEN)
        with closing(site), app.running():
            yield Browser(app)


@contextmanager
def machine(root: Path, **options: object) -> Iterator[Machine]:
    """Run a server whose agent does what prompts say."""
    home = {"HOME": str(root / "home"), "XDG_STATE_HOME": str(root / "state"), "XDG_CONFIG_HOME": str(root / "config")}
    environ = {**os.environ, **home}
    make_site(root / "site", environ=os.environ)

    def gates() -> Gates:
        return Gates(Config(environ=environ), clock=SystemClock())

    chosen = ServeOptions(
        environments=(environment("owner/repo", root / "site", environ=os.environ),),
        command=AGENT,
        data=root / "data",
        record=Path(record_path(environ)),
        environ=environ,
        **{"permissions": "edits", "gates": gates, **options},  # type: ignore[arg-type] # of these options
    )
    with running(chosen) as record:
        yield Machine(environ, root, record)


def seen_live(browser: Browser, task: TaskRef, words: str) -> bool:
    """Return whether the page of a task shows *words* once one of the events that it is sent while it is open does."""

    async def read() -> bool:
        async with OpenPage(SimpleNamespace(app=browser.app, browser=browser), after=0) as page:
            count, shown = 0, ""
            while words not in shown:
                count = len(await page.until(count + 1))
                shown = (await asyncio.to_thread(browser.get, f"/tasks/{task}/timeline")).words
        return True

    return asyncio.run(read())


def lines_until(output: TextIO, words: str) -> list[str]:
    """Return the lines of a command up to the one with *words*."""
    lines = []
    for line in output:
        lines.append(line.rstrip())
        if words in line:
            break
    return lines


def page_of(task: Task) -> str:
    """Return the page of a task; outside Linux it needs the approval key, which other tests give."""
    if sys.platform != "linux":
        return "Waits for a permission"
    with urlopen(task.url or "") as page:
        return str(page.read().decode())


def test_a_permission_is_decided_from_another_terminal(tmp_path: Path) -> None:
    """A wait ends where the task needs input; the gate is listed, approved, and the edit after it is in the diff."""
    with machine(tmp_path) as local:
        task = local.submit("edit one.txt", "ask execute make", "edit two.txt", "usage", "say Done.")
        with local.client() as client:
            waiting = client.poll_task(task, timeout=240)
            listed = {each.ref: each.state for each in client.list_tasks()}
            shown = page_of(waiting)
            code, gates = local.run("gates")
            approved = local.run("approve", str(task), "--why", "read it")
            again = local.run("approve", str(task))
            ended = client.poll_task(task, timeout=240)
        log = local.run("gates", "--log")[1]
    paths = [change.path for change in (ended.outcome and ended.outcome.patch and ended.outcome.patch.files) or ()]

    assert (TaskState.INPUT_REQUIRED, ["execute make"]) == (
        waiting.state,
        [r.title for r in waiting.permission_requests],
    )
    assert "Waits for a permission" in shown
    assert (TaskState.INPUT_REQUIRED, 0, True) == (listed[task], code, "execute make" in gates)
    assert (0, 1, TaskState.SUCCEEDED) == (approved[0], again[0], ended.state)
    assert (["one.txt", "two.txt"], ["1,234 tokens, context 1,200 of 200,000 tokens, 0.0123 USD"]) == (
        paths,
        [notice.text for notice in ended.notices],
    )
    assert ("Done.", True) == (ended.outcome and ended.outcome.text.strip(), "approved" in log and "read it" in log)


def test_an_edit_appears_live_and_its_permission_is_decided_from_another_terminal(tmp_path: Path) -> None:
    """While the agent waits, `coatcheck watch` has printed its edit and an open page shows it; each is stored once."""
    with machine(tmp_path) as local, ThreadPoolExecutor(1) as terminal, local.page() as browser:
        task = local.submit("edit one.txt", "ask execute make", "say Done.")
        reading, writing = os.pipe()
        with open(reading, encoding="utf-8") as output, open(writing, "wb", buffering=0) as out:
            watch = terminal.submit(local.run_into, out, "watch", str(task))
            before = lines_until(output, "tool  Write one.txt")
            on_page = seen_live(browser, task, "Write one.txt")
            is_running = not watch.done()
            approved = local.run("approve", str(task))
            after = lines_until(output, "succeeded")
            code = watch.result()
        stored = [
            event["event"]["type"]
            for event in map(json.loads, local.run("events", str(task), "--json")[1].splitlines())
        ]

    assert (True, True, 0, 0) == (on_page, is_running, approved[0], code)
    assert (True, True) == (
        before[-1].endswith("tool  Write one.txt"),
        any("message  make: yes Done." in line for line in after),
    )
    assert [1, 1] == [stored.count(kind) for kind in ("task.tool", "task.message")]


def test_what_a_dead_agent_wrote_last_is_kept(tmp_path: Path) -> None:
    """The paragraph that it has not ended is an event, and in the reason of the failure."""
    with machine(tmp_path) as local, local.client() as client:
        task = local.submit("say before", "edit a.txt", "say half a sentence", "leave 3")
        seen = [event.text for event in client.watch_task(task, timeout=240) if event.type == "task.message"]
        ended = client.get_task(task)

    assert ["before", "half a sentence"] == [text for text in seen if text and not text.startswith("Notes")]
    assert ("agent_exit_3", True) == (ended.error and ended.error.code, "half a sentence" in str(ended.error))


def test_a_watch_continues_when_a_permission_is_decided(tmp_path: Path) -> None:
    """Both clients see what the agent does live, decide while they watch, and see the end."""

    async def watch(local: Machine, task: TaskRef) -> list[str]:
        seen = []
        async with coatcheck.AsyncClient("local", environ=local.environ) as client:
            async for event in client.watch_task(task, timeout=240):
                seen.append(f"{event.type} {event.text}")
                if event.type == "task.needs_input":
                    (request,) = (await client.get_task(task)).permission_requests
                    await client.decide_permission(task, request.id, "no")
        return seen

    def watch_blocking(local: Machine, task: TaskRef) -> list[str]:
        seen = []
        with local.client() as client:
            for event in client.watch_task(task, timeout=240):
                seen.append(f"{event.type} {event.text}")
                if event.type == "task.needs_input":
                    (request,) = client.get_task(task).permission_requests
                    client.decide_permission(task, request.id, "no")
                    client.decide_permission(task, request.id, "no")
                    with pytest.raises(errors.ConflictError):
                        client.decide_permission(task, request.id, "yes")
        return seen

    lines = ("say before", "ask execute make", "edit a.txt")
    with machine(tmp_path) as local:
        seen = [asyncio.run(watch(local, local.submit(*lines))), watch_blocking(local, local.submit(*lines))]
    wanted = ("task.message before", "task.needs_input execute make", "task.message make: no", "task.tool Write a.txt")
    kept = [[each for each in events if each in wanted] for events in seen]

    assert [[*wanted]] * 2 == kept
    assert ["task.succeeded None"] * 2 == [events[-1] for events in seen]


@pytest.mark.parametrize("end", ["cancel", "timeout"])
def test_an_agent_that_waits_is_ended(tmp_path: Path, end: str) -> None:
    """A cancellation, and the deadline of the attempt, end an agent that waits for a permission; its gate is withdrawn."""
    options: dict[str, object] = {"timeout": 1.0} if end == "timeout" else {}
    with machine(tmp_path, **options) as local:
        task = local.submit("edit a.txt", "ask execute make", "hang")
        with local.client() as client:
            waiting = client.poll_task(task, timeout=240)  # on a busy machine the deadline may come first
            if end == "cancel":
                client.cancel_task(task)
            ended = local.end_of(client, task)
        _, gates = local.run("gates", "--state", "all")

    assert {"cancel": TaskState.CANCELLED, "timeout": TaskState.FAILED}[end] == ended.state
    assert ("withdrawn" in gates) == (waiting.state is TaskState.INPUT_REQUIRED)


def test_a_permission_that_nobody_decides_is_rejected(tmp_path: Path) -> None:
    """At its deadline; the agent goes on with the rejection."""
    with machine(tmp_path, permission_timeout=0.01) as local:
        task = local.submit("ask execute make")
        with local.client() as client:
            ended = local.end_of(client, task)
        _, log = local.run("gates", "--log")

    assert ("make: no", True) == (ended.outcome and ended.outcome.text.strip(), "rejected" in log)


def test_a_follow_up_continues_the_session(tmp_path: Path) -> None:
    """The same session, in a clone at the same path with the changes so far."""
    with machine(tmp_path) as local, local.client() as client:
        task = local.submit("edit a.txt", "say first")
        first = client.poll_task(task, timeout=240)
        client.send_message(task, "edit b.txt\nsay second")
        second = client.poll_task(task, timeout=240)
    paths = [change.path for change in (second.outcome and second.outcome.patch and second.outcome.patch.files) or ()]

    assert ("first", "second", ["a.txt", "b.txt"]) == (
        first.outcome and first.outcome.text.strip(),
        second.outcome and second.outcome.text.strip(),
        paths,
    )


def test_a_policy_of_another_store_decides_for_a_wait(tmp_path: Path) -> None:
    """A server without the user's store: the wait sends what the policy decides, and goes on to the end."""
    with machine(tmp_path, gates=None) as local:
        settings = tmp_path / "config" / "coatcheck"
        settings.mkdir(parents=True)
        policy = '[gates.policies.make]\ndecision = "approve"\nkinds = ["permission"]\nsubjects = ["local:*"]\n'
        (settings / "config.toml").write_text(policy)
        task = local.submit("ask execute make", "ask execute install")
        code, shown = local.run("wait", str(task))

    assert (0, True) == (code, "install: yes" in shown)
