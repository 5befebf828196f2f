"""Threads, tasks and clients share one refresh."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from pathlib import Path

import pytest
from tests.credentials.login_environment import LoginEnvironment

from coatcheck import AsyncClient, Client, errors
from coatcheck._credentials import stored_credentials
from coatcheck._protocol.effects import Request
from coatcheck._runtime.async_driver import AsyncDriver, aperform
from coatcheck._runtime.driver import Driver, perform
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Reset, Slow, Status
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import AsyncEmulatorTransport, EmulatorTransport
from coatcheck.testing.memory_journal import MemoryJournal

COUNT = 200
LATENCY = 0.1


class SlowTransport:
    """An asynchronous transport with latency, as a network has."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        self._inner = AsyncEmulatorTransport(cloud)
        self.was_asked = asyncio.Event()

    async def send(self, request: object) -> object:
        self.was_asked.set()
        await asyncio.sleep(LATENCY)
        return await self._inner.send(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoginEnvironment:
    """An environment in real time, since many threads cannot share a fake clock; only a hang is too long for a lock."""
    monkeypatch.setattr(stored_credentials, "LOCK_PATIENCE", 240)
    logins = LoginEnvironment(tmp_path, clock=SystemClock())
    logins.random = random.random
    return logins


@pytest.mark.parametrize("is_shared", [True, False], ids=["one client", "a client each"])
def test_two_hundred_threads_make_one_refresh(busy: LoginEnvironment, is_shared: bool) -> None:
    """All of them get the same fresh token, whether they share the credentials or only the file."""
    logins = busy
    logins.put(logins.issue(ends_in=10))
    logins.cloud.faults.append(Slow(LATENCY, on="token", times=None))
    one, tokens = logins.login(), []
    gate = threading.Barrier(COUNT)

    def work() -> None:
        login = one if is_shared else logins.login()
        gate.wait()
        tokens.append(perform(login.get_secret(), Driver(EmulatorTransport(logins.cloud), logins.clock)).token)

    threads = [threading.Thread(target=work) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (COUNT, 1, 1) == (len(tokens), len(set(tokens)), logins.refreshes)


@pytest.mark.slow
@pytest.mark.parametrize("is_shared", [True, False], ids=["one client", "a client each"])
def test_two_hundred_tasks_make_one_refresh(busy: LoginEnvironment, is_shared: bool) -> None:
    """Two hundred tasks of one event loop make one refresh, and the loop is not blocked."""
    logins = busy
    logins.put(logins.issue(ends_in=10))
    one, turns = logins.login(), 0

    async def pulse() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> list[str]:
        driver = AsyncDriver(SlowTransport(logins.cloud), logins.clock, max_in_flight=32)
        heart = asyncio.create_task(pulse())
        credentials = [one if is_shared else logins.login() for _ in range(COUNT)]
        secrets = await asyncio.gather(*(aperform(login.get_secret(), driver) for login in credentials))
        heart.cancel()
        return [secret.token for secret in secrets]

    tokens = asyncio.run(main())

    assert (COUNT, 1, 1) == (len(tokens), len(set(tokens)), logins.refreshes)
    assert turns > COUNT


def test_two_hundred_rejected_tasks_make_one_refresh(busy: LoginEnvironment) -> None:
    """After 401 responses one task refreshes, and the others use its token."""
    logins = busy
    logins.put(logins.issue())
    login = logins.login()
    rejected = logins.secret(login)

    async def main() -> set[str]:
        driver = AsyncDriver(SlowTransport(logins.cloud), logins.clock, max_in_flight=32)
        secrets = await asyncio.gather(*(aperform(login.renew_secret(rejected), driver) for _ in range(COUNT)))
        return {secret.token for secret in secrets}

    assert (1, 1) == (len(asyncio.run(main())), logins.refreshes)


def test_a_cancelled_refresh_continues_for_the_others(busy: LoginEnvironment) -> None:
    """The caller that started a refresh is cancelled: the response is kept, and no second refresh is made."""
    logins = busy
    logins.put(logins.issue(ends_in=10))

    async def main() -> str:
        transport = SlowTransport(logins.cloud)
        driver = AsyncDriver(transport, logins.clock, max_in_flight=32)
        task = asyncio.create_task(aperform(logins.login().get_secret(), driver))
        await transport.was_asked.wait()
        task.cancel()
        await asyncio.wait({task})
        return (await aperform(logins.login().get_secret(), driver)).token

    assert asyncio.run(main()) == logins.read().access_token
    assert {1} == set(logins.presented.values())


def test_closing_a_client_waits_for_a_pending_refresh(busy: LoginEnvironment) -> None:
    """A wait that timed out during a refresh does not lose the login."""
    logins = busy
    held = logins.put(logins.issue(ends_in=10))

    async def main() -> None:
        async with client(logins, AsyncClient, SlowTransport) as codex:
            task = asyncio.create_task(codex.get_usage())
            await codex._transport.was_asked.wait()
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(main())

    assert held.access_token != logins.read().access_token
    assert 1 == logins.refreshes


# -- clients -----------------------------------------------------------------------------------------------------------


class HandClock(SystemClock):
    """A clock whose hands a test moves; a sleeper waits until they are there."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self._wakes: list[float] = []

    @property
    def sleepers(self) -> int:
        return len(self._wakes)

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        wake = self.now + seconds
        self._wakes.append(wake)
        try:
            while self.now < wake:  # noqa: ASYNC110 - the hands are moved by the test
                await asyncio.sleep(0.001)
        finally:
            self._wakes.remove(wake)

    async def advance(self, seconds: float, sleepers: int = 1) -> None:
        """Advance the clock while *sleepers* wait, and return when those that woke up wait again."""
        while len(self._wakes) != sleepers:  # noqa: ASYNC110 - the hands are moved by the test
            await asyncio.sleep(0.001)
        self.now += seconds
        while len(self._wakes) != sleepers or any(wake <= self.now for wake in self._wakes):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)


def client(logins: LoginEnvironment, kind: type, transport: type) -> object:
    """Return a client to the logins's cloud with the logins that are there."""
    return kind(
        "codex",
        environ=logins.environ,
        clock=logins.clock,
        transport=transport(logins.cloud),
        journal=MemoryJournal(),
        random=lambda: 0.5,
    )


def test_an_asynchronous_client_refreshes_in_the_background(tmp_path: Path) -> None:
    """Between ``__aenter__`` and `aclose` it refreshes without a call, and stops with the client."""
    logins = LoginEnvironment(tmp_path, clock=HandClock())
    logins.put(logins.issue(ends_in=1000), logins.own)

    async def main() -> list[int]:
        counts = []
        async with client(logins, AsyncClient, AsyncEmulatorTransport) as codex:
            await codex.get_usage()
            counts.append(logins.refreshes)
            await logins.clock.advance(650)
            counts.append(logins.refreshes)
            await logins.clock.advance(100)
            counts.append(logins.refreshes)
            await logins.clock.advance(3400)
            counts.append(logins.refreshes)
        await logins.clock.advance(10_000, sleepers=0)
        return [*counts, logins.refreshes, logins.clock.sleepers, len(asyncio.all_tasks())]

    assert [0, 0, 1, 2, 2, 0, 1] == asyncio.run(main())


def test_a_failure_in_the_background_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged as a warning and shown by the status, and the client continues."""
    logins = LoginEnvironment(tmp_path, clock=HandClock())
    logins.put(logins.issue(ends_in=400), logins.own)
    logins.cloud.faults += [Status(503, on="token")] * 3

    async def main() -> object:
        async with client(logins, AsyncClient, AsyncEmulatorTransport) as codex:
            await codex.get_usage()
            for _ in range(4):
                await logins.clock.advance(110)
            status = await codex.tokens.get_status()
            await codex.get_usage()
            return status

    with caplog.at_level(logging.WARNING, logger="coatcheck"):
        status = asyncio.run(main())

    assert "could not be refreshed" in caplog.text
    assert status.is_logged_in
    assert logins.refreshes >= 2


def test_a_client_without_a_login_has_no_task(tmp_path: Path) -> None:
    """A client without a login starts no background task."""
    logins = LoginEnvironment(tmp_path)
    logins.environ["CODEX_ACCESS_TOKEN"] = logins.issue().access_token

    async def main() -> int:
        async with client(logins, AsyncClient, AsyncEmulatorTransport) as codex:
            await codex.get_usage()
            return len(asyncio.all_tasks())

    assert 1 == asyncio.run(main())


def test_a_blocking_client_has_nothing_in_the_background(tmp_path: Path) -> None:
    """It checks before each request and between the sleeps of a wait."""
    logins = LoginEnvironment(tmp_path)
    logins.put(logins.issue(ends_in=400), logins.own)
    before = threading.active_count()
    with client(logins, Client, EmulatorTransport) as codex:
        codex.get_usage()
        logins.clock.advance(200)
        idle = logins.refreshes
        codex.get_usage()

        assert (0, 1, before) == (idle, logins.refreshes, threading.active_count())


def test_a_401_is_recovered_once_for_all_waits(tmp_path: Path) -> None:
    """The access token was revoked: fifty waits continue after one refresh, and repeat their request once each."""
    logins = LoginEnvironment(tmp_path, clock=SystemClock())
    held = logins.put(logins.issue())
    logins.cloud.book.end(held.access_token)

    async def main() -> int:
        async with client(logins, AsyncClient, SlowTransport) as codex:
            return len({usage.plan for usage in await asyncio.gather(*(codex.get_usage() for _ in range(50)))})

    assert (1, 1, 100) == (asyncio.run(main()), logins.refreshes, len(logins.cloud.seen("usage")))


def test_waiting_callers_share_a_failed_refresh(tmp_path: Path) -> None:
    """Callers that waited for an unanswered refresh get its error, and the outage is tested once."""
    logins = LoginEnvironment(tmp_path, clock=SystemClock())
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(Reset(on="token", times=None))
    login = logins.login()

    async def main() -> list[object]:
        driver = AsyncDriver(SlowTransport(logins.cloud), logins.clock, max_in_flight=32)
        return await asyncio.gather(*(aperform(login.get_secret(), driver) for _ in range(20)), return_exceptions=True)

    kinds = {type(each) for each in asyncio.run(main())}

    assert ({errors.TransportError}, 1) == (kinds, len(logins.cloud.seen("token")))


class GatedTransport:
    """A transport whose login service answers when the test opens the gate."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        self._inner = AsyncEmulatorTransport(cloud)
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def send(self, request: Request) -> object:
        if "/oauth/token" in request.url:
            self.asked.set()
            await self.gate.wait()
        return await self._inner.send(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def background_refresh_at_close(logins: LoginEnvironment, closings: int) -> tuple[list[str], list[str]]:
    """Close a client *closings* times while its background refresh waits; return the tasks that are left, twice."""
    logins.put(logins.issue(ends_in=290), logins.own)

    async def main() -> tuple[list[str], list[str]]:
        def left() -> list[str]:
            return [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]

        transport = GatedTransport(logins.cloud)
        transport.gate.set()
        async with client(logins, AsyncClient, lambda _: transport) as codex:
            await codex.tokens.get_status()
            await codex.get_usage()
            transport.asked.clear()
            transport.gate.clear()
            logins.clock.now += 3400
            await transport.asked.wait()
            closing = [asyncio.create_task(codex.aclose()) for _ in range(closings)]
            await asyncio.sleep(0)
            transport.gate.set()
            await asyncio.gather(*closing)
            first = left()
        await logins.clock.advance(10_000, sleepers=0)
        return first, left()

    return asyncio.run(main())


@pytest.mark.parametrize("closings", [1, 2])
def test_closing_ends_the_background_refresh_for_good(tmp_path: Path, closings: int) -> None:
    """The refresh that was under way is finished and saved, and no task is started afterwards."""
    logins = LoginEnvironment(tmp_path, clock=HandClock())
    left = background_refresh_at_close(logins, closings)

    assert ([], []) == left
    assert (2, True) == (logins.refreshes, logins.read(logins.own).expires_at > 0)
