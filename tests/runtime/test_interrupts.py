from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from tests.runtime.servers import Connection, Server, answer, silent

from coatcheck._protocol.effects import Request, Response, transmit
from coatcheck._runtime.driver import Driver, perform
from coatcheck._runtime.interrupts import Interruptible
from coatcheck.testing import FakeClock

CODE = """
import sys
from coatcheck import Client

with Client("codex", token="made-up", account_id="a", base_url=sys.argv[1], environ={"COATCHECK_TRANSPORT": sys.argv[2]}) as client:
    try:
        client.get_usage()
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx2"])
def test_interrupt_ends_a_request(transport: str) -> None:
    """Ctrl-C during an unanswered request raises KeyboardInterrupt in the program that uses the library."""
    with (
        Server(silent) as server,
        subprocess.Popen(
            [sys.executable, "-c", CODE, server.url(), transport], stdout=subprocess.PIPE, text=True
        ) as program,
    ):
        server.wait_for_request(program)
        program.send_signal(signal.SIGINT)
        printed, _ = program.communicate()

    assert "interrupted\n" == printed


def test_calls_of_the_main_thread_share_one_other_thread() -> None:
    """One thread is started with the first call, makes every call, and has ended after `close`."""
    calls = Interruptible()
    threads = {calls.perform(threading.current_thread) for _ in range(3)}
    calls.close()

    assert [("coatcheck-requests", False)] == [(thread.name, thread.is_alive()) for thread in threads]


def test_an_error_of_a_call_is_raised() -> None:
    """An error of a call is raised by its caller, and the next call works."""
    calls = Interruptible()
    with pytest.raises(ZeroDivisionError):
        calls.perform(lambda: 1 / 0)

    assert 1 == calls.perform(lambda: 1)


def test_other_threads_call_by_themselves() -> None:
    """Signals are the main thread's business: a call of another thread needs no thread more."""
    names: list[str] = []
    calls = Interruptible()
    other = threading.Thread(
        target=lambda: names.append(calls.perform(lambda: threading.current_thread().name)), name="mine"
    )
    other.start()
    other.join()

    assert ["mine"] == names


COUNTING = """
import signal, sys
from coatcheck import Client

signals = []
signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
with Client("codex", token="made-up", account_id="a", base_url=sys.argv[1], environ={}) as client:
    print(len(client.get_page().items), len(signals))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGUSR1")
def test_a_signal_that_ends_nothing_loses_no_answer() -> None:
    """Where a signal's handler returns, the request that the signal cancelled is sent again."""
    connections: list[Connection] = []

    def script(connection: Connection) -> None:
        connections.append(connection)
        if len(connections) == 1:
            silent(connection)
        elif connection.receive():
            connection.send(answer(b'{"items": [{"id": "task_e_1"}]}'))

    with (
        Server(script) as server,
        subprocess.Popen([sys.executable, "-c", COUNTING, server.url()], stdout=subprocess.PIPE, text=True) as program,
    ):
        server.wait_for_request(program)
        program.send_signal(signal.SIGUSR1)
        printed, _ = program.communicate()

    assert ("1 1\n", 2) == (printed, len(connections))


def test_an_interrupt_shows_no_cancelled_request() -> None:
    """The traceback of Ctrl-C ends where the program was, and not with the error of the request that it cancelled."""
    code = CODE.replace("try:", "if True:").partition("    except")[0]
    with (
        Server(silent) as server,
        subprocess.Popen(
            [sys.executable, "-c", code, server.url(), "pyreqwest"], stderr=subprocess.PIPE, text=True
        ) as program,
    ):
        server.wait_for_request(program)
        program.send_signal(signal.SIGINT)
        _, printed = program.communicate()

    assert (True, 1) == (printed.endswith("KeyboardInterrupt\n"), printed.count("Traceback"))


@pytest.fixture
def wakeup() -> Iterator[int]:
    """Return the descriptor that another library has given to `signal.set_wakeup_fd`."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    yield writer
    signal.set_wakeup_fd(-1)
    os.close(reader)
    os.close(writer)


def thread_name() -> str:
    """Return the name of the current thread."""
    return threading.current_thread().name


def test_a_call_that_can_be_cancelled_is_made_in_place() -> None:
    """It needs no other thread, and leaves no descriptor that signals are written to."""
    calls = Interruptible()
    name = calls.perform_here(thread_name, cancel=lambda: None)
    calls.close()

    assert (threading.main_thread().name, -1) == (name, signal.set_wakeup_fd(-1))


def test_another_library_keeps_its_signals(wakeup: int) -> None:
    """Where signals wake another library, such as asyncio, they still do, and a second thread makes the calls."""
    calls = Interruptible()
    names = [calls.perform_here(thread_name, cancel=lambda: None) for _ in range(2)]
    calls.close()

    assert (["coatcheck-requests"] * 2, wakeup) == (names, signal.set_wakeup_fd(wakeup))


@pytest.mark.usefixtures("wakeup")
def test_a_thread_that_could_not_watch_is_not_started() -> None:
    """Where signals wake another library, only the thread that makes the calls is started."""
    before, calls = set(threading.enumerate()), Interruptible()
    calls.perform_here(thread_name, cancel=lambda: None)
    names = [thread.name for thread in set(threading.enumerate()) - before]
    calls.close()

    assert ["coatcheck-requests"] == names


def test_closing_ends_every_thread() -> None:
    """After `close` neither the thread that makes calls nor the one that watches signals is left."""
    before, calls = set(threading.enumerate()), Interruptible()
    calls.perform_here(thread_name, cancel=lambda: None)
    calls.perform(thread_name)
    started = set(threading.enumerate()) - before
    calls.close()

    assert (2, set()) == (len(started), started & set(threading.enumerate()))


class Named:
    """A transport that answers with its name and the name of the thread that uses it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def send(self, request: Request) -> Response:
        return Response(200, body=f"{self._name} {thread_name()}".encode())

    def cancel(self, request: Request) -> None: ...
    def close(self) -> None: ...


def test_the_main_thread_has_connections_that_it_can_cancel() -> None:
    """Its requests use a transport of their own: those that change something in a second thread, the others in place."""
    driver = Driver(Named("shared"), FakeClock(), is_native=True, main=Named("main"))
    bodies = [perform(transmit(Request(method, "/")), driver).body for method in ("GET", "HEAD", "POST", "DELETE")]
    other = threading.Thread(
        target=lambda: bodies.append(perform(transmit(Request("GET", "/")), driver).body), name="x"
    )
    other.start()
    other.join()
    driver.close()

    assert [b"main MainThread"] * 2 + [b"main coatcheck-requests"] * 2 + [b"shared x"] == bodies
