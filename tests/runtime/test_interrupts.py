from __future__ import annotations

import signal
import subprocess
import sys

from tests.runtime.servers import OUTAGE_LIMIT, Server, silent

CODE = """
import sys
from coatcheck._protocol.effects import Request
from coatcheck._runtime.interrupts import interruptible
from coatcheck._runtime.transport import ReqwestTransport

transport = ReqwestTransport()
try:
    with interruptible(transport):
        transport.send(Request("GET", "/", url=sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupt_ends_a_request() -> None:
    """Ctrl-C during a request that nobody answers is a KeyboardInterrupt at once, not when its time is up."""
    with (
        Server(silent) as server,
        subprocess.Popen([sys.executable, "-c", CODE, server.url()], stdout=subprocess.PIPE, text=True) as program,
    ):
        server.has_request.wait(OUTAGE_LIMIT)
        program.send_signal(signal.SIGINT)
        printed, _ = program.communicate(timeout=OUTAGE_LIMIT)

    assert "interrupted\n" == printed
