"""What every test stands on: an empty home, a bare environment, no network but loopback."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path

# Same examples in every run of CI; no deadline, because two busy cores are slow at random.
settings.register_profile("house", deadline=None, database=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("house")

# What a test may see of the machine. An allow-list: proxies, certificates, tokens and editors' settings all stay out.
KEPT = ("PATH", "TMPDIR", "LANG", "CI")
KEPT_PREFIXES = ("PYTEST_", "PYTHON", "COVERAGE_", "HYPOTHESIS_", "LC_")


class NetworkRefusedError(RuntimeError):
    """A test tried to leave the machine."""


def refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: raise when Python connects, sends or resolves to anything but loopback. Unix sockets are free."""
    match event, arguments:
        case "socket.connect" | "socket.sendto", (_, (str(host), *_)):
            pass
        case "socket.getaddrinfo", (str(host), *_):
            pass
        case _:
            return
    if not is_loopback(host):
        message = f"tests stay on this machine, but {event} wants {host}"
        raise NetworkRefusedError(message)


def is_loopback(host: str) -> bool:
    """Tell whether *host* is this machine: a loopback address, or a name reserved for it (RFC 6761 6.3)."""
    if host in {"", "localhost"} or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


sys.addaudithook(refuse_the_network)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests under asyncio, the only loop that the library supports."""
    return "asyncio"


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home of its own, and an environment in which nobody has set anything."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "CODEX_HOME": str(home / ".codex"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return home
