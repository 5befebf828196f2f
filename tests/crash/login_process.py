"""A process that needs a login, and kills itself at the step that its order names: run by a fork server.

Its argument is a JSON object; it prints the access token, or the error.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from coatcheck import errors
from coatcheck._credentials import login_store, successors
from coatcheck._credentials.login_sources import LoginCredentials, LoginSelection, Source
from coatcheck._credentials.refresh import LoginLocation
from coatcheck._credentials.refresh_log import RefreshLog
from coatcheck._protocol.effects import Exclusive, Request
from coatcheck._runtime.driver import Driver, perform
from coatcheck._runtime.system_clock import SystemClock
from coatcheck._runtime.transport import ReqwestTransport, TransportOptions
from coatcheck.providers._chatgpt.credentials import LOGIN


class FastClock(SystemClock):
    """A clock on which waits take a fiftieth of their time, so that waiting for a killed process stays short."""

    def monotonic(self) -> float:
        return time.monotonic() * 50

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 50)


def die(*_: object, **__: object) -> Any:
    """End as by ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: object, name: str, condition: Callable[..., bool] = lambda *_: True) -> None:
    """Die before *name* of *owner* is called."""
    real = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: die() if condition(*given) else real(*given, **named))


def half(path: str, data: bytes) -> None:
    """Write the first half of *data* into the file that was reserved for it, then die."""
    with open(path, "r+b") as file:
        file.write(data[: len(data) // 2])
        file.flush()
    die()


# Where a process is killed; the names of those in which the service had taken the token, and nothing of its answer
# was on the disk yet, end in "(spent)".
DEATHS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "before the lock": lambda: before(Driver, "answer", lambda _, effect: isinstance(effect, Exclusive)),
    "with the lock": lambda: before(LoginLocation, "refresh"),
    "before the room": lambda: before(LoginLocation, "_reserve"),
    "in the room": lambda: before(login_store.FileStore, "reserve"),
    "before the note": lambda: before(RefreshLog, "present"),
    "before the call": lambda: before(Driver, "answer", lambda _, effect: isinstance(effect, Request)),
    "in the call": lambda: None,  # the service does it
    "in the call (spent)": lambda: None,
    "after the answer (spent)": lambda: before(LoginLocation, "_keep"),
    "in the second place (spent)": lambda: setattr(successors, "fill_file", half),
    "after the second place": lambda: before(LoginLocation, "_write"),
    "in the temporary file": lambda: setattr(login_store, "fill_file", half),
    "before the rename": lambda: before(os, "replace", lambda source, *_: source.endswith(".coatcheck")),
    "after the rename": lambda: before(login_store, "sync_folder", lambda path: path.endswith("codex")),
    "before the conclusion": lambda: before(LoginLocation, "_finish"),
}


def get_token(order: dict[str, Any]) -> str:
    """Return the access token of the order's login, or the error."""
    DEATHS[order["death"]]()
    environ = order["environ"]
    login = LoginCredentials(
        LOGIN,
        environ=environ,
        clock=FastClock() if order["is_fast"] else SystemClock(),
        random=random.random,
        config_dir=environ["COATCHECK_CONFIG_HOME"],
        state_dir=environ["COATCHECK_STATE_HOME"],
        choice=LoginSelection(source=Source(order["source"])),
    )
    transport = ReqwestTransport(TransportOptions(environ=environ))
    try:
        return perform(login.get_secret(), Driver(transport, login.clock)).token
    except errors.CoatcheckError as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    """Print the token of the order that is the argument."""
    sys.stdout.write(get_token(json.loads(sys.argv[1])))
