"""The first calls of several threads or tasks read a login once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.credentials.login_environment import LoginEnvironment
from tests.credentials.test_login_store import Ring, ring  # noqa: F401 - a fixture

from coatcheck import errors
from coatcheck._credentials.login_sources import LoginCredentials
from coatcheck._credentials.login_store import FileStore, KeyringStore
from coatcheck._protocol.login_contract import Login, Secret
from coatcheck._runtime.async_driver import AsyncDriver, aperform
from coatcheck._runtime.driver import Driver, perform
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.providers._chatgpt.credentials import keyring_entry
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport

COUNT = 64


def in_threads(logins: LoginEnvironment, login: LoginCredentials) -> list[object]:
    """Return the secret, or the error, that each of many threads gets which start at the same time."""
    driver, barrier = Driver(EmulatorTransport(logins.cloud), logins.clock), threading.Barrier(COUNT)
    results: list[object] = []

    def call() -> None:
        barrier.wait()
        try:
            results.append(perform(login.get_secret(), driver).token)
        except errors.CoatcheckError as error:
            results.append(type(error))

    threads = [threading.Thread(target=call) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def in_tasks(logins: LoginEnvironment, login: LoginCredentials) -> list[object]:
    """Return the same for tasks of one event loop."""

    async def main() -> list[object]:
        driver = AsyncDriver(AsyncEmulatorTransport(logins.cloud), logins.clock, max_in_flight=32)
        calls = [aperform(login.get_secret(), driver) for _ in range(COUNT)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        return [end.token if isinstance(end, Secret) else type(end) for end in ends]

    return asyncio.run(main())


WAYS = {"threads": in_threads, "tasks": in_tasks}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return a counter of the reads of each place."""
    counter: Counter[str] = Counter()

    def counted(store: type) -> None:
        read = store.read

        def counting(self: FileStore) -> bytes | None:
            counter[self.where] += 1
            data: bytes | None = read(self)
            return data

        monkeypatch.setattr(store, "read", counting)

    counted(FileStore)
    counted(KeyringStore)
    return counter


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", ["shared", "own", "auto", "shared-readonly"])
def test_a_file_is_read_once(tmp_path: Path, reads: Counter[str], way: str, source: str) -> None:
    """For each source, one caller reads the file and all callers get its token."""
    logins = LoginEnvironment(tmp_path)
    path = logins.own if source == "own" else logins.shared
    held = logins.put(logins.issue(), path)
    tokens = WAYS[way](logins, logins.login(source))

    assert ({str(path): 1}, [held.access_token] * COUNT) == (dict(reads), tokens)


@pytest.mark.parametrize("way", WAYS)
def test_a_keyring_is_read_once(tmp_path: Path, reads: Counter[str], ring: Ring, way: str) -> None:  # noqa: F811
    """A keyring, which may ask for a password, is read once."""
    logins = LoginEnvironment(tmp_path)
    held = logins.put(logins.issue())
    ring.entries[("Codex Auth", keyring_entry(os.path.realpath(logins.shared.parent)))] = logins.shared.read_text()
    tokens = WAYS[way](logins, logins.login("keyring"))

    assert (1, [held.access_token] * COUNT) == (reads.total(), tokens)


@pytest.mark.parametrize("way", WAYS)
def test_a_login_that_is_missing_is_missing_for_all(tmp_path: Path, way: str) -> None:
    """Every caller gets the error, and none waits for another."""
    logins = LoginEnvironment(tmp_path)

    assert [errors.NotLoggedInError] * COUNT == WAYS[way](logins, logins.login("shared"))


@pytest.mark.parametrize("way", WAYS)
def test_an_expired_login_is_read_and_refreshed_once(tmp_path: Path, way: str) -> None:
    """Concurrent first calls with an expired token share one refresh."""
    logins = LoginEnvironment(tmp_path, clock=SystemClock())
    logins.put(logins.issue(ends_in=-10))
    tokens = WAYS[way](logins, logins.login())

    assert (1, [logins.read().access_token] * COUNT) == (logins.refreshes, tokens)


@pytest.mark.parametrize("way", WAYS)
def test_the_tools_of_a_service_are_opened_once(tmp_path: Path, way: str) -> None:
    """Where the service's official tools have the login, they are loaded once and called for each secret."""
    logins, calls = LoginEnvironment(tmp_path), Counter[str]()

    def chain(_: object) -> Callable[[], Secret]:
        calls["opened"] += 1

        def current() -> Secret:
            calls["asked"] += 1
            return Secret(token="t", account_id="a")

        return current

    login = LoginCredentials(
        Login(name="lambda", remedy="log in", chain=chain),
        environ=logins.environ,
        clock=logins.clock,
        random=logins.random,
        config_dir=logins.environ["COATCHECK_CONFIG_HOME"],
        state_dir=logins.environ["COATCHECK_STATE_HOME"],
    )

    assert (["t"] * COUNT, {"opened": 1, "asked": COUNT}) == (WAYS[way](logins, login), dict(calls))


def test_a_login_is_read_again_after_it_was_forgotten(tmp_path: Path) -> None:
    """What was read once is not kept beyond the login that it was read from."""
    logins = LoginEnvironment(tmp_path)
    logins.put(logins.issue(), logins.own)
    login = logins.login("own")
    logins.secret(login)
    stored = login.find()
    logins.do(logins.do(stored).forget())
    new = logins.put(logins.issue(), logins.own)

    assert new.access_token == logins.secret(login).token
