"""What bounds a fleet: pace, budgets, failures, clocks, and other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.fixtures import FleetFixture, spec_of

from coatcheck import errors
from coatcheck._fleet.control import FleetControl
from coatcheck._fleet.loop import fleet_lock
from coatcheck._model.fleets import FleetOutcome, FleetState
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck._store.fleet_accounts import AccountStore
from coatcheck._store.fleet_submissions import SubmissionBudget, SubmissionStore
from coatcheck._store.location import open_database
from coatcheck.cloud.faults import Answer, Fault, Status
from coatcheck.cloud.scripted_cloud import AttemptScript
from coatcheck.testing import FakeClock

HOUR = 3600.0


class SetClock(FakeClock):
    """A clock whose time is set to another one; seconds that never decrease go on."""

    offset = 0.0

    def time(self) -> float:
        """Return the seconds since the epoch, as this machine has them."""
        return super().time() + self.offset


class SuspendedClock(FakeClock):
    """A clock of a machine that is suspended for ten minutes right after the first intent was written."""

    calls = 0

    def boottime(self) -> float:
        """Return seconds that count the suspension."""
        self.calls += 1
        return self.monotonic() + (600.0 if self.calls > 1 else 0.0)


class AboveRate(Fault, frozen=True):
    """Refuse what is above `most` requests in ten seconds."""

    most: int
    taken: list[float]
    refused: list[float]

    def act(self, request: Request, answer: Answer, clock: Clock) -> Response:
        """Refuse or answer."""
        now = clock.time()
        if sum(now - each < 10.0 for each in self.taken) >= self.most:
            self.refused.append(now)
            return Status(429, retry_after=1).act(request, answer, clock)
        self.taken.append(now)
        return answer()


def test_a_late_submission_is_sent_later_and_once(tmp_path: Path) -> None:
    """A POST that became late after its intent is not sent; its candidate begins again, and no account is parked."""
    clock = SuspendedClock()
    fleet = FleetFixture(tmp_path, spec_of(2), clock=clock)
    status = fleet.run()
    parked = [each for each in fleet.kinds if each == "item.parked"]

    assert (FleetOutcome.DELIVERED, {1}, 2, [], True) == (
        status.outcome,
        set(fleet.prompts.values()),
        len(fleet.cloud.tasks),
        parked,
        clock.calls > 4,
    )


def test_submissions_keep_the_rate_of_the_service(tmp_path: Path) -> None:
    """A service that refuses what is above its rate refuses at most one request in twenty."""
    fault = AboveRate(on="create_task", times=None, most=24, taken=[], refused=[])
    fleet = FleetFixture(tmp_path, spec_of(40), faults=[fault])
    fleet.rate = 2.0
    status = fleet.run(waits=True)

    assert (FleetOutcome.DELIVERED, 40, True) == (status.outcome, len(fault.taken), len(fault.refused) <= 2)


def test_the_turns_of_several_processes_keep_the_rate(tmp_path: Path) -> None:
    """The turns that several processes take of an account are as far apart as its rate demands."""
    clock = FakeClock()
    databases = [open_database(str(tmp_path / "state")) for _ in range(3)]
    stores = [AccountStore(each, clock=clock) for each in databases]
    turns = sorted(each.take_turn("codex", "", interval=0.5) for _ in range(8) for each in stores)
    for database in databases:
        database.close()

    assert pytest.approx([0.5 * number for number in range(24)]) == turns


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "claimed"), [(SubmissionBudget(tasks=5), 5), (SubmissionBudget(concurrent=3), 3)])
def test_claims_at_once_keep_the_budget(tmp_path: Path, budget: SubmissionBudget, claimed: int) -> None:
    """However many processes claim candidates at the same time, no more are claimed than the budget has."""
    fleet = FleetFixture(tmp_path, spec_of(12))
    candidates = fleet.control.store.candidates(fleet.fleet.id)
    results: list[str] = []

    def claim(part: int) -> None:
        database = open_database(str(tmp_path / "state"))
        store = SubmissionStore(database, clock=fleet.clock)
        results.extend(store.claim(fleet.fleet.id, each, "", budget) for each in candidates[part::3])
        database.close()

    threads = [threading.Thread(target=claim, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (claimed, 12, claimed) == (
        results.count("claimed"),
        len(results),
        fleet.control.status("typing").fleet.submitted,
    )


def test_what_runs_at_the_deadline_is_delivered(tmp_path: Path) -> None:
    """After the deadline nothing more is sent, and the tasks that were sent are awaited and delivered."""
    fleet = FleetFixture(tmp_path, spec_of(6, budget={"deadline": "1h", "concurrent": 2}))
    fleet.on_status = once_after(2, lambda: fleet.clock.advance(HOUR))
    status = fleet.run()

    assert (FleetOutcome.STOPPED, "its deadline of 1h has passed (budget.deadline)", 2) == (
        status.outcome,
        status.fleet.stopped_because,
        len(fleet.deliveries.keys),
    )


def test_failures_let_running_tasks_end(tmp_path: Path) -> None:
    """Where too many tasks fail, those that run are awaited and delivered, and what is planned stays unsent."""
    rollout = {"stop_on_failure": 0.5, "stop_after": 2}
    fleet = FleetFixture(tmp_path, spec_of(8, rollout=rollout, budget={"concurrent": 4}))
    scripts = [AttemptScript(timeline=["failed"])] * 2 + [
        AttemptScript(timeline=["in_progress"] * 3 + ["completed"])
    ] * 6
    known: dict[str, AttemptScript] = {}
    fleet.cloud.script_of = lambda attempt: known.setdefault(attempt.id, scripts[len(known) % 8])  # type: ignore[method-assign]
    status = fleet.run()

    assert (FleetOutcome.STOPPED, "2 of 2 tasks failed (rollout.stop_on_failure)", 4, 2) == (
        status.outcome,
        status.fleet.stopped_because,
        len(fleet.cloud.tasks),
        len(fleet.deliveries.keys),
    )


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_a_parked_account_leaves_its_work_to_another(tmp_path: Path) -> None:
    """Where one account of a service is parked, the other one submits everything."""
    candidates = [{"provider": "codex", "environment": "env_1", "accounts": ["work", "private"]}]
    fleet = FleetFixture(tmp_path, spec_of(4, candidates=candidates))
    accounts = AccountStore(fleet.database, clock=fleet.clock)
    accounts.park("codex", "work", reason="full", sent_at=fleet.clock.time(), seconds=HOUR)
    status = fleet.run()
    used = {each.account for each in fleet.control.store.candidates(fleet.fleet.id)}

    assert (FleetOutcome.DELIVERED, {"private"}) == (status.outcome, used)


def test_one_process_tries_a_parked_account(tmp_path: Path) -> None:
    """When the time of a parked account has come, exactly one of all processes may submit."""
    clock = FakeClock()
    databases = [open_database(str(tmp_path / "state")) for _ in range(3)]
    stores = [AccountStore(each, clock=clock) for each in databases]
    stores[0].park("codex", "", reason="full", sent_at=clock.time(), seconds=60.0)
    before = [each.may_submit("codex", "") for each in stores]
    clock.advance(61.0)
    after = [each.may_submit("codex", "") for each in stores]
    for database in databases:
        database.close()

    assert ([False] * 3, [False, False, True]) == (before, sorted(after))


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("rate", [None, 2.0])
def test_a_clock_that_is_set_while_it_runs_stops_nothing(tmp_path: Path, jump: float, rate: float | None) -> None:
    """Where the clock is set by an hour while a fleet runs, each task is sent once, and no pause is longer than 30 s."""
    clock = SetClock()
    fleet = FleetFixture(tmp_path, spec_of(12, budget={"concurrent": 3}), clock=clock)
    fleet.rate = rate
    fleet.on_status = once_after(2, lambda: setattr(clock, "offset", jump))
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, {1}, 12, True) == (
        status.outcome,
        set(fleet.prompts.values()),
        len(fleet.cloud.tasks),
        max(clock.sleeps) <= 30.0,
    )


# --- other processes --------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    """While a process works on the fleets of a state folder, another one ends with an error that says so."""
    with (
        fleet_lock(str(tmp_path)),
        pytest.raises(errors.ConfigurationError, match="another process works on the fleets of"),
        fleet_lock(str(tmp_path)),
    ):
        pass
    with fleet_lock(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("verb", "outcome", "state"),
    [("pause", FleetOutcome.WAITING, FleetState.PAUSED), ("cancel", FleetOutcome.STOPPED, FleetState.DONE)],
)
def test_another_process_ends_a_run(tmp_path: Path, verb: str, outcome: FleetOutcome, state: FleetState) -> None:
    """A fleet that another process pauses or cancels sends, checks and delivers nothing more, and its run ends."""
    fleet = FleetFixture(tmp_path, spec_of(9, budget={"concurrent": 3}))

    def act() -> None:
        database = open_database(str(tmp_path / "state"))
        getattr(FleetControl(database, clock=fleet.clock), verb)("typing", by="ann")
        database.close()

    fleet.on_status = once_after(2, act)
    status = fleet.run()

    assert (outcome, state, 3, 0) == (
        status.outcome,
        status.fleet.state,
        len(fleet.cloud.tasks),
        len(fleet.deliveries.keys),
    )


def test_a_paused_fleet_continues_where_it_was(tmp_path: Path) -> None:
    """What ended while a fleet was paused is checked and delivered once it is resumed."""
    fleet = FleetFixture(tmp_path, spec_of(4, budget={"concurrent": 2}))
    fleet.on_status = once_after(2, lambda: fleet.control.pause("typing", by="ann"))
    paused = fleet.run().outcome
    fleet.control.resume("typing", by="ann")

    assert (FleetOutcome.WAITING, FleetOutcome.DELIVERED, 4) == (paused, fleet.run().outcome, len(fleet.cloud.tasks))


def once_after(count: int, act: Callable[[], object]) -> Callable[[Any], None]:
    """Return a function that acts at its call number *count*."""
    calls = iter(range(1, 1_000_000))

    def called(_: Any) -> None:
        if next(calls) == count:
            act()

    return called
