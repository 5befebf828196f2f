from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from coatcheck import AsyncClient, Client, errors
from coatcheck._runtime.server_record import ServerRecord, record_path, running_server
from coatcheck.testing import AsyncEmulatorTransport, EmulatorTransport, ScriptedCloud


def record(cloud: ScriptedCloud, *, pid: int | None = None) -> ServerRecord:
    """Write the record of a server that answers with *cloud*, and return it."""
    written = ServerRecord(
        url="http://127.0.0.1:9/backend-api",
        token=cloud.tokens.access_token,
        account_id=cloud.account.account_id,
        pid=os.getpid() if pid is None else pid,
        started=0.0,
    )
    path = Path(record_path(os.environ))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(written))
    return written


def test_a_blocking_client_finds_the_running_server() -> None:
    """`Client("local")` needs neither an address nor a token while a server runs."""
    cloud = ScriptedCloud()
    record(cloud)
    with Client("local", transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert ["http://127.0.0.1:9/backend-api/wham/usage"] == [request.url for request in client._transport.requests]


@pytest.mark.anyio
async def test_an_asynchronous_client_finds_the_running_server() -> None:
    """`AsyncClient("local")` does the same."""
    cloud = ScriptedCloud()
    record(cloud)
    async with AsyncClient("local", transport=AsyncEmulatorTransport(cloud)) as client:
        used = await client.get_usage()

    assert "plus" == used.plan


def test_who_says_where_the_server_is_is_believed() -> None:
    """An address that was given wins over the record."""
    cloud = ScriptedCloud()
    record(cloud)
    url, token = "http://127.0.0.1:10/backend-api", cloud.tokens.access_token
    with Client("local", base_url=url, token=token, transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert [f"{url}/wham/usage"] == [request.url for request in client._transport.requests]


def test_a_server_that_is_gone_is_none() -> None:
    """The record of a process that has ended leads to the remedy, not to a refused connection."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    record(ScriptedCloud(), pid=gone.pid)
    with Client("local") as client, pytest.raises(errors.ConfigurationError) as caught:
        client.get_usage()

    assert caught.value.remedy.startswith("start one with: coatcheck serve")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"url": "http://127.0.0.1"}'])
def test_a_broken_record_is_none(content: bytes) -> None:
    """A record that cannot be read says nothing."""
    path = Path(record_path(os.environ))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    assert running_server(os.environ) is None


def test_a_record_shows_no_token() -> None:
    """What opens the server is not printed."""
    shown = repr(record(ScriptedCloud()))

    assert "token" not in shown
