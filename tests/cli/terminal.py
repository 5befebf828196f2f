"""Run the command line in a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

MAIN = "import sys; from coatcheck._cli.main import main; sys.argv[0] = 'coatcheck'; main()"


def in_terminal(*arguments: str, columns: int = 80, environ: Mapping[str, str] | None = None) -> str:
    """Return what `coatcheck` prints in a terminal of *columns* columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process_environ = {**os.environ, "TERM": "xterm-256color", "PAGER": "cat", **(environ or {})}
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(command, env=process_environ, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        output = _read_all(ours)
    return output.decode().replace("\r\n", "\n")


def _read_all(descriptor: int) -> bytes:
    chunks = []
    try:
        while chunk := os.read(descriptor, 65_536):
            chunks.append(chunk)
    except OSError:  # Linux reports EIO when the last process has closed the terminal
        pass
    os.close(descriptor)
    return b"".join(chunks)
