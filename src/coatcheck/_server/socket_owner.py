"""Whether the other end of a loopback connection belongs to the user who runs this process.

Linux shows the owner of every TCP socket in ``/proc/net/tcp`` and ``tcp6`` (proc_pid_net(5)). Other systems do not
show it, and the answer is no.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

Address: TypeAlias = tuple[str, int | None] | None

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# The columns that are read: sl local_address rem_address st queues timer retransmits uid …
_LOCAL, _REMOTE, _UID = 1, 2, 7


def is_same_user(client: Address, server: Address, *, tables: Iterable[Path] = TABLES) -> bool:
    """Whether the socket that is connected from *client* to *server* has our user id as its owner."""
    if client is None or server is None or not hasattr(os, "getuid"):
        return False
    return _owner(client, server, tables) == os.getuid()


def _owner(client: Address, server: Address, tables: Iterable[Path]) -> int | None:
    ends = (_plain(client), _plain(server))
    for row in _rows(tables):
        if (_decoded(row[_LOCAL]), _decoded(row[_REMOTE])) == ends:
            return int(row[_UID])
    return None


def _rows(tables: Iterable[Path]) -> Iterator[list[str]]:
    for table in tables:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        yield from (line.split() for line in lines)


def _plain(address: Address) -> tuple[str, int | None]:
    assert address is not None  # noqa: S101 - the caller has checked it
    return str(ip_address(address[0])), address[1]


def _decoded(text: str) -> tuple[str, int]:
    """Return what the kernel's ``0100007F:1F90`` means: words of 32 bits in this machine's byte order."""
    import sys

    words, _, port = text.partition(":")
    raw = bytes.fromhex(words)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)
