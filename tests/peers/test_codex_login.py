"""One login shared by two official Codex CLIs and ours: no program invalidates it or loses data of another."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.credentials.login_environment import LoginEnvironment, is_ours
from tests.peers.peer_support import OURS, PEERS, TIME_LIMIT, bare_environ, find_codex

from coatcheck._credentials.refresh_policy import fingerprint
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Slow
from coatcheck.cloud.http_server import serving

pytestmark = pytest.mark.peer

EACH = 8
ROUNDS = 20
LATENCY = 0.4
# A task that no cloud has: what is asked about it does not matter, that the official client starts does.
NO_TASK = "task_e_" + "0" * 32


class Flat:
    """Programs that share one `CODEX_HOME`, with a cloud on loopback."""

    def __init__(self, folder: Path, logins: LoginEnvironment, url: str) -> None:
        self.logins, self.url = logins, url
        self.home = logins.shared.parent
        root = url.removesuffix("/backend-api")
        self.root = root
        (folder / "cwd").mkdir()
        self.cwd = folder / "cwd"
        self.environ = (
            bare_environ(folder)
            | logins.environ
            | {
                "CODEX_CLOUD_TASKS_BASE_URL": url,
                "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{root}/oauth/token",
                "COATCHECK_CODEX_BASE_URL": url,
            }
        )
        (self.home / "config.toml").write_text(f'chatgpt_base_url = "{url}"\n')
        self.old, self.newest = find_codex(), str(PEERS / "codex-newest")

    def start(self, *command: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a program."""
        return subprocess.Popen(
            command,
            cwd=self.cwd,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str, **environ: str) -> tuple[int, str]:
        """Run a program to its end and return its exit code and its output."""
        process = self.start(*command, **environ)
        out, err = process.communicate(timeout=TIME_LIMIT)
        return process.returncode, (out + err).decode("utf-8", "replace")

    def ours(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Run ``coatcheck``."""
        return self.run(str(OURS), *arguments, **environ)

    @property
    def official_starts(self) -> Sequence[tuple[str, ...]]:
        """Commands of the official clients that refresh the login when they start."""
        return ((self.old, "cloud", "list"), (self.newest, "apply", NO_TASK))

    def presented(self, *, by_us: bool) -> Counter[str]:
        """How often each refresh token was presented, by us and by the official clients."""
        requests = [request for request in self.logins.cloud.seen("token") if is_ours(request) is by_us]
        return Counter(fingerprint(json.loads(request.body)["refresh_token"]) for request in requests)

    def document(self) -> dict[str, Any]:
        """Return the file."""
        return json.loads(self.logins.shared.read_bytes())


@contextlib.contextmanager
def flat(folder: Path) -> Iterator[Flat]:
    """Serve a cloud for programs that share a login."""
    logins = LoginEnvironment(folder, clock=SystemClock(), device_interval=1)
    with serving(logins.cloud) as url:
        yield Flat(folder, logins, url)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Flat]:
    """Let all programs use one home folder."""
    with flat(tmp_path) as found:
        yield found


@pytest.mark.timeout(300)
def test_eight_of_ours_and_eight_of_theirs_share_one_login(shared: Flat) -> None:
    """In twenty rounds with an expiring token and a slow service all of ours succeed and present no token twice."""
    logins = shared.logins
    logins.cloud.faults.append(Slow(LATENCY, on="token", times=None))
    failed = []
    for _ in range(ROUNDS):
        logins.put(logins.issue(ends_in=30))
        theirs = [shared.start(*shared.official_starts[n % 2]) for n in range(EACH)]
        ours = [shared.start(str(OURS), "list", "--json") for _ in range(EACH)]
        for process in ours:
            out, err = process.communicate(timeout=TIME_LIMIT)
            if process.returncode:
                failed.append((process.returncode, out + err))
        for process in theirs:
            process.communicate(timeout=TIME_LIMIT)
        tokens = logins.read()

        assert ("acc-1", True) == (tokens.account_id, logins.cloud.book.accepts(tokens.access_token))

    assert [] == failed
    assert {1} >= set(shared.presented(by_us=True).values())
    print(f"refreshes: ours {shared.presented(by_us=True).total()}, theirs {shared.presented(by_us=False).total()}")  # noqa: T201 - how the race went


@pytest.mark.parametrize("version", [0, 1], ids=["0.151.0", "newest"])
def test_the_official_client_uses_our_refresh(shared: Flat, version: int) -> None:
    """After our refresh the official client uses the new token without another refresh, and its own keys are unchanged."""
    logins = shared.logins
    logins.put(logins.issue(ends_in=30))
    document = shared.document()
    document["tokens"] |= {"oauth_provenance": {"issuer": shared.root, "client_id": "app_x"}, "login_owner_id": "me"}
    logins.shared.write_text(json.dumps(document, indent=2))
    assert 0 == shared.ours("list")[0]
    after = shared.document()
    output = shared.run(*shared.official_starts[version])[1]

    assert ("me", "app_x") == (after["tokens"]["login_owner_id"], after["tokens"]["oauth_provenance"]["client_id"])
    assert 0 == shared.presented(by_us=False).total()
    assert "sign in" not in output.lower()
    assert shared.document() == after


@pytest.mark.parametrize("version", [0, 1], ids=["0.151.0", "newest"])
def test_we_use_the_refresh_of_the_official_client(shared: Flat, version: int) -> None:
    """After a refresh of the official client we read its file, in each way that it writes it."""
    logins = shared.logins
    held = logins.put(logins.issue(ends_in=200))
    shared.run(*shared.official_starts[version])
    code, output = shared.ours("auth", "status", "--json")

    assert held.refresh_token != logins.read().refresh_token
    assert (0, True) == (code, json.loads(output)["is_logged_in"])
    assert 0 == shared.ours("list")[0]
    assert 0 == shared.presented(by_us=True).total()


def test_a_device_login_of_the_official_client_is_a_login_for_us(shared: Flat) -> None:
    """``codex login --device-auth`` at our login service writes a file that we read, and its status command confirms the login."""
    logins = shared.logins
    process = shared.start(
        shared.newest, "login", "--device-auth", "--experimental_issuer", shared.root, "--experimental_client-id", "app"
    )
    approve_until(logins, process)
    code, output = shared.run(shared.newest, "login", "status")

    assert (0, True) == (code, "Logged in" in output)
    assert 0 == shared.ours("list")[0]
    assert json.loads(shared.ours("auth", "status", "--json")[1])["account_id"] == "acc-1"


def approve_until(logins: LoginEnvironment, process: subprocess.Popen[bytes]) -> bytes:
    """Approve pending device logins until *process* has ended with success; return its output."""
    output = b""
    while process.poll() is None:
        for device in list(logins.cloud._oauth._devices.values()):
            logins.cloud.approve(device.user_code)
        with contextlib.suppress(subprocess.TimeoutExpired):
            output = b"".join(process.communicate(timeout=0.2))
    assert 0 == process.returncode, output.decode()
    return output


def test_our_own_login_is_one_that_the_official_client_reads(shared: Flat) -> None:
    """The file that `coatcheck login` writes, copied into a home folder, is a login for the official client."""
    logins = shared.logins
    process = shared.start(str(OURS), "login", "codex", "--device-code", "--issuer", shared.root)
    approve_until(logins, process)
    logins.shared.write_bytes(logins.own.read_bytes())

    assert "Logged in" in shared.run(shared.newest, "login", "status")[1]
    code, output = shared.run(shared.old, "cloud", "list")
    assert (0, True) == (code, "No tasks found" in output)


KEYRING_SESSION = """
set -e
eval "$(echo | gnome-keyring-daemon --unlock --components=secrets)"
exec "$@"
"""


def test_a_login_in_the_keyring_is_shared_as_well(shared: Flat, tmp_path: Path) -> None:
    """A login that the official client stores in a Secret Service is read and refreshed there by us, and it uses the result."""
    if shutil.which("dbus-run-session") is None:
        pytest.fail("there is no dbus-run-session: install Debian's package dbus-daemon", pytrace=False)
    logins = shared.logins
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    (shared.home / "config.toml").write_text(
        f'chatgpt_base_url = "{shared.url}"\ncli_auth_credentials_store = "keyring"\n'
    )
    environ = {
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PATH": f"{PEERS}{os.pathsep}{os.environ['PATH']}",
        "COATCHECK_CODEX_CREDENTIALS": "keyring",
    }
    logins.cloud.book.lifetime = 45.0
    login = (shared.newest, "login", "--device-auth", "--experimental_issuer", shared.root)
    script = " && ".join(
        (
            " ".join(login),
            f"{OURS} list",
            f"{OURS} auth status --json",
            f"{shared.newest} login status",
        )
    )
    process = shared.start("dbus-run-session", "--", "sh", "-c", KEYRING_SESSION, "sh", "sh", "-c", script, **environ)
    out = approve_until(logins, process)

    assert not logins.shared.exists()
    assert 1 == shared.presented(by_us=True).total()
    assert b"keyring entry 'Codex Auth'" in out
    assert b"Logged in" in out
