"""Killed processes and concurrent processes do not lose a login."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from tests.crash.login_process import DEATHS
from tests.credentials.login_environment import LoginEnvironment
from tests.fork_client import start
from tests.fork_server import ForkServer

from coatcheck._files.locks import try_lock
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Fault, Slow
from coatcheck.cloud.http_server import serving

COUNT = 8


class Kill(Fault, frozen=True):
    """Kill the client while it waits for the response; with `is_taken`, after the request was handled."""

    victim: Callable[[], int]
    is_taken: bool = False

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Kill, and answer into the void."""
        response = answer() if self.is_taken else Response(status=503)
        os.kill(self.victim(), signal.SIGKILL)
        return response


class Processes:
    """Real processes of ours with one login, whose service listens on loopback."""

    def __init__(self, logins: LoginEnvironment, base_url: str, server: ForkServer) -> None:
        self.logins = logins
        self.environ = logins.environ | {
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": base_url.removesuffix("/backend-api") + "/oauth/token"
        }
        self.pids: list[int] = []
        self._server = server

    def run(self, *deaths: str, source: str = "shared", is_fast: bool = True) -> list[dict[str, Any]]:
        """Run one process for each death ("" is not killed) at the same time."""
        order = {"environ": self.environ, "source": source, "is_fast": is_fast}
        running = [self._start(order | {"death": death}) for death in deaths]
        self.pids = [int(answer.readline()) for answer, _ in running]
        return [finish(*each) for each in running]

    def _start(self, order: dict[str, Any]) -> tuple[BinaryIO, BinaryIO]:
        """Return the answer of the fork server, and what the process prints."""
        reading, writing = os.pipe()
        with open(os.devnull, "r+b") as null:
            streams = (null.fileno(), writing, null.fileno())
            answer = start(self._server.address, [json.dumps(order)], environ=os.environ, streams=streams)
        os.close(writing)
        return answer, open(reading, "rb")


def finish(answer: BinaryIO, output: BinaryIO) -> dict[str, Any]:
    """Wait for the end of a process, and return how it ended."""
    with answer, output:
        return {"said": output.read().decode(), "is_killed": int(answer.readline()) < 0}


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    """A server whose runs are processes that need a login."""
    server = ForkServer("tests.crash.login_process")
    yield server
    server.close()


@pytest.fixture
def processes(tmp_path: Path, fork_server: ForkServer) -> Iterator[Processes]:
    """Processes of ours beside a login service."""
    logins = LoginEnvironment(tmp_path, clock=SystemClock())
    with serving(logins.cloud) as base_url:
        yield Processes(logins, base_url, fork_server)


def check_the_file(logins: LoginEnvironment, path: Path) -> None:
    """The file is whole, of the right account, private, and no lock is left."""
    tokens = logins.read(path)
    locks = [try_lock(str(path.parent / name)) for name in ("auth.lock", "auth.json.lock")]
    for lock in locks:
        assert lock is not None
        os.close(lock)

    assert ("acc-1", 0o600) == (tokens.account_id, path.stat().st_mode & 0o777)


def is_newest(logins: LoginEnvironment) -> bool:
    """Whether the service accepts the refresh token of the file."""
    from coatcheck.cloud.issued_tokens import digest_of

    record = logins.cloud.book._store.find(digest_of(logins.read().refresh_token or ""))
    return record is not None and not record.state


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [len(DEATHS) - 1, pytest.param(100, marks=pytest.mark.crash)])
def test_kill_9_at_any_step_loses_no_login(processes: Processes, rounds: int) -> None:
    """After each death the file is whole, no lock is left, and nothing that could be saved is lost.

    What was never on the disk (the answer was lost with its process) ends in one clear error, after one second try.
    """
    logins = processes.logins
    pid_of_the_victim = lambda: processes.pids[0]  # noqa: E731
    for round_, death in enumerate(islice(cycle(list(DEATHS)[1:]), rounds)):
        is_lost = death.endswith("(spent)")
        held = logins.put(logins.issue(ends_in=-10), keep=round_)
        if death.startswith("in the call"):
            logins.cloud.faults.append(Kill(pid_of_the_victim, is_lost, on="token"))
        (killed,) = processes.run(death)
        assert killed["is_killed"], death
        check_the_file(logins, logins.shared)
        (survivor,) = processes.run("")

        check_the_file(logins, logins.shared)
        if is_lost:
            assert survivor["said"].startswith("RefreshError: "), (death, survivor)
            assert "was already used" in survivor["said"]
            assert logins.read().refresh_token == held.refresh_token
        else:
            assert logins.read().access_token == survivor["said"], death
            assert logins.read().access_token != held.access_token
            assert is_newest(logins)
        if death not in (
            "after the rename",
            "before the conclusion",
        ):  # a copy of what was saved, until the next refresh
            assert [] == os.listdir(logins.folder / "state" / "unsaved-logins")
        shutil.rmtree(logins.folder / "state" / "unsaved-logins", ignore_errors=True)
        assert round_ == json.loads(logins.shared.read_bytes())["keep"]

    assert max(logins.presented.values()) <= 2
    assert ["auth.json", "auth.json.lock", "auth.lock"] == sorted(os.listdir(logins.shared.parent))


@pytest.mark.slow
def test_a_killed_process_does_not_block_the_others(processes: Processes) -> None:
    """Eight processes at once, one of which is killed with the lock: the others make one refresh."""
    logins = processes.logins
    for death in ("with the lock", "before the note", "before the call", "before the rename", "before the conclusion"):
        logins.put(logins.issue(ends_in=-10))
        before = logins.refreshes
        ended = processes.run(death, *[""] * (COUNT - 1), is_fast=False)
        said = {each["said"] for each in ended if not each["is_killed"]}

        assert {logins.read().access_token} == said, death
        assert logins.refreshes - before <= 1
        check_the_file(logins, logins.shared)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["shared", "own"])
def test_concurrent_processes_make_one_refresh(processes: Processes, source: str) -> None:
    """Eight processes with one expiring login and a slow service make one refresh in each round."""
    logins, rounds = processes.logins, 5
    logins.cloud.faults.append(Slow(0.1, on="token", times=None))
    for _ in range(rounds):
        logins.put(logins.issue(ends_in=10), logins.own if source == "own" else None)
        ended = processes.run(*[""] * COUNT, source=source, is_fast=False)

        assert {logins.read(logins.own if source == "own" else None).access_token} == {each["said"] for each in ended}

    assert (rounds, {1}) == (logins.refreshes, set(logins.presented.values()))
