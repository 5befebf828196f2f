"""Processes that an agent leaves, and the supervisor that ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coatcheck._workspaces.cgroup import ControlGroups, end_group, own_groups
from coatcheck._workspaces.command_process import CommandProcess, ProcessResult

from .test_command_process import has_ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers and /proc are Linux")

# A process that reports its number in the file that its first argument names, and then waits for a signal.
WAITER = "import os, signal, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITER}"
# A process whose first thread ends while another one runs: /proc shows it as a zombie.
LEADERLESS = (
    "import ctypes, os, sys, threading, signal\n"
    "def stay():\n"
    "    open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
    "    threading.Event().wait()\n"
    "threading.Thread(target=stay).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)"
)

START = 'start() {{ {prefix} {python} -c "$1" "$PWD/pids" </dev/null >/dev/null 2>&1 & }}\n'
WAIT = "\nuntil [ -s pids ]; do :; done\n"

AGENTS = {
    "background": (START.format(prefix="", python="$PYTHON") + 'start "$WAITER"' + WAIT),
    "a session of its own": (START.format(prefix="setsid", python="$PYTHON") + 'start "$WAITER"' + WAIT),
    "an empty environment": (START.format(prefix="setsid env -i", python="$PYTHON") + 'start "$WAITER"' + WAIT),
    "double fork": (
        START.format(prefix="setsid env -i sh -c '\"$@\" & exit' x", python="$PYTHON") + 'start "$WAITER"; wait' + WAIT
    ),
    "SIGTERM ignored": (START.format(prefix="setsid env -i", python="$PYTHON") + 'start "$STUBBORN"' + WAIT),
    "no first thread": (START.format(prefix="setsid env -i", python="$PYTHON") + 'start "$LEADERLESS"' + WAIT),
    "its parent killed": (
        START.format(prefix="setsid env -i", python="$PYTHON") + 'start "$WAITER"' + WAIT + "kill -9 $PPID; sleep 60"
    ),
    "many": (
        START.format(prefix="setsid env -i", python="$PYTHON")
        + 'for i in 1 2 3 4 5 6 7 8; do start "$WAITER"; done; until [ "$(wc -l <pids)" = 8 ]; do :; done'
    ),
}


def run(script: str, tmp_path: Path, *, process: CommandProcess | None = None, timeout: float = 240) -> ProcessResult:
    """Run a shell script as the agent."""
    codes = {"WAITER": WAITER, "STUBBORN": STUBBORN, "LEADERLESS": LEADERLESS, "PYTHON": sys.executable}
    return (process or CommandProcess(grace=0.2)).run(
        ["sh", "-c", script], cwd=tmp_path, environ={**os.environ, **codes}, input=None, timeout=timeout
    )


def survivors(tmp_path: Path) -> list[int]:
    """Return the reported processes that still run."""
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert pids
    return [pid for pid in pids if not has_ended(pid)]


@pytest.mark.parametrize("name", AGENTS)
def test_every_process_of_an_agent_ends_with_it(name: str, tmp_path: Path) -> None:
    """A process of any session, parent, environment or signal handler ends with the agent."""
    run(AGENTS[name], tmp_path)

    assert [] == survivors(tmp_path)


# A process that starts two of itself as long as there are fewer than the limit, each in a new session.
BOMB = """
import os, signal, sys
path, limit = sys.argv[1], 40
while os.path.getsize(path) < limit:
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            os.environb.clear()
            with open(path, "a") as file:
                file.write("x")
signal.pause()
"""


@pytest.mark.slow
def test_a_moderate_fork_bomb_ends_with_its_agent(tmp_path: Path) -> None:
    """Processes that fork all the time are stopped before they are killed, so none gets away."""
    (tmp_path / "count").touch()
    (tmp_path / "bomb.py").write_text(BOMB)
    run('"$PYTHON" -I -S bomb.py "$PWD/count" & until [ "$(wc -c <count)" -ge 20 ]; do :; done', tmp_path)
    mark = str(tmp_path / "count").encode()
    left = [entry.name for entry in Path("/proc").glob("[0-9]*") if mark in command_line(entry)]

    assert [] == left


def command_line(entry: Path) -> bytes:
    """Return a process's command line, empty for one that has ended."""
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("number", ["KILL", "STOP"])
def test_an_agent_that_attacks_its_supervisor_is_ended(number: str, tmp_path: Path) -> None:
    """A supervisor that was killed or stopped is replaced by the server: the agent and its children end."""
    script = (
        START.format(prefix="setsid", python="$PYTHON")
        + 'start "$WAITER"'
        + WAIT
        + "read -r _ _ _ parent _ </proc/$PPID/stat; echo $$ >>pids\n"
        + f"kill -{number} $parent; echo done; sleep 60"
    )
    done = threading.Event()
    process = CommandProcess(on_line=lambda _name, _line: done.set(), grace=0.2)
    threading.Thread(target=lambda: (done.wait(240), process.cancel())).start()
    mark = {"COATCHECK_RESULT": f"{tmp_path}/result.json"}
    codes = {"WAITER": WAITER, "PYTHON": sys.executable}
    process.run(["sh", "-c", script], cwd=tmp_path, environ={**os.environ, **codes, **mark}, input=None, timeout=240)
    from coatcheck._workspaces.command_process import end_strays

    end_strays(tmp_path)

    assert [] == survivors(tmp_path)


SUPERVISOR = "read -r _ _ _ parent _ </proc/$PPID/stat; "
STOPPERS = {
    "its supervisor": (SUPERVISOR + "kill -STOP $parent; exit 3", 3),
    "its parent": ("kill -STOP $PPID; exit 3", 3),
    "both": (SUPERVISOR + "kill -STOP $PPID $parent; exit 3", 3),
    "both, from a session of their own": (
        SUPERVISOR
        + "setsid sh -c 'kill -STOP '\"$PPID $parent\"'; : >stopped'; until [ -e stopped ]; do :; done; exit 3",
        3,
    ),
    "its supervisor, again and again": (SUPERVISOR + "while kill -STOP $parent; do :; done", -signal.SIGKILL),
}


@pytest.mark.parametrize("name", STOPPERS)
def test_an_agent_that_stops_what_watches_it_ends_all_the_same(name: str, tmp_path: Path) -> None:
    """SIGSTOP for its parents keeps no attempt: they are continued, or after several times replaced."""
    script, exit_code = STOPPERS[name]
    result = run(script, tmp_path, timeout=200)

    assert (exit_code, False) == (result.exit_code, result.is_timeout)


def test_the_death_of_the_server_ends_its_agents(tmp_path: Path) -> None:
    """A server that is killed closes the supervisor's socket, and the supervisor ends everything."""
    server = (
        "import os, sys\nfrom pathlib import Path\nfrom coatcheck._workspaces.command_process import CommandProcess\n"
        "CommandProcess().run(['sh', '-c', sys.argv[1]], cwd=Path(sys.argv[2]), environ=os.environ, input=None, timeout=240)"
    )
    codes = {"WAITER": WAITER, "PYTHON": sys.executable}
    script = AGENTS["an empty environment"] + "echo $$ >>pids; cat fifo"
    os.mkfifo(tmp_path / "ready")
    script = script.replace("cat fifo", "echo >ready; sleep 60")
    killed = subprocess.Popen([sys.executable, "-c", server, script, str(tmp_path)], env={**os.environ, **codes})
    (tmp_path / "ready").read_text()
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    assert [] == survivors(tmp_path)


def test_an_agent_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    """A program that may not be run, and an argument with a NUL, are the errors that `subprocess` would raise."""
    (tmp_path / "file").touch()
    errors = []
    for command in (["./file"], ["true", "a\0b"]):
        with pytest.raises((PermissionError, ValueError)) as caught:
            CommandProcess().run(command, cwd=tmp_path, environ=os.environ, input=None, timeout=240)
        errors.append(caught.type)

    assert [PermissionError, ValueError] == errors


MOUNTS = """\
23 28 0:21 / /proc rw,relatime - proc proc rw
32 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/a\\040b rw,relatime - cgroup2 cgroup2 rw
"""


def test_the_groups_of_both_versions_are_found() -> None:
    """Version 2 is preferred; of version 1 a hierarchy that can stop its processes is used."""
    membership = "6:freezer:/user\n1:cpu:/x\n0::/session.scope\n"
    expected = [Path("/sys/fs/cgroup/a b/session.scope"), Path("/sys/fs/cgroup/freezer/user")]

    assert expected == own_groups(MOUNTS, membership)


def test_a_container_sees_its_own_group_at_the_mount() -> None:
    """The part of the path that is above the mount is left out."""
    mounts = "41 31 0:38 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

    assert [Path("/sys/fs/cgroup/inner")] == own_groups(mounts, "0::/docker/1/inner\n")


def test_without_a_writable_group_there_is_none(tmp_path: Path) -> None:
    """An agent runs without a group where none can be made."""
    groups = ControlGroups(tmp_path, [tmp_path / "missing"])

    assert (None, True) == (groups.create("a"), groups.end_all())


def test_a_group_of_version_1_is_ended_by_its_list_of_processes(tmp_path: Path) -> None:
    """Every listed process is killed."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    (tmp_path / "group").mkdir()
    listing = tmp_path / "group" / "cgroup.procs"
    listing.write_text(f"{process.pid}\n")

    def remove() -> None:
        process.wait()
        listing.unlink()

    threading.Thread(target=remove).start()

    assert (True, False) == (end_group(tmp_path / "group"), (tmp_path / "group").exists())


def test_a_control_group_ends_what_escaped_every_supervisor(tmp_path: Path) -> None:
    """A process with an empty environment whose supervisor was killed is still in its attempt's group."""
    groups = ControlGroups(tmp_path)
    group = groups.create("attempt")
    if group is None:
        pytest.skip("no control group can be made here")
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], env={})
    (group / "cgroup.procs").write_text(str(process.pid))
    ended = threading.Thread(target=process.wait)
    ended.start()

    assert (True, False) == (groups.end_all(), group.exists())
    ended.join()
