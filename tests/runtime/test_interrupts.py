from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from tests.runtime.servers import Server, silent

from coatcheck._runtime.interrupts import Interruptible

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
        server.has_request.wait()
        program.send_signal(signal.SIGINT)
        printed, _ = program.communicate()

    assert "interrupted\n" == printed


def test_calls_of_the_main_thread_share_one_other_thread() -> None:
    """One thread is started with the first call, makes every call, and has ended after `close`."""
    before, calls = threading.active_count(), Interruptible()
    names = {calls.perform(lambda: threading.current_thread().name) for _ in range(3)}
    calls.close()

    assert ({"coatcheck-requests"}, before) == (names, threading.active_count())


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
