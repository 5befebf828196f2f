"""Which processes run on this machine."""

from __future__ import annotations

import os


def is_running(pid: int) -> bool:
    """Whether a process with this number runs; also True for a process of another user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def boot_id() -> str | None:
    """Return the identifier of this boot of the machine (Linux, random(4)), None on other systems."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
