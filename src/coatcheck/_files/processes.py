"""Which processes run on this machine, and what identifies a process across machines and boots.

A process number is used again after its process has ended. The number together with the time when the process started
identifies one process of one boot.
"""

from __future__ import annotations

import os
import sys

MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
# The third and the 22nd field of /proc/PID/stat, counted after the name in parentheses, and the states of a process that
# has ended and was not waited for (proc_pid_stat(5)).
STATE, START_TIME = 0, 19
ENDED = (b"Z", b"X")
# proc_pidinfo(PROC_PIDTBSDINFO) fills struct proc_bsdinfo (libproc.h of macOS): its size, and where its start time is.
BSD_INFO, BSD_INFO_SIZE, BSD_START = 3, 136, 120


def is_running(pid: int, *, started: str | None = None) -> bool:
    """Whether a process with this number runs; also True for a process of another user.

    On Linux one that has ended does not count while its parent has not waited for it: a first process of a container
    may never do that. With *started*, as `start_time` returned it, a later process with the same number does not count.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    fields = _stat_of(pid)
    if fields and fields[STATE] in ENDED:
        return False
    return started is None or start_time(pid) in (None, started)


def start_time(pid: int) -> str | None:
    """Return when a process started, as text that is equal for one process; None where the system does not report it.

    On Linux it is a number of clock ticks since the boot, on macOS a time in microseconds.
    """
    if sys.platform == "darwin":
        return _start_time_on_macos(pid)
    fields = _stat_of(pid)
    return fields[START_TIME].decode("ascii") if len(fields) > START_TIME else None


def _stat_of(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat after the name, none on other systems than Linux."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _start_time_on_macos(pid: int) -> str | None:
    import ctypes

    info = ctypes.create_string_buffer(BSD_INFO_SIZE)
    try:
        size = ctypes.CDLL(None).proc_pidinfo(pid, BSD_INFO, ctypes.c_uint64(0), info, BSD_INFO_SIZE)
    except (OSError, AttributeError):
        return None
    if size != BSD_INFO_SIZE:
        return None
    seconds = int.from_bytes(info.raw[BSD_START : BSD_START + 8], sys.byteorder)
    micros = int.from_bytes(info.raw[BSD_START + 8 : BSD_START + 16], sys.byteorder)
    return f"{seconds}.{micros:06}"


def boot_id() -> str | None:
    """Return the identifier of this boot of the machine (Linux, random(4)), None on other systems."""
    return _line_of("/proc/sys/kernel/random/boot_id")


def host_id() -> str:
    """Return a digest that identifies this machine and, on Linux, the container: where a process number has a meaning.

    The machine id (machine-id(5)) is confidential, so that a digest is used. Containers of one machine, which may share
    it, have different namespaces of process numbers (pid_namespaces(7)).
    """
    import hashlib

    machine = next(filter(None, map(_line_of, MACHINE_IDS)), None) or _host_name()
    return hashlib.sha256(f"coatcheck\n{machine}\n{_pid_namespace()}".encode()).hexdigest()[:32]


def _host_name() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _line_of(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None
