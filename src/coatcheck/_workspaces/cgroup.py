"""One control group (cgroups(7)) for each attempt, where the system lets us make one.

A process cannot leave it by a new session, a new parent or an empty environment. Version 2 is preferred: one write
kills all of a group. In version 1 any writable hierarchy will do, since only the list of processes is needed.
Where no group can be made, None stands for it: the supervisor and the mark in the environment remain.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .._files.processes import is_running
from .supervisor import descendants, send

# Which version 1 hierarchy is used: one that can stop all of a group comes first.
V1_ORDER = ("freezer", "pids", "name=systemd")
# How long a group may take to empty after its processes were killed, in seconds; the pause between two attempts to
# remove it doubles from the first to the longest.
END_TIMEOUT, FIRST_PAUSE, LONGEST_PAUSE = 5.0, 0.001, 0.016


def own_groups(mountinfo: str, membership: str, hierarchies: Sequence[str] = ("", *V1_ORDER)) -> list[Path]:
    """Return the folders of this process's own groups, from /proc/self/mountinfo and /proc/self/cgroup.

    They are in the order of *hierarchies*: "" is version 2, a name a controller of version 1.
    """
    groups = dict(line.split(":", 2)[1:] for line in membership.splitlines() if line.count(":") >= 2)
    ranked: list[tuple[int, Path]] = []
    for line in mountinfo.splitlines():
        fields, _, system = line.partition(" - ")
        kind, _, options = system.partition(" ")
        root, mount = fields.split(" ")[3:5]
        for rank, name in enumerate(hierarchies):
            is_it = kind == "cgroup2" if not name else kind == "cgroup" and name in options.split(" ")[-1].split(",")
            if is_it and (own := _group_of(groups, name)) is not None:
                inside = own.removeprefix(root) if root != "/" else own
                ranked.append((rank, Path(mount.replace("\\040", " "), inside.lstrip("/"))))
    return [path for _, path in sorted(ranked)]


def _group_of(groups: dict[str, str], controller: str) -> str | None:
    return next((path for names, path in groups.items() if controller in names.split(",")), None)


def find_parents(hierarchies: Sequence[str] = ("", *V1_ORDER)) -> list[Path]:
    """Return the groups below which one may be made, best first; none on systems without control groups."""
    try:
        membership = Path("/proc/self/cgroup").read_text()
        return own_groups(Path("/proc/self/mountinfo").read_text(), membership, hierarchies)
    except OSError:
        return []


class ControlGroups:
    """The control groups of the server whose data is in *root*."""

    def __init__(self, root: Path, parents: Sequence[Path] | None = None) -> None:
        self._prefix = f"coatcheck-{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]}-"
        self._parents = find_parents() if parents is None else parents

    def create(self, name: str) -> Path | None:
        """Return a new group, None where none can be made."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        for parent in self._parents:
            path = parent / f"{self._prefix}{digest}"
            with contextlib.suppress(OSError):
                path.mkdir()
                if os.access(path / "cgroup.procs", os.W_OK):
                    return path
                path.rmdir()
        return None

    def end_all(self) -> bool:
        """End and remove the groups that an earlier server left; return whether all are gone."""
        left = [path for parent in self._parents for path in parent.glob(f"{self._prefix}*")]
        gone = [end_group(path) for path in left]
        return all(gone)


def end_group(path: Path) -> bool:
    """Kill every process of a group, remove the group, and return whether it is gone."""
    deadline, pause = time.monotonic() + END_TIMEOUT, FIRST_PAUSE
    while path.exists():
        _write(path / "freezer.state", "FROZEN")
        pids = _pids(path)
        if not _write(path / "cgroup.kill", "1"):
            for pid in pids:
                send(pid, signal.SIGKILL)
        _write(path / "freezer.state", "THAWED")
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if time.monotonic() > deadline:
            return not path.exists()
        if path.exists():
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
    return True


def _pids(path: Path) -> Iterable[int]:
    found: list[int] = []
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            found += map(int, Path(folder, "cgroup.procs").read_text().split())
    return found


def _write(path: Path, text: str) -> bool:
    """Write to a control file that exists; it is never made."""
    try:
        with open(os.open(path, os.O_WRONLY), "w") as file:
            file.write(text)
    except OSError:
        return False
    return True


# The controllers of limits, with the files that set them in version 2 and in version 1.
_MEMORY = ("memory", ("memory.max", "memory.limit_in_bytes"))
_PROCESSES = ("pids", ("pids.max", "pids.max"))
_NUMBERS = itertools.count(1)
# Where the kernel counts what a limit has stopped: the file, the word in it, and the limit.
_EVENTS = (
    ("memory.events", "oom_kill", "memory"),
    ("memory.oom_control", "oom_kill", "memory"),
    ("pids.events", "max", "processes"),
)


class LimitedGroups:
    """Makes groups that limit the memory and the number of all their processes together.

    Their names are *prefix*, the id of this process and a number: ``coatcheck-check-4711-1``. Groups that processes
    left when they were killed are removed first.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._places = {controller: list(_places(controller)) for controller, _ in (_MEMORY, _PROCESSES)}
        for place in {place for places in self._places.values() for place in places}:
            _remove_left(place, prefix)

    def create(self, *, memory: int, processes: int) -> list[Path]:
        """Return new groups for so many bytes and processes.

        There is one in version 2, one for each controller in version 1, none where none can be made.
        """
        name = f"{self._prefix}-{os.getpid()}-{next(_NUMBERS)}"
        groups: list[Path] = []
        for (controller, files), limit in ((_MEMORY, memory), (_PROCESSES, processes)):
            if any((group / file).exists() for group in groups for file in files):
                limited = next(group for group in groups if any((group / file).exists() for file in files))
                _set_limit(limited, files, limit)
            elif group := _create_limited([place / name for place in self._places[controller]], files, limit):
                groups.append(group)
        return groups


def _places(controller: str) -> Iterator[Path]:
    """Return the groups below which one with this controller may be made, best first."""
    for parent in find_parents(("", controller)):
        yield parent
        # In version 2 a group with processes passes on no controller (cgroups(7)), so its parent is tried as well.
        if (parent / "cgroup.controllers").exists():
            yield parent.parent


def _create_limited(paths: Iterable[Path], files: Sequence[str], limit: int) -> Path | None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.mkdir()
            if os.access(path / "cgroup.procs", os.W_OK) and _set_limit(path, files, limit):
                return path
            path.rmdir()
    return None


def join_groups(pid: int, groups: Sequence[Path]) -> None:
    """Put a process and its descendants into the groups, those that are not in them.

    A descendant is inside from its start if its parent was. One that starts while this runs can be missed.
    """
    for group in groups:
        inside = {*_pids(group)}
        for each in _process_tree(pid):
            if each not in inside:
                _write(group / "cgroup.procs", str(each))


def _process_tree(pid: int) -> list[int]:
    """Return a process and its descendants, as their first threads know them (proc_pid_task(5)), parents first."""
    tree = [pid]
    for each in tree:
        try:
            tree += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        except FileNotFoundError:  # the process has ended, or the kernel has no such file
            tree += descendants({each}) - {*tree}
    return tree


def reached_limit(groups: Sequence[Path]) -> str | None:
    """Return which limit processes of the groups have reached: "memory" or "processes", None for none."""
    for file, word, limit in _EVENTS:
        for group in groups:
            with contextlib.suppress(OSError):
                counts = dict(line.split(" ", 1) for line in (group / file).read_text().splitlines())
                if int(counts.get(word, 0)):
                    return limit
    return None


def _remove_left(place: Path, prefix: str) -> None:
    """Remove the empty groups of processes that were killed."""
    for path in place.glob(f"{prefix}-*-*"):
        with contextlib.suppress(OSError, ValueError):
            if not is_running(int(path.name.rsplit("-", 2)[1])):
                path.rmdir()


def _set_limit(path: Path, files: Sequence[str], limit: int) -> bool:
    is_set = any(_write(path / file, str(limit)) for file in files)
    if is_set and "memory.max" in files:
        _write(path / "memory.swap.max", "0")
        _write(path / "memory.oom.group", "1")
    return is_set
