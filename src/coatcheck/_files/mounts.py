"""Which folders are on a network file system, as far as Linux reports it (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os

MOUNT_INFO = "/proc/self/mountinfo"
# File systems whose locks or shared memory do not work, or do not work the same, on several machines.
NETWORK = frozenset({"9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"})
NETWORK_PREFIXES = ("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.glusterfs")
# How the table writes the characters that separate its fields; the backslash last.
ESCAPED = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


def is_on_network(folder: str, *, mounts: str | None = None) -> bool:
    """Whether *folder* is on a network file system; False where that is not known. *mounts* replaces the system's table."""
    kind = file_system_of(os.path.realpath(folder), _read(MOUNT_INFO) if mounts is None else mounts)
    return kind in NETWORK or kind.startswith(NETWORK_PREFIXES)


def file_system_of(path: str, mounts: str) -> str:
    """Return the type of the file system that holds *path*, an absolute path, empty where *mounts* does not show it."""
    longest, kind = -1, ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        point = _unescaped(fields[4]) if separator and len(fields) > 4 else None
        if point is not None and len(point) >= longest and _is_inside(path, point):
            longest, kind = len(point), after.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    for escape, character in ESCAPED:
        text = text.replace(escape, character)
    return text


def _is_inside(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
