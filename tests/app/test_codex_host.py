"""A Codex host in the background: started once, found, stopped, and what goes wrong."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from coatcheck import Client, errors
from coatcheck._app.codex_host import PROVIDER, host_status, start_host, stop_host
from coatcheck._runtime.host_record import host_folder, running_host, write_record
from coatcheck._runtime.session import Options, Session
from coatcheck._runtime.system_clock import SystemClock

# Listens as `codex app-server --listen URL` does, and ends on SIGTERM.
PROGRAM = """#!{python}
import os, socket, sys
url, options = sys.argv[3], sys.argv[4:]
if url.startswith("unix:"):
    server = socket.socket(socket.AF_UNIX)
    server.bind(url.removeprefix("unix://"))
else:
    assert options[:3] == ["--ws-auth", "capability-token", "--ws-token-file"], options
    server = socket.socket()
    server.bind(("127.0.0.1", int(url.rpartition(":")[2])))
server.listen()
while True:
    server.accept()[0].close()
"""
CLOCK = SystemClock()


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """An environment with the program ``codex``; a host that was started is stopped."""
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    with tempfile.TemporaryDirectory(dir="/tmp") as state:  # the path of a socket is short (unix(7))
        values = {"PATH": str(program.parent), "XDG_STATE_HOME": state, "HOME": str(tmp_path)}
        yield values
        stop_host(values, clock=CLOCK)


def mode(path: str) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_host_is_started_once_and_found_and_stopped(environ: Mapping[str, str]) -> None:
    """Starting again returns the host that runs; a client finds it without a setting; it is gone after `stop`."""
    record, is_new = start_host(environ, clock=CLOCK)
    again, is_newer = start_host(environ, clock=CLOCK)
    session = Session(Options(provider=PROVIDER, environ=environ))
    stopped = stop_host(environ, clock=CLOCK)

    assert (True, False, record, record) == (is_new, is_newer, again, stopped)
    assert {"api": record.url} == session.provider.origins
    assert (None, None, 0o700) == (host_status(environ), stop_host(environ, clock=CLOCK), mode(host_folder(environ)))


def test_a_host_on_loopback_has_a_token_that_clients_read(environ: Mapping[str, str]) -> None:
    """The token is in a file of mode 0600, in no record and in no ``repr``; a client of this machine sends it."""
    record, _ = start_host(environ, clock=CLOCK, port=0)
    token = record.read_token() or ""
    secret = next_secret(environ)

    assert (True, 0o600, token) == (record.url.startswith("ws://127.0.0.1:"), mode(record.token_file or ""), secret)
    assert len(token) >= 32
    assert not any(token in path.read_text() for path in Path(host_folder(environ)).glob("*.json"))


def next_secret(environ: Mapping[str, str]) -> str:
    """Return the secret that a client sends."""
    from coatcheck._runtime.driver import Driver, perform
    from coatcheck.testing import EmulatorTransport

    session = Session(Options(provider=PROVIDER, environ=environ))
    driver = Driver(EmulatorTransport(None), CLOCK)  # type: ignore[arg-type] # nothing is sent
    token: str = perform(session.credentials.get_secret(), driver).token
    return token


def test_a_host_s_address_and_token_are_not_those_of_codex_cloud(environ: Mapping[str, str]) -> None:
    """Where the setting asks for Codex Cloud, the host that runs here gives neither its address nor its token."""
    record, _ = start_host(environ, clock=CLOCK, port=0)
    in_cloud = {**environ, "COATCHECK_CODEX_APP_SERVER_BACKEND": "cloud", "CODEX_ACCESS_TOKEN": "of-the-cloud"}
    session = Session(Options(provider=PROVIDER, environ=in_cloud))

    assert "of-the-cloud" == next_secret(in_cloud)
    assert "https://codex-cloud-backend.chatgpt.com" == session.provider.origins["api"] != record.url


def test_a_host_that_was_killed_is_not_found(environ: Mapping[str, str]) -> None:
    """A record whose process has ended, or that is of another boot or process, stands for no host."""
    record, _ = start_host(environ, clock=CLOCK)
    others = [replace(record, started="1"), replace(record, boot="another")]
    found = []
    for other in others:
        write_record(environ, PROVIDER, other)
        found.append(running_host(environ, PROVIDER))
    write_record(environ, PROVIDER, record)
    Path(host_folder(environ), f"{PROVIDER}.json.half").write_text("{")

    assert ([None, None], record) == (found, running_host(environ, PROVIDER))


@pytest.mark.parametrize(
    ("program", "message"),
    [("no-such-program", "'no-such-program' is not installed"), ("failing", "the host ended at once: cannot listen")],
)
def test_a_program_that_does_not_serve_is_an_error(environ: Mapping[str, str], program: str, message: str) -> None:
    """A program that is missing, or that ends, is one line with what it printed last."""
    failing = Path(environ["PATH"]) / "failing"
    failing.write_text("#!/bin/sh\necho starting\necho 'cannot listen' >&2\nexit 3\n")
    failing.chmod(0o755)
    with pytest.raises(errors.ConfigurationError, match=message):
        start_host(environ, clock=CLOCK, program=program)

    assert host_status(environ) is None


def test_without_a_host_a_client_names_the_command(environ: Mapping[str, str]) -> None:
    """A client without an address says how to start a host."""
    with pytest.raises(errors.ConfigurationError) as caught:
        Client(PROVIDER, environ=environ).get_page()

    assert "coatcheck codex-host up" in str(caught.value.remedy)


def test_a_socket_with_a_long_path_is_refused(environ: Mapping[str, str], tmp_path: Path) -> None:
    """Where the state folder is too deep for a socket, the remedy is loopback."""
    deep = {**environ, "XDG_STATE_HOME": str(tmp_path / ("d" * 100))}
    with pytest.raises(errors.ConfigurationError) as caught:
        start_host(deep, clock=CLOCK)

    assert "codex-host up --port 0" in str(caught.value.remedy)
