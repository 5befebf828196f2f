"""A server begins with one line, is found by its record, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coatcheck import errors
from coatcheck._runtime.server_record import ServerRecord, read_record
from coatcheck._server.listener import listen
from coatcheck.cloud.codex_home import write_codex_home
from coatcheck.cloud.demo.site import agent_command, make_site
from coatcheck.cloud.http_server import write_locked
from coatcheck.cloud.issued_tokens import Account, TokenBook
from coatcheck.cloud.launcher import ServeOptions, environment, parse_environment, running

from .conftest import create_body
from .test_http_server import call


@pytest.fixture
def options(tmp_path: Path) -> ServeOptions:
    """Return options of a server over the demo site."""
    if not (tmp_path / "site").exists():
        make_site(tmp_path / "site", environ=os.environ)
    return ServeOptions(
        environments=(environment("owner/repo", tmp_path / "site", environ=os.environ),),
        command=agent_command(),
        data=tmp_path / "data",
        record=tmp_path / "state" / "one" / "server.json",
        codex_home=tmp_path / "codex-home",
        environ=dict(os.environ),
    )


class Holder:
    """As much of a scripted cloud as `call` needs."""

    def __init__(self, token: str) -> None:
        self.tokens = msgspec.defstruct("Tokens", [("access_token", str)])(token)


def test_a_server_is_found_by_its_record_while_it_runs(options: ServeOptions) -> None:
    """The record has mode 0600 and a valid token; it is removed afterwards."""
    assert options.record is not None
    with running(options) as record:
        found = read_record(options.record)
        mode = stat.S_IMODE(options.record.stat().st_mode)
        status = call(record.url, Holder(record.token), "GET", "/wham/usage")[0]

    assert (record, 0o600, 200) == (found, mode, status)
    assert not options.record.exists()


def test_a_codex_home_has_a_valid_login(options: ServeOptions) -> None:
    """Private, with the date of the last refresh and the address."""
    assert options.codex_home is not None
    with running(options) as record:
        login = msgspec.json.decode((options.codex_home / "auth.json").read_bytes())
        status = call(record.url, Holder(login["tokens"]["access_token"]), "GET", "/wham/usage")[0]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in options.codex_home.iterdir()}

    assert (200, {0o600}, "chatgpt") == (status, modes, login["auth_mode"])
    assert f'chatgpt_base_url = "{record.url}/"' in (options.codex_home / "config.toml").read_text()


def test_a_second_start_replaces_its_codex_home(options: ServeOptions) -> None:
    """It is recognised by its mark."""
    for _ in range(2):
        with running(options):
            pass


@pytest.mark.parametrize("name", ["auth.json", "config.toml"])
def test_another_codex_home_is_unchanged(name: str, options: ServeOptions) -> None:
    """No server starts over any other content."""
    assert options.codex_home is not None
    options.codex_home.mkdir()
    (options.codex_home / name).write_text("{}")
    with pytest.raises(errors.ConfigurationError, match="was not written by"), running(options):
        pass

    assert [name] == [path.name for path in options.codex_home.iterdir()]


def test_a_codex_home_with_a_new_login_is_unchanged(tmp_path: Path) -> None:
    """The mark alone is not enough: the account is compared."""
    account = Account()
    tokens = TokenBook(account=account, time=lambda: 0.0).issue()
    write_codex_home(tmp_path / "home", url="http://127.0.0.1:1/backend-api", tokens=tokens, account=account, now=0.0)
    (tmp_path / "home" / "auth.json").write_text('{"tokens": {"account_id": "somebody"}}')
    with pytest.raises(errors.ConfigurationError):
        write_codex_home(
            tmp_path / "home", url="http://127.0.0.1:1/backend-api", tokens=tokens, account=account, now=0.0
        )

    assert "somebody" in (tmp_path / "home" / "auth.json").read_text()


def test_two_servers_do_not_share_their_data(options: ServeOptions) -> None:
    """A second server on the same data is refused, and the error names the folder."""
    with running(options), pytest.raises(errors.ConfigurationError, match="another server"), running(options):
        pass


def test_a_record_whose_process_is_gone_means_nothing(tmp_path: Path) -> None:
    """Nor does one that is not readable."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record = ServerRecord(url="u", token="t", pid=gone.pid, started=0.0)
    (tmp_path / "stale").write_bytes(msgspec.json.encode(record))
    (tmp_path / "broken").write_text("{")

    assert [None, None, None] == [read_record(tmp_path / name) for name in ("stale", "broken", "missing")]


def test_a_server_removes_its_own_record_and_stale_ones(options: ServeOptions) -> None:
    """The record of another server that runs is left alone."""
    assert options.record is not None
    folder = options.record.parent.parent
    for name in ("stale", "other"):
        (folder / name).mkdir(parents=True)
    stale = write_locked(folder / "stale" / "server.json", b"{}")
    stale.close()
    with write_locked(folder / "other" / "server.json", b"{}"):
        with running(options):
            during = sorted(path.parent.name for path in folder.glob("*/server.json"))
        after = [path.parent.name for path in folder.glob("*/server.json")]

    assert (["one", "other"], ["other"]) == (during, after)


def test_the_id_of_a_task_names_its_server(options: ServeOptions) -> None:
    """It begins with the prefix of the record, has the service's form, and the task is reported."""
    seen: list[str] = []
    with running(msgspec.structs.replace(options, on_task=lambda task: seen.append(task.id))) as record:
        body = create_body(environment_id=record.environments[0].id)
        id = msgspec.json.decode(call(record.url, Holder(record.token), "POST", "/wham/tasks", body)[2])["task"]["id"]

    assert (True, 39, [id]) == (record.has_task(id), len(id), seen)


def test_a_port_in_use_is_a_clear_error() -> None:
    """With what to do."""
    with listen(0) as taken, pytest.raises(errors.ConfigurationError, match="cannot listen") as caught:
        listen(taken.getsockname()[1])

    assert caught.value.remedy is not None
    assert "--port" in caught.value.remedy


@pytest.mark.parametrize("text", ["owner/repo", "=path", "owner/repo=", "owner/repo=/no/such/folder"])
def test_an_environment_that_makes_no_sense_is_a_clear_error(text: str) -> None:
    """Before anything is started."""
    with pytest.raises(errors.ConfigurationError):
        parse_environment(text, environ=os.environ)


@pytest.mark.parametrize(
    "change",
    [{"environments": ()}, {"command": ()}, {"max_parallel": 0}, {"timeout": 0.0}],
)
def test_options_that_make_no_sense_are_a_clear_error(change: dict[str, object], options: ServeOptions) -> None:
    """With a remedy, and without a trace on the disk."""
    with pytest.raises(errors.ConfigurationError) as caught, running(msgspec.structs.replace(options, **change)):
        pass

    assert (True, False) == (caught.value.remedy is not None, options.data.exists())


def test_neither_the_token_nor_the_key_is_in_a_repr() -> None:
    """The repr of a record shows no secret."""
    record = ServerRecord(url="http://x", token="t0ken", pid=1, started=0.0, approval_key="k3y")

    assert (False, False) == ("t0ken" in repr(record), "k3y" in repr(record))


SERVE = """
import os, sys
from pathlib import Path
from coatcheck.cloud.launcher import ServeOptions, environment, run
root = Path(sys.argv[1])
options = ServeOptions(
    environments=(environment("owner/repo", root / "site", environ=os.environ),),
    command=("sh", "-c", "echo $$ > " + str(root / "pid") + "; echo up; sleep 60"),
    data=root / "data", record=root / "servers/one/server.json", environ=dict(os.environ),
)
run(options, announce=lambda record: print(record.url, flush=True))
print("ended", flush=True)
"""


@contextlib.contextmanager
def busy_server(root: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Return a server in another process, and the number of the agent that it runs."""
    if not (root / "site").exists():
        make_site(root / "site", environ=os.environ)
    with subprocess.Popen([sys.executable, "-c", SERVE, str(root)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            record = read_record(root / "servers/one/server.json")
            assert record is not None
            holder = Holder(record.token)
            id = environment("owner/repo", root / "site", environ=os.environ).id
            created = call(url, holder, "POST", "/wham/tasks", create_body(environment_id=id))[2]
            wait_for_line(url, holder, msgspec.json.decode(created))
            yield server, int((root / "pid").read_text())
        finally:
            server.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_and_its_agents(number: signal.Signals, tmp_path: Path) -> None:
    """The agent has ended, the record is removed, and no clone is left."""
    with busy_server(tmp_path) as (server, agent):
        server.send_signal(number)
        said = server.communicate(timeout=240)[0]

    assert ("ended\n", 0) == (said, server.returncode)
    assert ended(agent)
    assert (False, []) == ((tmp_path / "servers/one").exists(), list((tmp_path / "data/work").glob("attempts/*")))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_next_server_ends_the_agents_of_one_that_was_killed(tmp_path: Path, options: ServeOptions) -> None:
    """The next server ends an agent that was left; its attempt has failed with the reason, and its clone is removed."""
    with busy_server(tmp_path) as (server, agent):
        server.kill()
        server.wait(240)
        with running(options) as record:
            listed = msgspec.json.decode(call(record.url, Holder(record.token), "GET", "/wham/tasks/list")[2])["items"]
            left = list((tmp_path / "data/work").glob("attempts/*"))

    assert (["failed"], []) == (
        [item["task_status_display"]["latest_turn_status_display"]["turn_status"] for item in listed],
        left,
    )
    assert ended(agent)


def wait_for_line(url: str, holder: Holder, created: dict) -> None:
    """Read the turn's stream until the agent has printed that it is up."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=240)
    path = f"{parts.path}/wham/tasks/{created['task']['id']}/turns/{created['turn']['id']}/stream"
    connection.request("GET", path, headers={"authorization": f"Bearer {holder.tokens.access_token}"})
    response = connection.getresponse()
    while b'"line":"up"' not in response.readline():
        pass
    connection.close()


def ended(pid: int) -> bool:
    """Whether a process has ended, or ends within seconds."""
    if sys.platform != "linux":
        return True
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 5)[0])
    finally:
        os.close(descriptor)
