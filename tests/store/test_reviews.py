"""Reviews in the store: what was planned is never lost, and never sent twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck import TaskRef, TaskSpec, errors
from coatcheck._model.gates import Gate
from coatcheck._model.review_events import ReviewRanked
from coatcheck._protocol.intents import Intent, intent_of
from coatcheck._store.database import Database
from coatcheck._store.events import EventLog
from coatcheck._store.gates import GateStore
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.reviews import (
    AlreadySubmittedError,
    ReviewJournal,
    ReviewStore,
    ReviewSubmission,
    StoredReview,
    prune_reviews,
)
from coatcheck.testing import FakeClock

SPEC = TaskSpec(prompt="Add dark mode\0 \u2028", environment="owner/repo", attempts=2, starting_diff="--- a\n")
REF = TaskRef("toy", "t1")


@pytest.fixture
def store(database: Database) -> ReviewStore:
    """An empty store of reviews."""
    return ReviewStore(database, clock=FakeClock())


def planned(number: int = 1, error: str | None = None) -> ReviewSubmission:
    """Return a submission that was not sent."""
    return ReviewSubmission(number=number, provider="toy", attempts=2, spec=None if error else SPEC, error=error)


def create(store: ReviewStore, *submissions: ReviewSubmission, name: str = "dark") -> StoredReview:
    """Store a review."""
    return store.create(iter([name]), submissions or (planned(),), title="Add dark mode", settings={"checks": ["make"]})


def states(store: ReviewStore) -> list[tuple[str, TaskRef | None]]:
    """Return the state and the task of each submission of the review."""
    review = store.get("dark")
    assert review is not None
    return [(each.state.value, each.ref) for each in review.submissions]


def intent(id: str = "i1") -> Intent:
    """Return an intent."""
    return intent_of(TaskSpec(prompt="p"), id=id, provider="toy", at=1.0, pid=1)


def begin(store: ReviewStore, number: int = 1, id: str = "i1") -> ReviewJournal:
    """Begin to send a submission."""
    journal = store.journal()
    with journal.submitting("dark", number):
        journal.begin(intent(id))
    return journal


def test_a_review_is_read_as_it_was_stored(store: ReviewStore, connect: Callable[[], Database]) -> None:
    """Another process reads every field of a review, whatever text the prompt has."""
    created = create(store, planned(1), planned(2, error="no login"))
    read = ReviewStore(connect(), clock=FakeClock()).get("dark")
    assert read is not None

    assert (created.settings, SPEC, ["planned", "failed"], None) == (
        read.settings,
        read.submissions[0].spec,
        [each.state.value for each in read.submissions],
        store.get("bright"),
    )


def test_the_first_free_name_is_taken(store: ReviewStore) -> None:
    """A generated name that a review has gets a number; a chosen one is an error with the command that continues it."""
    create(store)
    second = store.create(iter(["dark", "dark-2"]), (planned(),), title="")
    with pytest.raises(errors.ConfigurationError, match="there is a review with the name 'dark'") as caught:
        create(store)

    assert ("dark-2", True, ["dark", "dark-2"]) == (
        second.name,
        "coatcheck review dark" in (caught.value.remedy or ""),
        sorted(each.name for each in store.list_reviews()),
    )


def test_reviews_are_listed_from_any_of_them_on(store: ReviewStore) -> None:
    """With a name those that follow it in the list are returned, also of the same moment; after the last there are none."""
    for name in ("a", "b", "c"):
        store.create(iter([name]), (planned(),), title="")
    pages = [[each.name for each in store.list_reviews(limit=2, after=after)] for after in (None, "b", "a")]

    assert [["c", "b"], ["a"], []] == pages


def test_the_journal_says_what_became_of_a_submission(store: ReviewStore) -> None:
    """A submission is open from its intent on, then has a task; after a certain refusal it may be sent again."""
    create(store, planned(1), planned(2), planned(3))
    begin(store, 1, "i1")
    begin(store, 2, "i2").settle(intent("i2"), REF)
    journal = store.journal()
    with journal.submitting("dark", 3):
        journal.begin(intent("i3"))
        journal.abandon(intent("i3"))

    assert [("open", None), ("submitted", REF), ("planned", None)] == states(store)


def test_a_submission_is_sent_by_one_process(store: ReviewStore, connect: Callable[[], Database]) -> None:
    """Of two processes that continue a review the second gets an error before it writes an intent."""
    create(store)
    begin(store)
    other = ReviewStore(connect(), clock=FakeClock())
    with pytest.raises(AlreadySubmittedError, match="another process"):
        begin(other, id="i2")

    assert ["i1"] == [each.id for each in SubmissionJournal(connect()).open_intents("toy")]


def test_what_may_have_created_a_task_is_not_sent_again(store: ReviewStore, connect: Callable[[], Database]) -> None:
    """An open submission that `submit --resume` has closed without finding a task stays failed."""
    create(store)
    begin(store)
    SubmissionJournal(connect()).abandon(intent())
    with pytest.raises(AlreadySubmittedError):
        begin(store, id="i2")

    assert [("failed", None)] == states(store)


def test_an_error_is_final(store: ReviewStore) -> None:
    """A submission with an error is recorded once, and not sent."""
    create(store)
    recorded = [store.record_error("dark", 1, "no login"), store.record_error("dark", 1, "another")]
    with pytest.raises(AlreadySubmittedError):
        begin(store)
    review = store.get("dark")
    assert review is not None

    assert ([True, False], "no login", None) == (recorded, review.submissions[0].error, review.submissions[0].spec)


def test_states_change_by_comparison(store: ReviewStore) -> None:
    """Of two changes from the same state the second does nothing."""
    create(store)
    changed = [store.advance("dark", "waiting", from_states=["submitting"]) for _ in range(2)]
    changed.append(store.advance("dark", "ended", from_states=["submitting", "waiting"]))

    assert [True, False, True] == changed


def test_a_ranking_is_recorded_with_its_event(store: ReviewStore, database: Database) -> None:
    """The same choice is one event; the end of the review, and another choice, are others."""
    create(store)
    choices = [("toy:t1/1", False), ("toy:t1/1", False), ("toy:t1/1", True), (None, True)]
    recorded = [store.record_ranking("dark", choice, candidates=2, is_final=final) for choice, final in choices]
    events = EventLog(database, time=FakeClock().time).read(subject="review:dark")
    review = store.get("dark")
    assert review is not None

    assert ([True, False, True, True], ["toy:t1/1", "toy:t1/1", None], "ended", None) == (
        recorded,
        [each.event.chosen for each in events if isinstance(each.event, ReviewRanked)],
        review.state,
        review.choice,
    )


def test_the_prompt_is_deleted_when_it_is_not_needed(store: ReviewStore) -> None:
    """The prompt of a submission that was sent is deleted; that of one that was not is kept."""
    create(store, planned(1), planned(2))
    begin(store, 1)
    store.forget_specs("dark")
    review = store.get("dark")
    assert review is not None

    assert [None, SPEC] == [each.spec for each in review.submissions]


def test_a_deleted_review_leaves_its_tasks(store: ReviewStore, connect: Callable[[], Database]) -> None:
    """Deleting a review deletes what it plans, and not the record of what was submitted."""
    create(store)
    begin(store).settle(intent(), REF)

    assert (1, 0, [REF]) == (
        store.delete(["dark", "other"]),
        store.delete(["dark"]),
        [each.ref for each in SubmissionJournal(connect()).latest(5)],
    )


def test_a_held_review_is_released_once(store: ReviewStore, connect: Callable[[], Database]) -> None:
    """Until then it has no prompt and nothing is sent; of two processes one releases it."""
    held = store.create(iter(["dark"]), (planned(1), planned(2, error="no login")), title="x", is_held=True)
    before = store.get("dark")
    other = ReviewStore(connect(), clock=FakeClock())
    released = [each.release("dark", {1: SPEC, 2: SPEC}) for each in (other, store)]
    after = store.get("dark")
    assert before is not None
    assert after is not None

    assert ("held", "held", [None, None], [True, False], "submitting", [SPEC, None]) == (
        held.state,
        before.state,
        [each.spec for each in before.submissions],
        released,
        after.state,
        [each.spec for each in after.submissions],
    )


def test_a_held_review_is_pruned_when_its_gate_is_closed(store: ReviewStore, database: Database) -> None:
    """A review that waits for a decision, or was approved, stays; one whose gate was rejected has ended."""
    gates = GateStore(database, time=FakeClock().time)
    for name, option in (("open", None), ("approved", "approve"), ("rejected", "reject")):
        store.create(iter([name]), (planned(),), title="x", is_held=True)
        gate = gates.open(Gate(subject=f"review:{name}", kind="submission", title=name, digest=name))
        if option is not None:
            gates.decide(gate.id, option, by="ann", via="cli")
    with database.writing() as transaction:
        pruned = prune_reviews(transaction, FakeClock().time() + 1)

    assert (1, {"open", "approved"}) == (pruned, {each.name for each in store.list_reviews()})
