"""Where file systems are mounted in a folder: what is mounted there belongs to somebody else, and is not entered.

An agent that runs as root can mount any folder of the machine on its clone (``mount --bind``). A bind mount of the
same file system has the device number of its surroundings, so that only the system's table shows it (proc(5)).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNT_INFO = Path("/proc/self/mountinfo")


def mount_points(folder: Path, *, table: Path = MOUNT_INFO) -> set[bytes]:
    """Return the mount points below *folder*, relative to it; none on systems without /proc."""
    top = os.fsencode(os.path.realpath(folder)).rstrip(b"/") + b"/"
    return {point.removeprefix(top) for point in _all(table) if point.startswith(top)}


def is_mount_point(folder: Path, *, table: Path = MOUNT_INFO) -> bool:
    """Whether a file system is mounted on *folder* itself."""
    return os.path.ismount(folder) or os.fsencode(os.path.realpath(folder)) in _all(table)


def _all(table: Path) -> list[bytes]:
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return []
    return [re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), line.split(b" ")[4]) for line in lines]
