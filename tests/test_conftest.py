from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "2001:db8::1", "127.0.0.1.example.com"])
def test_the_network_is_refused(host: str) -> None:
    """A test can neither connect to another machine nor resolve its name."""
    with pytest.raises(RuntimeError, match="tests use only loopback"):
        socket.create_connection((host, 9), timeout=0.1)


def test_a_datagram_is_refused() -> None:
    """A datagram is refused as a connection is."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(RuntimeError, match="tests use only loopback"),
    ):
        sock.sendto(b"hello", ("192.0.2.1", 9))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    """Servers on loopback can be reached."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection((host, server.getsockname()[1]), timeout=240) as client,
    ):
        peer = client.getpeername()

    assert peer[0] == "127.0.0.1"


def test_unix_sockets_are_allowed(tmp_path: Path) -> None:
    """Sockets in the file system can be reached."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))

        assert str(tmp_path / "s") == client.getpeername()


def test_the_home_is_empty(home: Path) -> None:
    """Each test starts in an empty home."""
    assert [] == list(Path.home().iterdir())
    assert home == Path.home()


def test_the_environment_has_no_settings() -> None:
    """No setting of the machine reaches a test."""
    foreign = [
        name
        for name in os.environ
        if name.startswith(("COATCHECK_", "OPENAI_", "SSL_", "AWS_")) or name.lower().endswith("_proxy")
    ]
    ours = {name for name in os.environ if name.startswith(("CODEX_", "GIT_", "XDG_"))}

    assert [] == foreign
    assert ours == {
        "CODEX_HOME",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    }


def test_git_has_no_settings() -> None:
    """Git sees neither the machine's settings nor the user's."""
    listed = subprocess.run(["git", "config", "--list"], capture_output=True, cwd="/", check=True, timeout=240).stdout

    assert listed == b""
