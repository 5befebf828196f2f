"""The local cloud under hundreds of hostile agents and under ``kill -9``.

The number of attempts and of kills is in `COATCHECK_CRASH` ("200,20" where it is not set); `make crash` sets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cloud.test_hostile import AGENTS as TREES, make_repository
from tests.workspaces.test_supervisor import AGENTS as PROCESSES, LEADERLESS, STUBBORN, WAITER, has_ended

from coatcheck._workspaces.cgroup import find_parents
from coatcheck._workspaces.workspace import WorkspaceManager
from coatcheck.cloud.attempt_runner import Agent
from coatcheck.cloud.local_cloud import LocalCloud
from coatcheck.cloud.models import CANCELLED, COMPLETED, FAILED, CloudAttempt, CloudEnvironment, CloudTask, TaskOrder
from coatcheck.cloud.task_store import Store

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc"),
]

ATTEMPTS, KILLS = map(int, os.environ.get("COATCHECK_CRASH", "200,20").split(","))
SLOTS = 4

# The agent of all attempts: it runs the script whose name is the prompt. Each process of a script that shall not
# survive reports its number in a folder outside of the clone.
AGENT = """
mkdir -p "$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT"
ln -s "$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT/pids" pids
echo z >z.txt
. "$SCRIPTS/$1"
"""
# What an agent does to fail, the code that the failure has, and the files that the agent had changed until then.
FAILURES = {
    "exit code": ("exit 7", "agent_exit_7", ["z.txt"]),
    "a signal": ("kill -9 $$", "agent_exit_-9", ["z.txt"]),
    "its parent": ("kill -9 $PPID; sleep 300", "agent_exit_-9", ["z.txt"]),
    "no clone": ("cd ..; rm -rf work", "workspace_gone", []),
    "nothing of its folder": ("cd ..; rm -rf *; rm -rf .??*", "workspace_gone", []),
    "another clone": ("cd ..; mv work other; mkfifo work", "workspace_gone", []),
    "time": ("setsid env -i sleep 300 & trap '' TERM; while :; do sleep 300; done", "timed_out", ["z.txt"]),
}
IMMUTABLE = "mkdir i; echo x >i/x; chattr +i i/x i 2>/dev/null; mkdir -p c/c; chmod 000 c/c c"


def make_scripts(folder: Path) -> dict[str, str]:
    """Write every kind of agent to a file each, and return their file names by kind."""
    # the link to the report is no part of the agent's work
    gone = {name: f"{script}\nrm -f pids" for name, script in PROCESSES.items() if name != "its parent killed"}
    trees = {name: f"rm pids; ({script}); exit 0" for name, (script, _, _) in TREES.items()}
    failures = {name: f"rm pids; {script}" for name, (script, _, _) in FAILURES.items()}
    kinds = {"process": gone, "tree": trees, "failure": failures, "closed": {"immutable": f"rm pids; {IMMUTABLE}"}}
    scripts = {f"{kind}: {name}": script for kind, named in kinds.items() for name, script in named.items()}
    scripts["full"] = 'rm pids; exec 3<"$REPORTS/go"; : >"$REPORTS/up-$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT"; cat <&3'
    folder.mkdir()
    files = {}
    for number, (kind, script) in enumerate(scripts.items()):
        files[kind] = f"{number}"
        (folder / files[kind]).write_text(
            script.replace('"$PWD/pids"', '"$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT/pids"')
        )
    return files


def new_repository(path: Path) -> Path:
    """Create the repository of `tests/cloud/test_hostile.py`."""
    path.mkdir()
    make_repository(path)
    return path


class Machine:
    """A local cloud whose agent runs the script that the prompt names; it waits for streams and never polls."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reports = root / "reports"
        self.reports.mkdir()
        os.mkfifo(self.reports / "go")
        self.scripts = make_scripts(root / "scripts")
        self.environment = CloudEnvironment(id="e", label="owner/repo", path=str(new_repository(root / "repository")))
        self.store = Store(root / "cloud.sqlite3")
        self.store.open()
        (root / "work").mkdir()
        codes = {"WAITER": WAITER, "STUBBORN": STUBBORN, "LEADERLESS": LEADERLESS, "PYTHON": sys.executable}
        folders = {"REPORTS": str(self.reports), "SCRIPTS": str(root / "scripts")}
        identity = {"EMAIL": "agent@example.com", "GIT_CONFIG_GLOBAL": os.devnull}
        environ = {**os.environ, **codes, **folders, **identity}
        agent = Agent(command=("bash", "-c", AGENT, "agent", "{prompt}"), timeout=30, environ=environ)
        workspaces = WorkspaceManager(root / "work", environ=os.environ)
        self.cloud = LocalCloud([self.environment], agent, store=self.store, workspaces=workspaces, max_parallel=SLOTS)
        self.cloud.start()
        self._open = contextlib.ExitStack()
        self._open.callback(self.store.close)
        self._open.callback(self.cloud.close)

    def close(self) -> None:
        self._open.close()

    def submit(self, kind: str, *, attempts: int = 1) -> CloudTask:
        return self.cloud.create_task(TaskOrder(prompt=self.scripts[kind], environment_id="e", attempts=attempts))

    def finish(self, task: CloudTask) -> list[CloudAttempt]:
        """Wait for the end of every attempt's stream."""
        for attempt in task.last.attempts:
            if source := self.cloud.follow(task.id, attempt.id):
                position = 0
                while (items := source.next_items(position, timeout=60)) is not None:
                    position += len(items)
        ended = self.cloud.get_task(task.id)
        assert ended is not None
        return list(ended.last.attempts)

    def fill_every_slot(self) -> None:
        """Run as many attempts at once as there are slots: none of them ends before all of them have begun."""
        task = self.submit("full", attempts=SLOTS)
        with (self.reports / "go").open("w"):  # opened when one reads; all of them end when it is closed
            while len(list(self.reports.glob("up-*"))) < SLOTS:
                os.sched_yield()
        assert {COMPLETED} == {attempt.state for attempt in self.finish(task)}

    def survivors(self) -> list[int]:
        pids = [int(pid) for path in self.reports.glob("*/pids") for pid in path.read_text().split()]
        return [pid for pid in pids if not has_ended(pid)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine, closed at the end."""
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def expected_of(kind: str) -> tuple[str, str | None, list[str]]:
    """Return the state, the failure's code and the files of an attempt of this kind."""
    group, _, name = kind.partition(": ")
    if group == "failure":
        _, code, files = FAILURES[name]
        return FAILED, code, files
    files = {"tree": TREES[name][1] if group == "tree" else [], "closed": ["i/x"]}.get(group, [])
    return COMPLETED, None, sorted([*files, "z.txt"])


def seen_of(attempt: CloudAttempt) -> tuple[str, str | None, list[str]]:
    """Return the same of an attempt that has ended."""
    files = sorted(file.path for file in attempt.result.files) if attempt.result else []
    return attempt.state, attempt.error and attempt.error.code, files


def left_groups(root: Path) -> list[Path]:
    """Return the control groups that are left of this machine's attempts."""
    import hashlib

    prefix = f"coatcheck-{hashlib.sha256(os.fsencode((root / 'work').resolve())).hexdigest()[:12]}-"
    return [path for parent in find_parents() for path in parent.glob(f"{prefix}*")]


def test_hostile_agents_leave_nothing_and_get_the_right_result(machine: Machine) -> None:
    """After hundreds of attempts of every kind, some cancelled: no process, no folder, no group, no lost slot."""
    random_ = random.Random(20261128)
    kinds = [kind for kind in machine.scripts if kind != "full"]
    random_.shuffle(kinds)  # a short run takes some of each group
    chosen = [kinds[number % len(kinds)] for number in range(ATTEMPTS)]
    random_.shuffle(chosen)
    submitted = [(kind, machine.submit(kind)) for kind in chosen]
    cancelled = {task.id for _, task in random_.sample(submitted, ATTEMPTS // 20)}
    wrong = []
    for kind, task in submitted:
        if task.id in cancelled:
            machine.cloud.cancel_task(task.id)
        (attempt,) = machine.finish(task)
        is_right = seen_of(attempt) == expected_of(kind) or (task.id in cancelled and attempt.state == CANCELLED)
        if not is_right:
            wrong.append((kind, seen_of(attempt), attempt.error, attempt.result and attempt.result.messages))

    assert [] == wrong
    machine.fill_every_slot()
    assert [] == machine.survivors()
    machine.close()
    assert [] == list((machine.root / "work" / "attempts").iterdir())
    assert [] == left_groups(machine.root)


# -- kill -9 of the server -------------------------------------------------------------------------------------------------

# An agent that leaves a process in a session and with another environment, and works for a random time.
RESTLESS = """#!/bin/bash
setsid env -i "$PYTHON" -c "$WAITER" "$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT" </dev/null >/dev/null 2>&1 &
until [ -s "$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT" ]; do :; done
echo $$ >>"$REPORTS/$COATCHECK_TASK_ID-$COATCHECK_ATTEMPT"
mkfifo pipe; echo work >>f.txt; sleep $((RANDOM % 3))
"""

COMMAND = (sys.executable, "-c", "from coatcheck._cli.main import main; main()")


class Served:
    """``coatcheck serve`` as a process, and the command line beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reports = root / "reports"
        self.reports.mkdir()
        self.agent = root / "agent"
        self.agent.write_text(RESTLESS)
        self.agent.chmod(0o755)
        self.repository = new_repository(root / "repository")
        self.environ = {**os.environ, "WAITER": WAITER, "PYTHON": sys.executable, "REPORTS": str(self.reports)}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server, and return when it serves."""
        command = [*COMMAND, "serve", "--environment", f"owner/repo={self.repository}"]
        options = ["--agent", shlex.quote(str(self.agent)), "--data", str(self.root / "data")]
        self.process = subprocess.Popen(
            [*command, *options], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert first.startswith("Serving "), first + self.process.stdout.read()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, cwd=self.repository, env=self.environ, capture_output=True, text=True, check=False
        )

    def submit(self) -> str:
        """Submit a task of two attempts; return its ref, "" where the server was killed meanwhile."""
        options = ("--provider", "local", "--environment", "owner/repo", "--attempts", "2")
        return self.run("submit", *options, "go").stdout.strip()

    def tasks(self) -> dict[str, dict]:
        """Return the tasks by ref."""
        listed = self.run("list", "--provider", "local", "--limit", "100", "--json")
        assert listed.returncode == 0, listed.stderr
        return {task["ref"]: task for task in json.loads(listed.stdout)["tasks"]}

    def end(self, number: int) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        assert self.process.stdout is not None
        with self.process.stdout:
            self.process.stdout.read()
        return self.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that is started by the test."""
    served = Served(tmp_path)
    yield served
    if served.process is not None and served.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            served.process.kill()
        served.process.communicate()


def test_a_server_that_is_killed_starts_again(served: Served) -> None:
    """After every ``kill -9``, at a random moment, it serves; what it ran is failed with the reason, and has ended."""
    random_, refs = random.Random(20261128), []
    served.start()
    for _ in range(KILLS):
        killer = threading.Timer(random_.uniform(0.2, 2.5), served.end, [signal.SIGKILL])
        refs.append(served.submit())
        killer.start()
        refs.append(served.submit())
        killer.join()
        served.start()
        tasks = served.tasks()
        pids = [int(pid) for path in served.reports.iterdir() for pid in path.read_text().split()]

        assert {ref for ref in refs if ref} <= set(tasks)
        assert {"failed", "succeeded"} >= {task["state"] for task in tasks.values()}
        assert [] == [pid for pid in pids if not has_ended(pid)]
        assert not (served.root / "data/work/attempts").exists()
    interrupted = [served.run("show", ref) for ref, task in served.tasks().items() if task["state"] == "failed"]
    ref = served.submit()

    assert interrupted or KILLS < 10  # a few kills may all miss
    assert {True} >= {"the server was restarted while this attempt ran" in shown.stdout for shown in interrupted}
    assert 0 == served.run("wait", ref).returncode
    assert 0 == served.end(signal.SIGTERM)
