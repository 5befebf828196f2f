"""Fixtures of every test: an empty home folder, a bare environment, no network but loopback."""

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
settings.register_profile("coatcheck", deadline=None, database=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("coatcheck")

# The variables that a test inherits. An allow-list: proxies, certificates, tokens and editors' settings are not in it.
KEPT = ("PATH", "TMPDIR", "LANG", "CI")
KEPT_PREFIXES = ("PYTEST_", "PYTHON", "COVERAGE_", "HYPOTHESIS_", "LC_")


class NetworkRefusedError(RuntimeError):
    """A test used an address that is not loopback."""


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
        message = f"tests use only loopback addresses, but {event} has {host}"
        raise NetworkRefusedError(message)


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine: a loopback address, or a name reserved for it (RFC 6761 6.3)."""
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
    """Return the test's own empty home folder, with an environment without settings."""
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
