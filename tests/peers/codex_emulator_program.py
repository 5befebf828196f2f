"""A program that serves the emulator of the app-server over its standard streams, as `codex app-server` does.

The turns of the emulator are by prompt: "approve" waits for an approval, "fail" fails, "wait" does not end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable

from coatcheck import errors
from coatcheck._protocol.effects import Open, Request
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing.emulators.codex_app_server import CodexAppServerEmulator
from coatcheck.testing.emulators.codex_threads import Failed, Pause, Step, edit, ordinary_turn

STEP_SECONDS = 0.02


def life(prompt: str) -> Iterable[Step]:
    """Return the steps of a turn."""
    if prompt == "approve":
        yield Pause("item/fileChange/requestApproval", startedAtMs=0, item=edit())
    if prompt == "fail":
        yield Failed("the limit is reached", "usageLimitExceeded")
    if prompt == "wait":
        yield Pause("item/tool/requestUserInput", flag="waitingOnUserInput", questions=[], isBlocking=True)
    yield from ordinary_turn(prompt)


def main() -> None:
    """Serve until the end of the input."""
    emulator = CodexAppServerEmulator(life, clock=SystemClock(), step_seconds=STEP_SECONDS, token="")
    channel = emulator.handle(Request("GET", "/", channel=Open())).stream

    def write() -> None:
        while True:
            with contextlib.suppress(errors.TransportTimeoutError):
                os.write(1, channel.receive(STEP_SECONDS) + b"\n")

    threading.Thread(target=write, daemon=True).start()
    for line in sys.stdin.buffer:
        channel.send(line)


if __name__ == "__main__":
    main()
