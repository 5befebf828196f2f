"""Start a run on a fork server (`tests/fork_server.py`). As a program: the server's socket, then the run's arguments.

It imports little, because it is started for each command of an example.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO


def start(
    address: str, arguments: Sequence[str], *, environ: Mapping[str, str], streams: tuple[int, int, int]
) -> BinaryIO:
    """Start a run in the current folder, and return the server's answer: a line with its pid, then one with its status."""
    os.umask(mask := os.umask(0))
    variables = (f"{name}={value}" for name, value in environ.items())
    fields = (os.getcwd(), str(mask), str(len(arguments)), *arguments, *variables)
    message = b"\0".join(map(os.fsencode, fields))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(message).to_bytes(8, "big")], streams)
        server.sendall(message)
        return server.makefile("rb")


if __name__ == "__main__":
    answer = start(sys.argv[1], sys.argv[2:], environ=os.environ, streams=(0, 1, 2))
    _, status = answer.readline(), int(answer.readline())
    os._exit(128 - status if status < 0 else status)
