from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fleet.fixtures import CountedDeliveries, FirstCandidate, FleetFixture, spec_of

from coatcheck import errors
from coatcheck._fleet.services import ServiceClient, Sweep
from coatcheck._model.fleets import CandidateState, FleetOutcome, FleetState, ItemState
from coatcheck._model.outcome import Notice
from coatcheck._model.tasks import TaskRef, TaskSpec
from coatcheck._patches.parse import Patch
from coatcheck._protocol.intents import intent_of
from coatcheck._store.fleet_submissions import SubmissionBudget
from coatcheck._store.gates import GateStore
from coatcheck._store.journal import SubmissionJournal
from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept
from coatcheck.cloud.models import TaskOrder
from coatcheck.testing import CloudResult, FakeClock

NO_PATCH = CloudResult(messages=("Nothing to do.",))


def once(fleet: FleetFixture) -> tuple[set[int], set[int], int]:
    """Return how often prompts were sent and items delivered, and how many items there are."""
    return set(fleet.prompts.values()), set(fleet.deliveries.keys.values()), len(fleet.prompts)


def test_each_item_is_submitted_once_and_delivered_once(tmp_path: Path) -> None:
    """A fleet without trouble sends each prompt once, delivers each item once, and says so."""
    fleet = FleetFixture(tmp_path, spec_of(20))
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, {"delivered": 20}, {1}, {1}, []) == (
        status.outcome,
        dict(status.items),
        set(fleet.prompts.values()),
        set(fleet.deliveries.keys.values()),
        fleet.notices,
    )


def test_running_again_does_nothing(tmp_path: Path) -> None:
    """A fleet that was delivered sends and delivers nothing when its file is run again."""
    fleet = FleetFixture(tmp_path, spec_of(3))
    fleet.run()
    fleet.plan()
    fleet.run()

    assert ({1}, {1}, 3) == once(fleet)


def test_the_events_tell_the_life_of_an_item(tmp_path: Path) -> None:
    """Each change of state is an event, in its order."""
    fleet = FleetFixture(tmp_path, spec_of(1))
    fleet.run()

    expected = ["submitted", "ended", "verified", "ranked", "approved", "delivered"]
    assert [*(f"item.{each}" for each in expected), "fleet.done"] == fleet.kinds


@pytest.mark.parametrize(
    "fault",
    [
        ResetAfterAccept(on="create_task", times=3),
        StatusAfterAccept(502, on="create_task", times=3),
        Status(500, on="list_tasks", times=3),
        Reset(on="get_task", times=3),
    ],
    ids=lambda fault: type(fault).__name__ + fault.on,
)
def test_a_lost_answer_sends_nothing_twice(tmp_path: Path, fault: Fault) -> None:
    """Whatever answer is lost, each prompt is sent once and each item delivered once."""
    fleet = FleetFixture(tmp_path, spec_of(6), faults=[fault])
    status = fleet.run(waits=True)

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 6)) == (status.outcome, once(fleet))


# --- quota ------------------------------------------------------------------------------------------------------------


def test_a_full_quota_parks_the_account_and_fails_nothing(tmp_path: Path) -> None:
    """After HTTP 429 the account is parked until the time that the service names; what is planned stays planned."""
    fleet = FleetFixture(tmp_path, spec_of(4), faults=[Status(429, retry_after=1800, on="create_task", times=50)])
    status = fleet.run()
    parked = status.parked_until

    assert (FleetOutcome.PARKED, {"open": 4}, {"planned": 4}, 0) == (
        status.outcome,
        dict(status.items),
        dict(status.candidates),
        status.fleet.submitted,
    )
    assert parked is not None
    assert timedelta(seconds=1700) < parked - status.fleet.created_at


def test_one_submission_tries_a_parked_account(tmp_path: Path) -> None:
    """When the time of a parked account has come a single submission is sent, and after its success all others."""
    fleet = FleetFixture(tmp_path, spec_of(5), faults=[Status(429, retry_after=600, on="create_task", times=16)])
    fleet.run()
    refused = len(fleet.cloud.seen("create_task"))
    fleet.clock.advance(601.0)
    fleet.cloud.faults[:] = [Status(429, retry_after=600, on="create_task", times=None)]
    fleet.run()
    tried = len(fleet.cloud.seen("create_task")) - refused
    fleet.cloud.faults.clear()
    status = fleet.run(waits=True)

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 5)) == (status.outcome, once(fleet))
    assert tried <= 4  # one submission, with the retries of its request


def test_accounts_share_the_work(tmp_path: Path) -> None:
    """Candidates are divided over the accounts of a service."""
    candidates = [{"provider": "codex", "environment": "env_1", "accounts": ["work", "private"]}]
    fleet = FleetFixture(tmp_path, spec_of(6, candidates=candidates))
    fleet.run()
    by_account = [each.account for each in fleet.control.store.candidates(fleet.fleet.id)]

    assert [3, 3] == [by_account.count("work"), by_account.count("private")]


# --- after a crash ----------------------------------------------------------------------------------------------------


def claimed(fleet: FleetFixture) -> tuple[Any, SubmissionJournal, Any]:
    """Claim the first candidate as a process that was killed then; return it, the journal and its intent."""
    candidate = fleet.control.store.candidates(fleet.fleet.id)[0]
    fleet.control.submissions.claim(fleet.fleet.id, candidate, "", SubmissionBudget())
    prompt = fleet.control.store.prompt(candidate.item)
    spec = TaskSpec(prompt=prompt, environment="env_1", branch="main")
    intent = intent_of(spec, id=candidate.key, provider="codex", at=fleet.clock.time(), pid=2**22 + 1)
    return candidate, SubmissionJournal(fleet.database), intent


def killed_before_intent(fleet: FleetFixture) -> None:
    """Leave a claimed candidate without an intent."""
    claimed(fleet)


def killed_before_post(fleet: FleetFixture) -> None:
    """Leave an open intent whose POST was never sent."""
    _, journal, intent = claimed(fleet)
    journal.begin(intent)


def killed_after_post(fleet: FleetFixture) -> None:
    """Leave an open intent whose task exists."""
    _, journal, intent = claimed(fleet)
    journal.begin(intent)
    order = TaskOrder(prompt="Add types to p0.", environment_id="env_1", branch="main")
    now, fleet.cloud.clock = fleet.cloud.clock, FakeClock()  # the service's clock is right
    fleet.cloud.add_task(order)
    fleet.cloud.clock = now


def killed_after_settling(fleet: FleetFixture) -> None:
    """Leave a task that the journal has and the candidate has not."""
    _, journal, intent = claimed(fleet)
    journal.begin(intent)
    order = TaskOrder(prompt="Add types to p0.", environment_id="env_1", branch="main")
    journal.settle(intent, TaskRef("codex", fleet.cloud.add_task(order).id))


@pytest.mark.parametrize("leave", [killed_before_intent, killed_before_post, killed_after_post, killed_after_settling])
def test_what_a_killed_process_left_is_sent_once(tmp_path: Path, leave: Callable[[FleetFixture], None]) -> None:
    """Wherever a process was killed while it submitted, the next one sends each prompt once."""
    fleet = FleetFixture(tmp_path, spec_of(3))
    leave(fleet)
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 3)) == (status.outcome, once(fleet))


def test_what_was_ranked_and_not_decided_is_decided(tmp_path: Path) -> None:
    """A process that was killed between ranking and deciding leaves an item that the next one decides."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    candidate, _, _ = claimed(fleet)
    store, submissions = fleet.control.store, fleet.control.submissions
    submissions.record_task(candidate.id, TaskRef("codex", "task_e_9"), before=CandidateState.SUBMITTING)
    patch = Patch.parse(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    submissions.record_end(fleet.fleet.id, store.candidate(candidate.id), CandidateState.ENDED, patch=patch)
    ranked = {"review": {}, "chosen": candidate.id, "why": "it passes tests"}
    fleet.control.work.record_review(fleet.fleet.id, candidate.item, ItemState.RANKED, **ranked)
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, {1}) == (status.outcome, {*fleet.deliveries.keys.values()})


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@pytest.mark.parametrize("leave", [killed_before_post, killed_after_post])
def test_a_clock_that_jumps_pauses_nothing_for_long(
    tmp_path: Path, leave: Callable[[FleetFixture], None], jump: float
) -> None:
    """Where the clock of this machine differs by an hour, each prompt is sent once, after the quiet time at most."""
    fleet = FleetFixture(tmp_path, spec_of(3))
    fleet.clock.advance(jump)
    leave(fleet)
    fleet.clock.advance(-jump)
    begun = fleet.clock.monotonic()
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 3)) == (status.outcome, once(fleet))
    assert fleet.clock.monotonic() - begun < abs(jump) / 2


def test_an_unknown_outcome_is_not_sent_again_without_a_person(tmp_path: Path) -> None:
    """A submission that no list shows stays uncertain over runs; a person may send it again, once."""
    fleet = FleetFixture(tmp_path, spec_of(1), faults=[Reset(on="create_task")])
    first = fleet.run()
    again = fleet.run()
    sent = len(fleet.cloud.tasks)
    fleet.control.retry("typing", by="ann")
    fleet.control.retry("typing", uncertain=True, by="ann")
    fleet.control.retry("typing", uncertain=True, by="ben")
    last = fleet.run()

    assert (FleetOutcome.FAILURES, FleetOutcome.FAILURES, 0, FleetOutcome.DELIVERED, ({1}, {1}, 1)) == (
        first.outcome,
        again.outcome,
        sent,
        last.outcome,
        once(fleet),
    )


def test_several_attempts_are_several_tasks(tmp_path: Path) -> None:
    """Each attempt is one task, also where answers are lost and the tasks have equal prompts."""
    candidates = [{"provider": "codex", "environment": "env_1", "attempts": 3}]
    spec = spec_of(2, candidates=candidates)
    fleet = FleetFixture(tmp_path, spec, faults=[ResetAfterAccept(on="create_task", times=2)])

    assert (FleetOutcome.DELIVERED, ({3}, {1}, 2)) == (fleet.run().outcome, once(fleet))


# --- budgets, waves, failures -----------------------------------------------------------------------------------------


def test_a_budget_stops_the_fleet(tmp_path: Path) -> None:
    """No more tasks are sent than the budget has; a larger one continues."""
    fleet = FleetFixture(tmp_path, spec_of(5, budget={"tasks": 2}))
    status = fleet.run()
    sent, end = len(fleet.cloud.tasks), fleet.control.events("typing")[-1].event
    fleet.spec = spec_of(5, budget={"tasks": 9})
    fleet.plan()

    reason = "its budget of 2 tasks is used (budget.tasks)"
    assert (FleetOutcome.STOPPED, reason, 2) == (status.outcome, status.fleet.stopped_because, sent)
    assert ("fleet.done", reason) == (end.type, getattr(end, "why", None))
    assert (FleetOutcome.DELIVERED, ({1}, {1}, 5)) == (fleet.run().outcome, once(fleet))


class ClientWithCosts(ServiceClient):
    """A client of a service that reports what a task has cost, except one for p1."""

    async def sweep(self, refs: Any) -> Sweep:
        """Poll, and add the costs."""
        sweep = await super().sweep(refs)
        ended = [
            task if "p1" in (task.prompt or "") else msgspec.structs.replace(task, notices=(COST,))
            for task in sweep.ended
        ]
        return sweep._replace(ended=tuple(ended))


COST = Notice(kind="usage", text="it has cost 1.50 USD", cost=1.5)


def test_a_budget_of_costs_stops_the_fleet(tmp_path: Path) -> None:
    """Nothing is submitted once the reported costs reach the budget; a task without a cost is counted as unknown."""
    budget = {"spend": 3.0, "concurrent": 1}
    fleet = FleetFixture(tmp_path, spec_of(5, budget=budget))
    fleet.client = ClientWithCosts
    status = fleet.run()
    again = fleet.run()

    assert (FleetOutcome.STOPPED, "its budget of $3.00 is spent (budget.spend)", 3) == (
        status.outcome, status.fleet.stopped_because, status.fleet.submitted,
    )  # fmt: skip
    assert (3.0, 1, 3) == (again.spent, again.unknown_costs, len(fleet.cloud.tasks))
    assert [1.5, None, 1.5] == [each.cost for each in fleet.control.store.candidates(fleet.fleet.id) if each.ref]


def test_a_deadline_stops_the_fleet(tmp_path: Path) -> None:
    """After its deadline a fleet sends nothing."""
    fleet = FleetFixture(tmp_path, spec_of(2, budget={"deadline": "1h"}))
    fleet.clock.advance(3601.0)

    assert (FleetOutcome.STOPPED, 0) == (fleet.run().outcome, len(fleet.cloud.tasks))


def test_failures_stop_the_fleet(tmp_path: Path) -> None:
    """Where too many tasks fail, no further ones are sent."""
    rollout = {"waves": [4, "100%"], "between": "auto", "stop_on_failure": 0.5, "stop_after": 4}
    fleet = FleetFixture(tmp_path, spec_of(40, rollout=rollout), result=NO_PATCH)
    status = fleet.run()

    assert (FleetOutcome.STOPPED, "4 of 4 tasks failed (rollout.stop_on_failure)", 4) == (
        status.outcome,
        status.fleet.stopped_because,
        len(fleet.cloud.tasks),
    )


def test_no_more_tasks_are_active_than_allowed(tmp_path: Path) -> None:
    """The service never has more tasks of the fleet at once than `concurrent`."""
    fleet = FleetFixture(tmp_path, spec_of(9, budget={"concurrent": {"codex": 2}}))
    most = 0

    def count(status: Any) -> None:
        nonlocal most
        most = max(most, sum(status.candidates.get(each, 0) for each in ("submitting", "running")))

    fleet.on_status = count
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 9)) == (status.outcome, once(fleet))
    assert most <= 2


def test_a_wave_waits_for_a_person(tmp_path: Path) -> None:
    """The items of the next wave are sent after the first wave is delivered and a person has approved the next."""
    fleet = FleetFixture(tmp_path, spec_of(4, rollout={"waves": [1, "100%"]}))
    first = fleet.run()
    sent = len(fleet.cloud.tasks)
    fleet.control.approve("typing", by="ann")
    last = fleet.run()

    assert (FleetOutcome.WAITING, True, 1, FleetOutcome.DELIVERED, 4) == (
        first.outcome,
        first.waits_for_wave,
        sent,
        last.outcome,
        len(fleet.cloud.tasks),
    )


def test_waves_follow_one_another(tmp_path: Path) -> None:
    """With `between = "auto"` each wave begins when the one before is settled."""
    fleet = FleetFixture(tmp_path, spec_of(4, rollout={"waves": [1, 2, "100%"], "between": "auto"}))

    assert (FleetOutcome.DELIVERED, ({1}, {1}, 4)) == (fleet.run().outcome, once(fleet))


def test_an_item_without_a_change_is_exhausted(tmp_path: Path) -> None:
    """A task that changed nothing is no candidate, and the reason is kept."""
    fleet = FleetFixture(tmp_path, spec_of(1), result=NO_PATCH)
    status = fleet.run()
    (item,) = fleet.control.items("typing")

    assert (FleetOutcome.FAILURES, ItemState.EXHAUSTED, "it has changed nothing") == (
        status.outcome,
        item.state,
        item.why,
    )


def test_a_failed_item_is_sent_again_when_a_person_says_so(tmp_path: Path) -> None:
    """A retry is a new candidate: the prompt is sent once more, not more often."""
    fleet = FleetFixture(tmp_path, spec_of(1), result=NO_PATCH)
    fleet.run()
    fleet.control.retry("typing", by="ann")
    fleet.run()

    assert 2 == len(fleet.cloud.tasks)


# --- decisions and deliveries -----------------------------------------------------------------------------------------


def waiting(tmp_path: Path, **sections: Any) -> FleetFixture:
    """Return a fleet whose two items wait for a person."""
    fleet = FleetFixture(tmp_path, spec_of(2, approve={"otherwise": "person"}, **sections))
    assert FleetOutcome.WAITING is fleet.run().outcome
    return fleet


def test_a_person_decides_each_item(tmp_path: Path) -> None:
    """An approved item is delivered, a rejected one is not; deciding again changes nothing."""
    fleet = waiting(tmp_path)
    fleet.control.approve("typing", ["p0"], by="ann", why="read it")
    fleet.control.reject("typing", ["p1"], by="ann")
    fleet.control.approve("typing", ["p0"], by="ben")
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, {"delivered": 1, "rejected": 1}, {"typing/p0": 1}) == (
        status.outcome,
        dict(status.items),
        dict(fleet.deliveries.keys),
    )


def test_a_gate_decides_its_item(tmp_path: Path) -> None:
    """An item that waits has a gate about its change; whoever decides the gate, by any way, decides the item."""
    fleet = waiting(tmp_path)
    gates = GateStore(fleet.database, time=fleet.clock.time)
    first, second = sorted(gates.list(), key=lambda gate: gate.subject)
    gates.decide(first.id, "approve", by="ann", via="web", why="read it", digest=first.digest)
    gates.decide(second.id, "reject", by="ben", via="mcp")
    status = fleet.run()

    assert (["fleet:typing/p0", "fleet:typing/p1"], {"delivered": 1, "rejected": 1}, {"typing/p0": 1}, []) == (
        [first.subject, second.subject],
        dict(status.items),
        dict(fleet.deliveries.keys),
        [*gates.list()],
    )


def test_the_first_decision_counts(tmp_path: Path) -> None:
    """An item whose gate was rejected elsewhere is not approved afterwards, also before the loop has run."""
    fleet = waiting(tmp_path)
    gates = GateStore(fleet.database, time=fleet.clock.time)
    gates.decide(gates.list(subject="fleet:typing/p0")[0].id, "reject", by="ann", via="web")

    with pytest.raises(errors.ConfigurationError, match="'p0' does not wait for a decision: it is rejected"):
        fleet.control.approve("typing", ["p0"], by="ben")


def test_a_decided_item_leaves_no_gate(tmp_path: Path) -> None:
    """Deciding and cancelling items closes their gates, and records who decided."""
    fleet = waiting(tmp_path)
    fleet.control.approve("typing", ["p0"], by="ann")
    fleet.control.cancel("typing", by="ben")
    gates = GateStore(fleet.database, time=fleet.clock.time).list(state=None)

    assert {("approved", "ann"), ("withdrawn", None)} == {
        (gate.state, gate.decision.by if gate.decision else None) for gate in gates
    }


def test_another_decision_is_refused(tmp_path: Path) -> None:
    """An item that was rejected cannot be approved by another person who did not see that."""
    fleet = waiting(tmp_path)
    fleet.control.reject("typing", ["p1"], by="ann")

    with pytest.raises(errors.ConfigurationError, match="'p1' does not wait for a decision: it is rejected"):
        fleet.control.approve("typing", ["p1"], by="ben")


def test_without_rules_a_person_decides(tmp_path: Path) -> None:
    """Without `[approve]` nothing is delivered before a person has decided."""
    spec = spec_of(1)
    sections = msgspec.structs.replace(spec.sections, approve=None)
    fleet = FleetFixture(tmp_path, msgspec.structs.replace(spec, sections=sections))

    assert (FleetOutcome.WAITING, {}) == (fleet.run().outcome, dict(fleet.deliveries.keys))


def test_what_was_not_checked_waits_for_a_person(tmp_path: Path) -> None:
    """A choice that no required check supports is not approved automatically."""
    fleet = FleetFixture(tmp_path, spec_of(1))
    fleet.review = FirstCandidate(is_automatic=False)

    assert FleetOutcome.WAITING is fleet.run().outcome


def test_a_decision_has_a_deadline(tmp_path: Path) -> None:
    """An item that nobody decided about in time is rejected where the file says so."""
    spec = spec_of(1, approve={"timeout": "72h", "on_expiry": "reject"})
    fleet = FleetFixture(tmp_path, spec)
    fleet.run()
    fleet.clock.advance(72 * 3600 + 1.0)
    fleet.run()
    (item,) = fleet.control.items("typing")

    assert (ItemState.REJECTED, "nobody decided before the deadline") == (item.state, item.why)


def test_a_change_that_does_not_fit_is_a_conflict(tmp_path: Path) -> None:
    """A conflict concerns its item alone: the others are delivered, and a person decides about it."""
    fleet = FleetFixture(tmp_path, spec_of(3))
    fleet.deliveries = CountedDeliveries(errors.PatchConflictError("it does not fit: a.py"))
    status = fleet.run()

    assert (FleetOutcome.WAITING, {"conflict": 1, "delivered": 2}) == (status.outcome, dict(status.items))


def test_a_delivery_that_failed_is_repeated_when_a_person_says_so(tmp_path: Path) -> None:
    """After a retry the change is delivered once, without another task."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    fleet.deliveries = CountedDeliveries(errors.ConfigurationError("no permission", remedy="ask for it"))
    first = fleet.run()
    fleet.control.retry("typing", by="ann")
    last = fleet.run()

    assert (FleetOutcome.FAILURES, FleetOutcome.DELIVERED, ({1}, {1}, 2)) == (first.outcome, last.outcome, once(fleet))


def test_a_delivery_that_was_begun_is_finished(tmp_path: Path) -> None:
    """An item whose delivery a killed process began is delivered."""
    fleet = waiting(tmp_path)
    fleet.control.approve("typing", ["p0"], by="ann")
    (item, *_) = fleet.control.items("typing")
    fleet.control.store.change_item(item.id, ItemState.APPROVED, ItemState.DELIVERING)
    fleet.run()

    assert {"typing/p0": 1} == dict(fleet.deliveries.keys)


# --- pause and cancel -------------------------------------------------------------------------------------------------


def test_a_paused_fleet_starts_nothing(tmp_path: Path) -> None:
    """Nothing is sent while a fleet is paused, and it continues when it is resumed."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    fleet.control.pause("typing", by="ann")
    paused = fleet.run().outcome
    sent = len(fleet.cloud.tasks)
    fleet.control.resume("typing", by="ann")

    assert (FleetOutcome.WAITING, 0, FleetOutcome.DELIVERED) == (paused, sent, fleet.run().outcome)


def test_a_cancelled_fleet_ends(tmp_path: Path) -> None:
    """What was not delivered is cancelled, and nothing more is sent."""
    fleet = waiting(tmp_path)
    fleet.control.cancel("typing", by="ann")
    status = fleet.run()
    fleet.plan()

    assert (FleetOutcome.STOPPED, FleetOutcome.STOPPED, {"cancelled": 2}, FleetState.DONE, 2) == (
        status.outcome,
        fleet.run().outcome,
        dict(status.items),
        status.fleet.state,
        len(fleet.cloud.tasks),
    )


def test_a_task_that_needs_input_leaves_its_item_open(tmp_path: Path) -> None:
    """A fleet whose tasks wait for a person says so, and goes on with the others."""
    fleet = FleetFixture(tmp_path, spec_of(1))
    (candidate,) = fleet.control.store.candidates(fleet.fleet.id)
    fleet.control.submissions.claim(fleet.fleet.id, candidate, "", SubmissionBudget())
    fleet.control.submissions.record_task(candidate.id, TaskRef("codex", "t"), before=CandidateState.SUBMITTING)
    fleet.control.store.change_candidate(candidate.id, CandidateState.RUNNING, CandidateState.INPUT_REQUIRED)

    assert FleetOutcome.WAITING is fleet.control.status("typing").outcome


@pytest.mark.parametrize("leave", [killed_before_intent, killed_before_post, killed_after_post])
def test_a_changed_prompt_replaces_a_submission_that_was_interrupted(
    tmp_path: Path, leave: Callable[[FleetFixture], None]
) -> None:
    """A candidate that was being submitted with the former prompt is not sent again, and the new prompt is sent once."""
    fleet = FleetFixture(tmp_path, spec_of(1))
    leave(fleet)
    fleet.spec = spec_of(1, task={"prompt": "Document {package}.", "base": "main"})
    fleet.plan()
    status = fleet.run()
    former, new = fleet.control.store.candidates(fleet.fleet.id)

    assert (FleetOutcome.DELIVERED, "cancelled", "verified") == (status.outcome, former.state, new.state)
    assert fleet.prompts.get("Document p0.") == 1
    assert {"Document p0.", *(["Add types to p0."] if leave is killed_after_post else [])} == {*fleet.prompts}


@pytest.mark.parametrize(
    "faults",
    [
        [Reset(on="list_tasks", times=None), Reset(on="get_task", times=None)],
        [Status(503, on="list_tasks", times=None), Status(503, on="get_task", times=None)],
    ],
)
def test_a_service_that_is_gone_ends_a_run(tmp_path: Path, faults: Sequence[Fault]) -> None:
    """After a quarter of an hour without an answer a run ends and says why; the next one goes on where it answers."""
    fleet = FleetFixture(tmp_path, spec_of(2), faults=faults)
    begun = fleet.clock.time()
    status = fleet.run()
    seconds = fleet.clock.time() - begun
    (account,) = status.accounts
    fleet.cloud.faults.clear()
    fleet.clock.advance(3600)
    done = fleet.run()

    assert (FleetOutcome.PARKED, {"running": 2}) == (status.outcome, dict(status.candidates))
    assert status.outage
    assert account.reason == f"it was not reached: {status.outage}"
    assert 900 <= seconds <= 1200
    assert ("delivered", {1}) == (done.outcome, {*fleet.prompts.values()})


@pytest.mark.parametrize("is_running", [False, True])
def test_a_changed_prompt_leaves_former_candidates_out(tmp_path: Path, is_running: bool) -> None:
    """What was made, or is being made, for a former prompt is never chosen for the new one."""
    fleet = FleetFixture(tmp_path, spec_of(1, approve={"otherwise": "person"}))
    if is_running:
        (candidate,) = fleet.control.store.candidates(fleet.fleet.id)
        fleet.control.submissions.claim(fleet.fleet.id, candidate, "", SubmissionBudget())
        ref = TaskRef("codex", "task_e_1")
        fleet.control.submissions.record_task(candidate.id, ref, before=CandidateState.SUBMITTING)
    else:
        fleet.run()
    fleet.spec = spec_of(1, task={"prompt": "Document {package}."}, approve={"otherwise": "person"})
    fleet.plan()
    fleet.run()
    former, new = fleet.control.store.candidates(fleet.fleet.id)
    (item,) = fleet.control.items("typing")

    assert (new.id, None, "the prompt or the base of its item was changed") == (item.chosen, former.patch, former.error)
