"""Control groups with limits, and processes that end with their first one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck._workspaces import cgroup
from coatcheck._workspaces.cgroup import LimitedGroups, end_group, join_groups, own_groups, reached_limit
from coatcheck._workspaces.sandboxed_process import SHELL_HANDSHAKE, SandboxedProcess, end_left_sandboxes

MOUNTS = (
    "30 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
)
MEMBERSHIP = "8:pids:/job\n4:memory:/outer/job\n0::/\n"


def test_the_group_of_each_controller_is_found() -> None:
    """Version 2 comes first, then the hierarchy of the controller in version 1."""
    found = {name: own_groups(MOUNTS, MEMBERSHIP, ("", name)) for name in ("memory", "pids")}

    assert found == {
        "memory": [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/memory/outer/job")],
        "pids": [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/pids/job")],
    }


def test_no_group_is_left_where_none_can_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is no control group, or has no controller, is no group, and nothing is left in it."""
    monkeypatch.setattr(cgroup, "find_parents", lambda _hierarchies: [tmp_path])
    groups = LimitedGroups("coatcheck-check").create(memory=1, processes=1)

    assert (groups, [*tmp_path.iterdir()]) == ([], [])


def test_groups_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty groups whose process does not run are removed, those of others are not."""
    monkeypatch.setattr(cgroup, "find_parents", lambda _hierarchies: [tmp_path])
    for name in ("coatcheck-check-999999999-1", f"coatcheck-check-{os.getpid()}-7", "other-999999999-1"):
        (tmp_path / name).mkdir()
    LimitedGroups("coatcheck-check")

    assert sorted(path.name for path in tmp_path.iterdir()) == [f"coatcheck-check-{os.getpid()}-7", "other-999999999-1"]


@pytest.mark.parametrize(
    ("file", "text", "limit"),
    [
        ("memory.events", "low 0\noom 3\noom_kill 1\n", "memory"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "memory"),
        ("pids.events", "max 5\n", "processes"),
        ("pids.events", "max 0\n", None),
        ("memory.events", "oom_kill 0\n", None),
    ],
)
def test_the_limit_that_was_reached_is_known(tmp_path: Path, file: str, text: str, limit: str | None) -> None:
    """The kernel's counters say which limit of a group was reached."""
    (tmp_path / file).write_text(text)

    assert reached_limit([tmp_path]) == limit


@pytest.fixture
def groups() -> Iterator[list[Path]]:
    """Groups for five processes; the test is skipped where none can be made."""
    made = LimitedGroups("coatcheck-test").create(memory=2**28, processes=5)
    try:
        if not any((group / "pids.max").exists() for group in made):
            pytest.skip("no control group can be made here")
        yield made
    finally:
        for group in made:
            end_group(group)


def test_a_group_limits_what_is_in_it(tmp_path: Path, groups: list[Path]) -> None:
    """A process is in its groups when it goes on after the handshake, and they are gone when it has ended."""
    script = f"{SHELL_HANDSHAKE}; for i in 1 2 3 4 5 6 7 8; do sleep 60 & done"
    result = SandboxedProcess(max_output=1000).run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        environ={"PATH": os.defpath},
        timeout=60,
        cgroups=groups,
        has_handshake=True,
    )

    assert (result.exit_code != 0, result.limit, [group.exists() for group in groups]) == (
        True,
        "processes",
        [False] * len(groups),
    )


@pytest.mark.parametrize("has_file", [True, False])
def test_a_process_joins_with_its_descendants(
    groups: list[Path], *, has_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processes below one are moved with it, also where the kernel has no file of a process's children."""
    read_text = Path.read_text

    def read_other(path: Path) -> str:
        if path.name == "children":
            raise FileNotFoundError
        return read_text(path)

    if not has_file:
        monkeypatch.setattr(Path, "read_text", read_other)
    command = ["/bin/sh", "-c", "(sleep 600 & echo started; wait); :"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        join_groups(process.pid, groups)
        counts = [len((group / "cgroup.procs").read_text().split()) for group in groups]
        assert all(end_group(group) for group in groups)

    assert [3] * len(groups) == counts


def test_a_process_that_was_cancelled_before_its_start_is_ended(tmp_path: Path) -> None:
    """Cancelling is not lost when it comes first."""
    process = SandboxedProcess(max_output=1000)
    process.cancel()
    result = process.run(["sleep", "1000"], cwd=tmp_path, environ={"PATH": os.defpath}, timeout=None)

    assert (result.is_cancelled, result.is_timeout, result.exit_code) == (True, False, -9)


def test_a_command_goes_on_after_the_handshake(tmp_path: Path) -> None:
    """The line of the handshake is no output, the command's input is empty, and it gets no line of one that has ended."""
    command = ["/bin/sh", "-c", f"{SHELL_HANDSHAKE}; cat; echo done"]
    results = [
        SandboxedProcess(max_output=100).run(
            command, cwd=tmp_path, environ={"PATH": os.defpath}, timeout=60, has_handshake=has_handshake
        )
        for has_handshake in (True, False)
    ]

    assert [(0, "done\n"), (1, "\n")] == [(result.exit_code, result.stdout) for result in results]


def test_a_handshake_can_be_cancelled_and_timed_out(tmp_path: Path) -> None:
    """A command that never confirms its start is ended as any other."""
    cancelled, timed_out = SandboxedProcess(max_output=100), SandboxedProcess(max_output=100)
    cancelled.cancel()
    results = [
        process.run(["sleep", "600"], cwd=tmp_path, environ={"PATH": os.defpath}, timeout=timeout, has_handshake=True)
        for process, timeout in ((cancelled, 600), (timed_out, 0))
    ]
    expected = [(-signal.SIGKILL, True, False), (-signal.SIGKILL, False, True)]

    assert expected == [(result.exit_code, result.is_cancelled, result.is_timeout) for result in results]


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="there is no /proc")
def test_left_sandboxes_are_killed(tmp_path: Path) -> None:
    """A bubblewrap that names the folder of a killed run is killed, other programs and folders are not."""
    ours, other = str(tmp_path / "run" / "clone-1"), str(tmp_path / "running" / "clone-1")
    processes = [
        subprocess.Popen([program, "-c", "read _", path], executable="/bin/sh", stdin=subprocess.PIPE)
        for program, path in (("/usr/bin/bwrap", ours), ("vim", ours), ("bwrap", other))
    ]
    end_left_sandboxes(tmp_path / "run")
    for process in processes:
        process.communicate(b"\n")

    assert [-signal.SIGKILL, 0, 0] == [process.returncode for process in processes]
