from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coatcheck import AsyncClient, Client, errors
from coatcheck._runtime.server_record import ServedEnvironment, ServerRecord, record_path, running_server
from coatcheck.cloud.http_server import write_locked
from coatcheck.testing import AsyncEmulatorTransport, EmulatorTransport, ScriptedCloud


@pytest.fixture
def record() -> Iterator[Callable[..., ServerRecord]]:
    """A function that writes the record of a server that runs until the test ends."""
    with ExitStack() as held:

        def write(cloud: ScriptedCloud, *, is_running: bool = True, **fields: Any) -> ServerRecord:
            written = ServerRecord(
                **{
                    "url": "http://127.0.0.1:9/backend-api",
                    "token": cloud.tokens.access_token,
                    "account_id": cloud.account.account_id,
                    "pid": os.getpid(),
                    "started": 0.0,
                    **fields,
                }
            )
            path = Path(record_path(os.environ))
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = write_locked(path, msgspec.json.encode(written))
            held.enter_context(lock) if is_running else lock.close()
            return written

        yield write


def test_a_blocking_client_finds_the_running_server(record: Callable[..., ServerRecord]) -> None:
    """`Client("local")` needs neither an address nor a token while a server runs."""
    cloud = ScriptedCloud()
    record(cloud)
    with Client("local", transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert ["http://127.0.0.1:9/backend-api/wham/usage"] == [request.url for request in client._transport.requests]


@pytest.mark.anyio
async def test_an_asynchronous_client_finds_the_running_server(record: Callable[..., ServerRecord]) -> None:
    """`AsyncClient("local")` does the same."""
    cloud = ScriptedCloud()
    record(cloud)
    async with AsyncClient("local", transport=AsyncEmulatorTransport(cloud)) as client:
        used = await client.get_usage()

    assert "plus" == used.plan


def test_a_given_address_precedes_the_record(record: Callable[..., ServerRecord]) -> None:
    """An address that was given has precedence over the record."""
    cloud = ScriptedCloud()
    record(cloud)
    url, token = "http://127.0.0.1:10/backend-api", cloud.tokens.access_token
    with Client("local", base_url=url, token=token, transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert [f"{url}/wham/usage"] == [request.url for request in client._transport.requests]


def test_a_killed_server_is_none_though_its_process_number_is_in_use(record: Callable[..., ServerRecord]) -> None:
    """A record without a lock holder leads to the remedy, not to a refused connection."""
    record(ScriptedCloud(), is_running=False, pid=os.getpid())
    with Client("local") as client, pytest.raises(errors.ConfigurationError) as caught:
        client.get_usage()

    assert caught.value.remedy.startswith("start a local cloud with: coatcheck serve")


def test_a_server_on_another_machine_is_none(record: Callable[..., ServerRecord]) -> None:
    """A state folder that several machines share holds records that mean nothing here."""
    record(ScriptedCloud(), boot="another machine's")

    assert running_server(os.environ) is None


OTHER = {
    "url": "http://127.0.0.1:10/backend-api",
    "started": 1.0,
    "task_prefix": "task_e_22222222",
    "environments": (ServedEnvironment(id="e2", label="Owner/Two", repository="Owner/Two", path="/srv/two"),),
}
ONE = {
    "task_prefix": "task_e_11111111",
    "environments": (ServedEnvironment(id="e1", label="one", path="/srv/one"),),
}


@pytest.mark.parametrize(
    ("hints", "port"),
    [
        ({"environments": ["owner/two"]}, 10),
        ({"environments": ["e2"]}, 10),
        ({"environments": ["/srv/one", "elsewhere/x"]}, 9),
        ({"tasks": ["task_e_22222222abc"]}, 10),
        ({"tasks": ["task_e_11111111abc"], "environments": ["owner/two"]}, 9),
    ],
)
def test_of_two_servers_the_matching_one_is_found(
    record: Callable[..., ServerRecord], hints: dict[str, list[str]], port: int
) -> None:
    """The environment may be named by id, label, repository or path, and a task by its id."""
    record(ScriptedCloud(), **ONE)
    record(ScriptedCloud(), **OTHER)
    found = running_server(os.environ, **hints)

    assert f"http://127.0.0.1:{port}/backend-api" == (found and found.url)


@pytest.mark.parametrize("hints", [{}, {"environments": ["three"]}, {"environments": ["one", "e2"]}, {"tasks": ["x"]}])
def test_of_two_servers_none_is_guessed(record: Callable[..., ServerRecord], hints: dict[str, list[str]]) -> None:
    """Where none or several fit, the error lists every address with its environments."""
    record(ScriptedCloud(), **ONE)
    record(ScriptedCloud(), **OTHER)
    with pytest.raises(errors.ConfigurationError, match="2 local clouds run") as caught:
        running_server(os.environ, **hints)

    assert "http://127.0.0.1:9/backend-api (one); http://127.0.0.1:10/backend-api (Owner/Two)" in caught.value.remedy


def test_a_client_uses_the_server_of_the_environment_that_is_set(
    record: Callable[..., ServerRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting ``environment`` chooses between servers for the library as well."""
    cloud = ScriptedCloud()
    record(cloud, **ONE)
    record(cloud, **OTHER)
    monkeypatch.setenv("COATCHECK_ENVIRONMENT", "owner/two")
    with Client("local", transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert ["http://127.0.0.1:10/backend-api/wham/usage"] == [request.url for request in client._transport.requests]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:10/backend-api", "http://127.0.0.1:10", "http://localhost:10/backend-api/"]
)
def test_an_address_finds_its_token(
    record: Callable[..., ServerRecord], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """``COATCHECK_LOCAL_BASE_URL`` alone is enough for a server that runs here."""
    other = ScriptedCloud()
    record(ScriptedCloud(), **ONE)
    record(other, **OTHER)
    monkeypatch.setenv("COATCHECK_LOCAL_BASE_URL", url)
    with Client("local", transport=EmulatorTransport(other)) as client:
        used = client.get_usage()

    assert "plus" == used.plan


def test_a_token_alone_finds_the_address(record: Callable[..., ServerRecord]) -> None:
    """Who has a token of his own still needs no address."""
    cloud = ScriptedCloud()
    record(cloud, token="another")
    with Client("local", token=cloud.tokens.access_token, transport=EmulatorTransport(cloud)) as client:
        client.get_usage()

    assert ["http://127.0.0.1:9/backend-api/wham/usage"] == [request.url for request in client._transport.requests]


def test_a_token_that_is_given_is_used(record: Callable[..., ServerRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """``COATCHECK_LOCAL_TOKEN`` has precedence over the record of the server at that address."""
    cloud = ScriptedCloud()
    record(cloud, token="another")
    monkeypatch.setenv("COATCHECK_LOCAL_BASE_URL", "http://127.0.0.1:9/backend-api")
    monkeypatch.setenv("COATCHECK_LOCAL_TOKEN", cloud.tokens.access_token)
    with Client("local", transport=EmulatorTransport(cloud)) as client:
        used = client.get_usage()

    assert "plus" == used.plan


@pytest.mark.parametrize("content", [b"", b"[]", b'{"url": "http://127.0.0.1"}'])
def test_a_broken_record_is_none(content: bytes) -> None:
    """An unreadable record is ignored."""
    path = Path(record_path(os.environ))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    assert running_server(os.environ) is None


def test_a_record_shows_no_token(record: Callable[..., ServerRecord]) -> None:
    """What opens the server is not printed."""
    shown = repr(record(ScriptedCloud()))

    assert "token" not in shown
