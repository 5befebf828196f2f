from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from coatcheck import TaskRef, errors
from coatcheck._protocol.intents import Intent
from coatcheck._store.database import Database
from coatcheck._store.fleet_accounts import AccountStore
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._store.fleet_sweeps import SweepTimes
from coatcheck.testing import FakeClock

INTENT = Intent(id="key", provider="codex", digest="d", at=1000.0, summary="Add types", pid=4_000_001)


def test_an_intent_is_begun_once(connect: Callable[[], Database]) -> None:
    """A worker that comes back before its intent finds that of the worker that took over, and does not send."""
    theirs, ours = FleetJournal(connect()), FleetJournal(connect())
    theirs.begin(msgspec.structs.replace(INTENT, at=1300.0, pid=4_000_002))
    with pytest.raises(errors.ConflictError):
        ours.begin(INTENT)
    theirs.settle(INTENT, TaskRef("codex", "t1"))
    with pytest.raises(errors.ConflictError):
        ours.begin(INTENT)
    known = ours.find("key")

    assert ("settled", 4_000_002) == (known.state, known.intent.pid)


def test_a_worker_closes_its_own_intent(connect: Callable[[], Database]) -> None:
    """An intent that was taken over and begun again is not closed by the worker that wrote the first one."""
    journal, states = FleetJournal(connect()), []
    journal.begin(INTENT)
    journal.abandon(INTENT)
    again = msgspec.structs.replace(INTENT, at=1300.0, pid=4_000_002)
    for change in (lambda: journal.begin(again), lambda: journal.abandon(INTENT), lambda: journal.abandon(again)):
        change()
        states.append(journal.find("key").state)

    assert ["open", "open", "abandoned"] == states


def test_a_round_waits_until_it_is_due(database: Database) -> None:
    """The next round of an account is due after its pause, and at once on a clock that was set back."""
    clock = FakeClock()
    sweeps, waiting = SweepTimes(database, clock=clock), []
    sweeps.plan(1, "codex", "", seconds=20.0)
    sweeps.plan(1, "codex", "", seconds=10.0)
    for fleet, seconds in ((1, 0.0), (2, 0.0), (1, -3600.0), (1, 3611.0)):
        clock.advance(seconds)
        waiting.append(sweeps.waiting(fleet))

    assert [{("codex", "")}, set(), set(), set()] == waiting


def test_workers_share_the_turns_of_an_account(connect: Callable[[], Database]) -> None:
    """No two workers get the same turn, however close they are."""
    clock = FakeClock()

    def take(_: int) -> list[float]:
        accounts = AccountStore(connect(), clock=clock)
        return [accounts.take_turn("codex", "", interval=0.25) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        turns = [turn for taken in pool.map(take, range(4)) for turn in taken]

    assert [number / 4 for number in range(80)] == sorted(turns)
