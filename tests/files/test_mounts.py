"""Which folders are on the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck._files.mounts import file_system_of, is_on_network

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /home rw shared:2 master:1 - nfs4 server:/home rw
41 40 0:36 / /home/me/local rw - tmpfs tmpfs rw
42 22 0:37 / /mnt/two\040words rw - cifs //server/share rw
43 22 0:38 / /mnt/far rw - fuse.sshfs me@server: rw
not a line
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homes", "ext4"),
        ("/home/me/local/state", "tmpfs"),
        ("/mnt/two words/x", "cifs"),
        ("/mnt/far/x", "fuse.sshfs"),
    ],
)
def test_the_longest_mount_point_decides(path: str, expected: str) -> None:
    """A path is on the file system that is mounted nearest above it."""
    assert expected == file_system_of(path, MOUNTS)


def test_network_file_systems_are_recognised(tmp_path: Path) -> None:
    """A folder on NFS is on the network, one on ext4 is not, nor is one of which nothing is known."""
    point = str(tmp_path.resolve())
    nfs, local = (f"1 0 0:1 / {point} rw - {kind} source rw" for kind in ("nfs", "ext4"))

    assert (True, False, False) == tuple(is_on_network(f"{point}/state", mounts=text) for text in (nfs, local, ""))
