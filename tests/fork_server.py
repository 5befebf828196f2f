"""A process that has imported a program once and forks for each run of it, which saves the time of the imports.

Invariants:

- the server has one thread when it forks, and nothing open but its sockets;
- a run has the arguments, variables, folder, umask and standard streams of the client that started it;
- a run whose client has ended is killed.

The server is started with the path of its socket and the name of a module with a function `main`. Each connection is
one run: `fork_client.start` sends the run, the server answers with its process id, and with its exit status at the end
(a negative number is the signal that ended it).
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


class ForkServer:
    """A fork server in a process of its own; *imports* are modules that runs need beside *module*."""

    def __init__(self, module: str, *imports: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fork-")  # short: a socket's path has at most 103 bytes
        self.address = str(Path(self._folder.name, "socket"))
        command = [sys.executable, "-m", "tests.fork_server", self.address, module, *imports]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def write_program(self, path: Path) -> None:
        """Write a program that is a run of the module."""
        command = shlex.join([sys.executable, "-IS", str(ROOT / "tests" / "fork_client.py"), self.address])
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)

    def close(self) -> None:
        """End the server and its runs."""
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()


class Runs:
    """The runs of a server."""

    def __init__(self, address: str, main: Callable[[], object]) -> None:
        self._main = main
        self._clients: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._ended, waking = socket.socketpair()
        waking.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking.detach())
        self._selector.register(self._ended, selectors.EVENT_READ, self._collect)

    def serve(self) -> None:
        """Start and end runs until SIGTERM."""
        signal.signal(signal.SIGTERM, self._close)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        length, streams, _, _ = socket.recv_fds(client, 8, 3)
        with client.makefile("rb") as file:
            fields = list(map(os.fsdecode, file.read(int.from_bytes(length, "big")).split(b"\0")))
        if (pid := os.fork()) == 0:
            self._run(fields, streams)
        for descriptor in streams:
            os.close(descriptor)
        self._clients[pid] = client
        self._selector.register(client, selectors.EVENT_READ, lambda: self._kill(pid))
        client.sendall(b"%d\n" % pid)

    def _run(self, fields: list[str], streams: list[int]) -> None:
        """Be the process of a run."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        folder, mask, count, *rest = fields
        os.chdir(folder)
        os.umask(int(mask))
        sys.argv[1:] = rest[: int(count)]
        os.environ.clear()
        os.environ.update(variable.split("=", 1) for variable in rest[int(count) :])
        time.tzset()
        for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
            stream = open(number, mode, encoding="utf-8")  # noqa: SIM115 - open until the end of the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # a stream that nothing refers to would be closed
        try:
            self._main()
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 - reported as at the end of any process
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _kill(self, pid: int) -> None:
        """Kill a run whose client has ended."""
        self._selector.unregister(self._clients[pid])
        os.kill(pid, signal.SIGKILL)

    def _collect(self) -> None:
        """Answer the clients whose runs have ended."""
        self._ended.recv(64)
        for pid in list(self._clients):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._answer(self._clients.pop(pid), os.waitstatus_to_exitcode(status))

    def _answer(self, client: socket.socket, status: int) -> None:
        if client in self._selector.get_map():
            self._selector.unregister(client)
            client.sendall(b"%d\n" % status)
        client.close()

    def _close(self, *_: object) -> None:
        for pid in self._clients:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def main() -> None:
    """Serve runs of the module that is named."""
    address, module, *imports = sys.argv[1:]
    for name in imports:
        importlib.import_module(name)
    runs = Runs(address, importlib.import_module(module).main)
    gc.freeze()
    os.write(1, b"ready\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    runs.serve()


if __name__ == "__main__":
    main()
