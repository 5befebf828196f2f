"""Run one command and end everything that it started: the program between the server and an agent.

Started as ``python -I -S supervisor.py DESCRIPTOR`` with one end of a Unix socket; it imports nothing of ours, and
neither `json` nor `socket`, which would double the time of its start.
It reads a dict (``arguments``, ``cwd``, ``environ``, ``cgroup``; marshal) after its length, and writes lines:
``started PID``, ``failed ERRNO TEXT``, ``ended STATUS`` (negative: a signal) and, when nothing of the command runs any
more, ``left NUMBER`` (of processes that could not be killed). The server writes ``T`` to end the command with SIGTERM
and ``K`` to end everything.

Invariants:
- on Linux every process that the command starts stays a descendant of the supervisor (PR_SET_CHILD_SUBREAPER,
  prctl(2)), whatever its session and environment;
- when the command ends, and when the server ends (its end of the socket closes), all of them are killed: first each is
  stopped until no new one appears, so that a process that forks all the time cannot get away;
- the command's parent is a process between them: a command that kills its parent does not kill the supervisor, and
  one that stops its parent (SIGSTOP) cannot hide that it has ended: the parent is continued at once.
"""

import contextlib
import marshal
import os
import select
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
# Killing takes longer only where the kernel waits for a device (state D in proc(5)), in seconds.
END_TIMEOUT = 10.0
# The pause between two checks of children that are ending, in seconds.
INTERVAL = 0.01
# So often, and after such pauses (seconds), the end of the process between is awaited before processes are listed.
QUICK_CHECKS, QUICK_INTERVAL = 5, 0.001
# The longest error message that is passed on.
MAX_TEXT = 1000
# Where /proc/PID/stat has the number of threads, counted from the state (proc(5)): a process whose first thread has
# ended is shown as a zombie while its other threads run.
THREADS = 17
# The command is preceded by its length, so that nothing that follows it is read with it.
LENGTH_BYTES = 8


def become_subreaper() -> None:
    """Adopt every orphan among the descendants of this process, where the system can."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> dict[int, int]:
    """Return the parent of every process that runs (zombies do not), {} where there is no /proc."""
    found: dict[int, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    with open(f"/proc/{name}/stat", "rb") as file:
                        fields = file.read().rpartition(b")")[2].split()
                    if fields[0] not in (b"Z", b"X") or int(fields[THREADS]) > 1:
                        found[int(name)] = int(fields[1])
    return found


def descendants(roots: set[int]) -> set[int]:
    """Return the processes below *roots* that run."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(new)
        waiting.extend(new)
    return found - roots


def end_descendants(roots: set[int], *, deadline: float) -> None:
    """Stop the processes below *roots* until no new one appears, then kill them; *roots* themselves are left alone.

    A process with a pending signal cannot fork (fork(2) restarts after it), so the second pass finds all there are.
    """
    stopped: set[int] = set()
    while (new := descendants(roots) - stopped) and time.monotonic() < deadline:
        for pid in new:
            send(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    """Send a signal; a process that has ended, or that may not be signalled, is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_group(pid: int, number: int) -> None:
    """Send a signal to a process group; one that has ended is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def execute(command: dict[str, object]) -> None:
    """Become the command; raises `OSError` or `ValueError`."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if group := command["cgroup"]:
        with contextlib.suppress(OSError), open(f"{group}/cgroup.procs", "wb", buffering=0) as file:
            file.write(b"0")
    os.chdir(str(command["cwd"]))
    arguments: list[str] = command["arguments"]  # type: ignore[assignment]
    environ: dict[str, str] = command["environ"]  # type: ignore[assignment]
    os.execvpe(arguments[0], arguments, environ)  # noqa: S606 - an argument list, no shell


def fork_command(command: dict[str, object]) -> tuple[int, str]:
    """Start the command; return its pid and why it could not be started, "" if it was."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            execute(command)
        except OSError as error:
            os.write(writing, f"{error.errno} {error.strerror}"[:MAX_TEXT].encode())
        except ValueError as error:
            os.write(writing, f"0 {error}"[:MAX_TEXT].encode())
        finally:
            os._exit(127)
    os.close(writing)
    problem = os.read(reading, MAX_TEXT * 4).decode("utf-8", "replace")
    os.close(reading)
    return pid, problem


def run_between(command: dict[str, object], writing: int) -> None:
    """Be the process between the supervisor and the command: start it, report it, wait for it."""
    pid, problem = fork_command(command)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    os.write(writing, (f"failed {problem}\n" if problem else f"started {pid}\n").encode())
    _, status = os.waitpid(pid, 0)
    if not problem:
        os.write(writing, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


class Supervisor:
    """The loop: lines of the process between go to the server, what the server writes is done."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._group = 0
        self._wakeup, self._signals = os.pipe()
        for descriptor in (self._wakeup, self._signals):
            os.set_blocking(descriptor, False)

    def run(self, command: dict[str, object]) -> None:
        """Run *command*, and end everything in the end."""
        reading, writing = os.pipe()
        if (parent := os.fork()) == 0:
            try:
                os.close(reading)
                os.close(self._server)
                run_between(command, writing)
            finally:
                os._exit(0)
        os.close(writing)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)
        reap(parent)  # it may have been stopped before SIGCHLD had a handler
        self._relay(reading, parent)
        self._send(f"left {self._end()}\n".encode())

    def _relay(self, reading: int, parent: int) -> None:
        server = self._server
        while True:
            ready, _, _ = select.select([reading, server, self._wakeup], [], [])
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                reap(parent)
            # first the command's start: SIGTERM for it may have come in the same moment
            if reading in ready and not self._report(os.read(reading, 4096)):
                return
            if server in ready and not self._handle(self._receive()):
                return

    def _receive(self) -> bytes:
        try:
            return os.read(self._server, 64)
        except ConnectionError:  # the server ended without reading everything
            return b""

    def _handle(self, orders: bytes) -> bool:
        """Do what the server wrote; return whether to go on."""
        if b"T" in orders and self._group:
            send_group(self._group, signal.SIGTERM)
        return bool(orders) and b"K" not in orders

    def _report(self, lines: bytes) -> bool:
        """Pass lines on; return whether to go on."""
        if lines.startswith(b"started "):
            self._group = int(lines.split()[1])
        self._send(lines)
        return bool(lines) and b"failed" not in lines and b"ended" not in lines

    def _send(self, lines: bytes) -> None:
        with contextlib.suppress(OSError):
            while lines:
                lines = lines[os.write(self._server, lines) :]

    def _end(self) -> int:
        """Kill everything below this process; return how many processes could not be killed."""
        deadline = time.monotonic() + END_TIMEOUT
        me = {os.getpid()}
        if self._group:
            send_group(self._group, signal.SIGKILL)
        for _ in range(QUICK_CHECKS):  # mostly the command has left nothing: no list of all processes is needed then
            reap()
            if not has_children():
                return 0
            time.sleep(QUICK_INTERVAL)
        while True:
            end_descendants(me, deadline=deadline)
            reap()
            if not (left := descendants(me)) or time.monotonic() > deadline:
                return len(left)
            time.sleep(INTERVAL)


def reap(parent: int = 0) -> None:
    """Wait for the children that have ended; continue the command's *parent* where it was stopped."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            pid, status = found
            if pid == parent and os.WIFSTOPPED(status):
                send(pid, signal.SIGCONT)


def has_children() -> bool:
    """Whether this process may have children; a subreaper without any has no descendants: it would have adopted them."""
    if sys.platform != "linux":
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def receive(server: int, length: int) -> bytes:
    """Return *length* bytes; ends the program where the server ends before it has written them."""
    data = bytearray()
    while len(data) < length:
        chunk = os.read(server, min(1 << 20, length - len(data)))
        if not chunk:
            sys.exit(1)
        data += chunk
    return bytes(data)


def main() -> None:
    """Read the command from the server, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    server = int(sys.argv[1])
    os.set_inheritable(server, False)  # noqa: FBT003 - as os has it
    length = int.from_bytes(receive(server, LENGTH_BYTES), "big")
    Supervisor(server).run(marshal.loads(receive(server, length)))  # noqa: S302 - the server is the parent
    os._exit(0)  # the interpreter has nothing to end


if __name__ == "__main__":
    main()
