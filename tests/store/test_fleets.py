from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
import pytest

from coatcheck._model.fleets import (
    CANDIDATE_CHANGES,
    ITEM_CHANGES,
    CandidateState,
    FleetRecord,
    FleetState,
    ItemState,
)
from coatcheck._model.tasks import TaskRef
from coatcheck._patches.parse import Patch
from coatcheck._store.database import Database
from coatcheck._store.fleet_accounts import LONGEST_TURN, PROBE_SECONDS, AccountStore
from coatcheck._store.fleet_deliveries import DeliveryStore
from coatcheck._store.fleet_planning import PlannedCandidate, PlannedItem
from coatcheck._store.fleet_submissions import SubmissionBudget, SubmissionStore
from coatcheck._store.fleet_work import FleetWork
from coatcheck._store.fleet_workers import SILENT_SECONDS, WorkerStore
from coatcheck._store.fleets import FleetStore
from coatcheck.testing import FakeClock

DIFF = b"--- a/x.txt\n+++ b/x.txt\n@@ -1 +1,2 @@\n one\n+two\n"


def planned(number: int, *, prompt: str = "", attempts: int = 1) -> PlannedItem:
    """Return an item with candidates of one service."""
    prompt = prompt or f"Add types to p{number}."
    candidates = [
        PlannedCandidate(key=f"{prompt}/{number}/{attempt}", provider="codex", attempt=attempt)
        for attempt in range(1, attempts + 1)
    ]
    return PlannedItem(
        key=f"acme/api {number}", prompt=prompt, repository="acme/api", base="main", candidates=tuple(candidates)
    )


class Fixture:
    """A fleet of a few items in a store, and a connection of another process."""

    def __init__(self, connect: Callable[[], Database], *, items: int = 3) -> None:
        self.clock = FakeClock()
        self.store = FleetStore(connect(), clock=self.clock)
        self.submissions = SubmissionStore(self.store.database, clock=self.clock)
        self.others = SubmissionStore(connect(), clock=self.clock)
        self.accounts = AccountStore(self.store.database, clock=self.clock)
        self.fleet = self.save(*(planned(number) for number in range(items)))

    def save(self, *items: PlannedItem) -> FleetRecord:
        """Store the fleet with *items*."""
        return self.store.save("typing", spec="{}", digest="d", items=items)

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many items and candidates are in each state."""
        status = self.store.status(self.fleet)
        return dict(status.items), dict(status.candidates)


@pytest.fixture
def at(connect: Callable[[], Database]) -> Fixture:
    """A fleet of three items."""
    return Fixture(connect)


def test_the_same_file_plans_nothing_twice(at: Fixture) -> None:
    """Storing the same items again adds neither items nor candidates."""
    at.save(*(planned(number) for number in range(3)))

    assert ({"open": 3}, {"planned": 3}) == at.counts()


def test_a_changed_prompt_is_a_new_candidate(at: Fixture) -> None:
    """An item with another prompt is open again, and what was planned for the old one is cancelled."""
    at.save(planned(0, prompt="Add docs."), planned(1))

    assert ({"open": 3}, {"cancelled": 1, "planned": 3}) == at.counts()
    assert [True, False] == ["docs" in at.store.prompt(item.id) for item in at.store.items(at.fleet.id)[:2]]


def test_one_of_two_processes_claims_a_candidate(at: Fixture) -> None:
    """A candidate is claimed once, whoever is first."""
    candidate = at.store.candidates(at.fleet.id)[0]
    claims = [each.claim(at.fleet.id, candidate, "", SubmissionBudget()) for each in (at.submissions, at.others)]

    assert ["claimed", "lost"] == claims


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (SubmissionBudget(tasks=2), ["claimed", "claimed", "budget"]),
        (SubmissionBudget(concurrent=1), ["claimed", "busy", "busy"]),
        (SubmissionBudget(), ["claimed", "claimed", "claimed"]),
    ],
)
def test_a_budget_refuses_before_the_next_submission(
    at: Fixture, budget: SubmissionBudget, expected: list[str]
) -> None:
    """No more candidates are claimed than the budget of tasks and the limit of the service allow."""
    claims = [at.submissions.claim(at.fleet.id, each, "", budget) for each in at.store.candidates(at.fleet.id)]

    assert expected == claims


def test_equal_work_is_submitted_one_after_the_other(at: Fixture) -> None:
    """While a candidate is being submitted, no other with the same prompt for the same place is claimed."""
    at.save(planned(7, prompt="Same.", attempts=2))
    first, second = at.store.candidates(at.fleet.id)[3:]
    claims = [at.submissions.claim(at.fleet.id, each, "", SubmissionBudget()) for each in (first, second)]
    at.submissions.record_task(first.id, TaskRef("codex", "t1"), before=CandidateState.SUBMITTING)

    assert ["claimed", "busy", "claimed"] == [
        *claims,
        at.submissions.claim(at.fleet.id, second, "", SubmissionBudget()),
    ]


def test_what_was_given_back_costs_no_budget(at: Fixture) -> None:
    """A submission that a full quota refused is planned again and does not count."""
    first, second, _ = at.store.candidates(at.fleet.id)
    budget = SubmissionBudget(tasks=1)
    at.submissions.claim(at.fleet.id, first, "", budget)
    at.submissions.give_back(at.fleet.id, first.id)

    assert "claimed" == at.submissions.claim(at.fleet.id, second, "", budget)


@pytest.mark.parametrize("state", [FleetState.PAUSED, FleetState.STOPPING])
def test_a_fleet_that_does_not_run_submits_nothing(at: Fixture, state: FleetState) -> None:
    """No candidate of a paused or stopping fleet is claimed."""
    at.store.change_fleet(at.fleet.id, [FleetState.RUNNING], state)
    claim = at.submissions.claim(at.fleet.id, at.store.candidates(at.fleet.id)[0], "", SubmissionBudget())

    assert "stopped" == claim


def test_the_patch_of_a_candidate_is_kept_with_its_size(at: Fixture) -> None:
    """The end of a task is recorded once, with its diff by digest."""
    candidate = at.store.candidates(at.fleet.id)[0]
    at.submissions.claim(at.fleet.id, candidate, "work", SubmissionBudget())
    at.submissions.record_task(candidate.id, TaskRef("codex", "t1"), before=CandidateState.SUBMITTING)
    running = at.store.candidate(candidate.id)
    patch = Patch.parse(DIFF)
    ends = [
        at.submissions.record_end(at.fleet.id, running, CandidateState.ENDED, patch=patch, base_commit="c0ffee")
        for _ in range(2)
    ]
    ended = at.store.candidate(candidate.id)

    assert [True, False] == ends
    assert (DIFF, "work", TaskRef("codex", "t1"), "c0ffee") == (
        at.submissions.patch(ended.patch or ""),
        ended.account,
        ended.ref,
        ended.base_commit,
    )


def test_an_item_changes_from_the_state_that_it_has(at: Fixture) -> None:
    """Of two equal changes one is made, and the choice stays when a later change names none."""
    item = at.store.items(at.fleet.id)[0]
    changes = [at.store.change_item(item.id, ItemState.OPEN, ItemState.RANKED, chosen=7) for _ in range(2)]
    at.store.change_item(item.id, ItemState.RANKED, ItemState.WAITING, why="a person decides")

    assert [True, False] == changes
    assert (ItemState.WAITING, 7, "a person decides") == (
        (changed := at.store.item(item.id)).state,
        changed.chosen,
        changed.why,
    )


def test_no_other_change_is_made(at: Fixture) -> None:
    """A change that the tables of changes do not name is refused."""
    item = at.store.items(at.fleet.id)[0]

    with pytest.raises(ValueError, match="from open to delivered"):
        at.store.change_item(item.id, ItemState.OPEN, ItemState.DELIVERED)


def test_every_state_has_its_changes() -> None:
    """The tables of changes name every state."""
    assert (set(ItemState), set(CandidateState)) == (set(ITEM_CHANGES), set(CANDIDATE_CHANGES))


def test_turns_keep_the_rate_of_an_account(at: Fixture) -> None:
    """Requests of one account are sent an interval apart, those of another do not count."""
    turns = [at.accounts.take_turn("codex", "", interval=2.0) for _ in range(3)]

    assert [0.0, 2.0, 4.0, 0.0] == [*turns, at.accounts.take_turn("codex", "private", interval=2.0)]


def test_a_clock_that_was_set_back_stops_nothing_for_long(at: Fixture) -> None:
    """A turn is never more than the limit away, whatever time the row holds."""
    at.accounts.take_turn("codex", "", interval=1.0)
    at.clock.advance(-3600.0)

    assert LONGEST_TURN == at.accounts.take_turn("codex", "", interval=1.0)


def test_a_parked_account_is_tried_by_one_submission(at: Fixture) -> None:
    """After its time one submission tries a parked account; a success opens it, and each refusal parks it for longer."""
    until = at.accounts.park("codex", "", reason="quota", sent_at=at.clock.time())
    before = at.accounts.may_submit("codex", "")
    at.clock.advance(until - at.clock.time())
    tries = [at.accounts.may_submit("codex", "") for _ in range(2)]
    second = at.accounts.park("codex", "", reason="quota", sent_at=at.clock.time()) - at.clock.time()
    at.accounts.release("codex", "")

    assert (False, [True, False], 120.0, True) == (before, tries, second, at.accounts.may_submit("codex", ""))
    assert PROBE_SECONDS <= second


def test_refusals_that_were_sent_at_once_count_once(at: Fixture) -> None:
    """Of several submissions that a full quota refused at the same time, one lengthens the pause."""
    sent_at = at.clock.time()
    untils = []
    for _ in range(3):
        at.clock.advance(1.0)
        untils.append(at.accounts.park("codex", "", reason="quota", sent_at=sent_at))

    assert {sent_at + 61.0} == set(untils)


def test_a_delivery_is_reserved_after_it_was_merged_with_those_before_it(
    at: Fixture, connect: Callable[[], Database]
) -> None:
    """Of two workers that deliver to one branch the second merges with the first; other branches do not matter."""
    at.save(*(planned(number) for number in range(3)), msgspec.structs.replace(planned(3), base="next"))
    work = FleetWork(at.store.database, clock=at.clock)
    first, second = (DeliveryStore(connect(), clock=at.clock) for _ in range(2))
    one, two, _, other = at.store.items(at.fleet.id)
    for item in (one, two, other):
        (candidate,) = at.store.candidates(at.fleet.id, item=item.id)
        work.record_review(at.fleet.id, item.id, ItemState.RANKED, review={}, chosen=candidate.id, why="")
        first.begin(at.fleet.id, item, key=item.key, kind="branch")
    reserved = [
        first.reserve(at.fleet.id, one, one.key, after=()),
        second.reserve(at.fleet.id, two, two.key, after=()),
        second.reserve(at.fleet.id, two, two.key, after=[one.key]),
        first.reserve(at.fleet.id, one, one.key, after=()),
        second.reserve(at.fleet.id, other, other.key, after=()),
    ]
    first.release(one.key)

    assert [True, False, True, False, True] == reserved
    assert [[two.key], []] == [[each.key for each in second.before(at.fleet.id, item)] for item in (one, two)]


def test_deliveries_of_two_fleets_to_one_repository_see_one_another(
    at: Fixture, connect: Callable[[], Database]
) -> None:
    """Those of another fleet are reserved one after the other, also under another name; an ended fleet makes none."""
    items = [planned(8, prompt="lint"), msgspec.structs.replace(planned(9, prompt="more"), repository="ours")]
    other = at.store.save("lint", spec="{}", digest="d", items=items)
    work = FleetWork(at.store.database, clock=at.clock)
    deliveries = DeliveryStore(connect(), clock=at.clock)
    one, (two, three) = at.store.items(at.fleet.id)[0], at.store.items(other.id)
    for fleet, item in ((at.fleet, one), (other, two), (other, three)):
        (candidate,) = at.store.candidates(fleet.id, item=item.id)
        work.record_review(fleet.id, item.id, ItemState.RANKED, review={}, chosen=candidate.id, why="")
        deliveries.begin(fleet.id, item, key=item.key, kind="branch")
    names = ["acme/api", "ours"]
    reserved = [
        deliveries.reserve(other.id, two, two.key, after=(), names=names),
        deliveries.reserve(other.id, three, three.key, after=(), names=names),
        deliveries.reserve(at.fleet.id, one, one.key, after=[two.key], names=names),
        deliveries.reserve(at.fleet.id, one, one.key, after=[two.key, three.key], names=names),
    ]
    seen = [(each.key, each.target, each.is_made) for each in deliveries.before(at.fleet.id, one, names=names)]
    at.store.change_fleet(other.id, [FleetState.RUNNING], FleetState.DONE)

    assert [True, True, False, True] == reserved
    assert [(two.key, "main", False), (three.key, "main", False)] == seen
    assert [] == deliveries.before(at.fleet.id, one, names=names)


def test_a_process_works_on_a_fleet_until_it_ends(at: Fixture, connect: Callable[[], Database]) -> None:
    """A process that was killed does not count, and one of another machine only while it records that it works."""
    running: set[int] = {os.getpid()}
    workers = WorkerStore(connect(), clock=at.clock, running=lambda pid, **_: pid in running)
    found = [workers.has_any(at.fleet.id)]
    workers.record(at.fleet.id)
    found.append(workers.has_any(at.fleet.id))
    running.clear()
    found.append(workers.has_any(at.fleet.id))
    with at.store.database.writing() as transaction:
        transaction.change("UPDATE fleet_worker SET host = 'other'")
    found.append(workers.has_any(at.fleet.id))
    at.clock.advance(SILENT_SECONDS)
    found.append(workers.has_any(at.fleet.id))

    assert [False, True, False, True, False] == found
