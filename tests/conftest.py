"""Fixtures of every test: an empty home folder, a bare environment, no network but loopback."""

from __future__ import annotations

import atexit
import gc
import ipaddress
import itertools
import os
import shutil
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.checkouts import RepositoryCopies
from tests.examples import USUAL

# Same examples in every run of CI; no deadline, because two busy cores are slow at random.
PROFILE = settings(max_examples=USUAL, deadline=None, database=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile("coatcheck", PROFILE)
settings.register_profile("quick", PROFILE, max_examples=USUAL // 4)  # of `make test`
settings.load_profile("coatcheck")

# Collecting 12,000 tests frees next to nothing; looking for garbage meanwhile took a fifth of the time.
gc.disable()

# Compiled modules are kept: without them each process of a test compiles what it imports, and each run every test again.
sys.dont_write_bytecode = False

# Where there is memory for it, temporary folders are in memory: tests make many repositories and databases, and on a disk
# each commit waits for it. A container often has 64 MB there; a run takes one gigabyte.
MEMORY, MEMORY_NEEDED = "/dev/shm", 4 << 30
if (
    "TMPDIR" not in os.environ
    and os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # tests run programs that they write
):
    os.environ["TMPDIR"] = tempfile.tempdir = MEMORY

# The variables that a test inherits. An allow-list: proxies, certificates, tokens and editors' settings are not in it.
KEPT = ("PATH", "TMPDIR", "LANG", "CI")
KEPT_PREFIXES = ("PYTEST_", "PYTHON", "COVERAGE_", "HYPOTHESIS_", "LC_")
REMOVED = ("PYTHONDONTWRITEBYTECODE",)
# Variables that name folders, and their paths below the home of a test.
HOME_VARIABLES = {
    "HOME": "",
    "XDG_CACHE_HOME": "/.cache",
    "XDG_CONFIG_HOME": "/.config",
    "XDG_DATA_HOME": "/.local/share",
    "XDG_STATE_HOME": "/.local/state",
    "CODEX_HOME": "/.codex",
}


class NetworkRefusedError(RuntimeError):
    """A test used an address that is not loopback."""


def pytest_collection_finish() -> None:
    """Collect garbage less often, and leave out what exists before the first test: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """End a process of pytest-xdist without freeing its objects one by one.

    That took so long that pytest-xdist killed the process (after ten seconds), and its parent warned that it still runs.
    """
    if hasattr(config, "workerinput"):
        atexit.register(os._exit, 0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what coverage has measured in a process of pytest-xdist, which ends before coverage would write it."""
    module = sys.modules.get("coverage") if hasattr(session.config, "workerinput") else None
    if module is not None and (measurement := module.Coverage.current()) is not None:
        measurement.save()


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

# A background job of a script ignores SIGINT (POSIX, "Asynchronous Lists"), and what nohup runs ignores SIGHUP. Programs
# that a test starts would inherit that, and no signal of the test would end them.
for name, handler in {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}.items():
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests under asyncio, the only loop that the library supports."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def bare_environment() -> Iterator[None]:
    """Remove the settings of the machine, and those of its user for git."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in REMOVED or (name not in KEPT and not name.startswith(KEPT_PREFIXES)):
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        # Without an address git asks DNS for the name of the machine, and waits for seconds where there is no network.
        patch.setenv("EMAIL", "somebody@example.com")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_certificates(bare_environment: None) -> Iterator[None]:
    """Let httpx2 read none of the system's certificates, which takes 20 ms for each client; loopback needs none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx2.create_ssl_context", lambda **_: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        yield


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory, bare_environment: None) -> RepositoryCopies:
    """Copies of repositories that are made once."""
    return RepositoryCopies(tmp_path_factory)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths of the homes of tests."""
    folder = tmp_path_factory.mktemp("homes", numbered=False)
    return map(folder.joinpath, map(str, itertools.count()))


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own empty home folder."""
    home = next(homes)
    home.mkdir()
    for name, path in HOME_VARIABLES.items():
        monkeypatch.setenv(name, f"{home}{path}")
    return home
