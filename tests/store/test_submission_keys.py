"""Keys of submissions: what is repeated is found, whichever process wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck import TaskRef, TaskSpec
from coatcheck._model.gates import Gate
from coatcheck._protocol.intents import Intent, intent_of
from coatcheck._store.database import Database
from coatcheck._store.gates import GateStore
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.submission_keys import (
    KEY_SECONDS,
    REPEAT_SECONDS,
    KeyedSubmissionJournal,
    RepeatedSubmissionError,
    SubmissionKey,
    find_earlier,
)
from coatcheck.errors import PermissionDeniedError

REF = TaskRef("toy", "t1")


def intent(id: str, at: float = 1000.0) -> Intent:
    """Return an intent."""
    return intent_of(TaskSpec(prompt="x"), id=id, provider="toy", at=at, pid=1)


def begun(database: Database, id: str, digest: str, name: str | None = None, at: float = 1000.0) -> SubmissionJournal:
    """Begin a submission with a key, and return its journal."""
    journal = KeyedSubmissionJournal(database, via="mcp")
    journal.key = SubmissionKey(digest, name)
    journal.begin(intent(id, at))
    return journal


def test_a_second_submission_with_the_key_is_refused_and_names_the_first(connect: Callable[[], Database]) -> None:
    """Another process gets the intent, and its task as soon as it is known; its own intent is not written."""
    first, second = connect(), connect()
    journal = begun(first, "i1", "d", "k")
    with pytest.raises(RepeatedSubmissionError) as caught:
        begun(second, "i2", "d")
    journal.settle(intent("i1"), REF)
    with pytest.raises(RepeatedSubmissionError) as again:
        begun(second, "i3", "other", "k")
    earlier, later = caught.value.earlier, again.value.earlier

    assert ("i1", None, True, REF, False) == (
        earlier.intent.id, earlier.ref, earlier.is_same_content, later.ref, later.is_same_content
    )  # fmt: skip
    assert [] == list(SubmissionJournal(second).open_intents("toy"))


@pytest.mark.parametrize(
    ("key", "after", "is_found"),
    [
        (SubmissionKey("d"), REPEAT_SECONDS - 1, True),
        (SubmissionKey("d"), REPEAT_SECONDS + 1, False),
        (SubmissionKey("d", "k"), REPEAT_SECONDS + 1, True),
        (SubmissionKey("other", "k"), KEY_SECONDS - 1, True),
        (SubmissionKey("d", "k"), KEY_SECONDS + 1, False),
        (SubmissionKey("d", "other"), 1, False),
        (SubmissionKey("other"), 1, False),
    ],
)
def test_keys_hold_for_their_time(database: Database, key: SubmissionKey, after: float, is_found: bool) -> None:
    """A name holds for a day, the content for ten minutes, and another name is another submission."""
    begun(database, "i1", "d", "k")

    assert is_found == (find_earlier(database, key, now=1000.0 + after) is not None)


def test_what_created_no_task_holds_no_key(database: Database) -> None:
    """An abandoned submission is not found, and the same can be submitted again."""
    begun(database, "i1", "d", "k").abandon(intent("i1"))
    begun(database, "i2", "d", "k")

    assert ["i2"] == [each.id for each in SubmissionJournal(database).open_intents("toy")]


def test_what_was_submitted_over_mcp_is_not_decided_over_mcp(database: Database) -> None:
    """The origin is stored with the intent, so that it holds for a task that another process finds later."""
    begun(database, "i1", "d")
    SubmissionJournal(database).settle(intent("i1"), REF)
    store = GateStore(database, time=lambda: 1000.0)
    own = store.open(Gate(subject=str(REF), kind="plan", title="the plan"))
    other = store.open(Gate(subject="toy:t2", kind="plan", title="the plan"))
    for option in ("approve", "reject"):
        with pytest.raises(PermissionDeniedError, match="MCP cannot decide"):
            store.decide(own.id, option, by="somebody", via="mcp")
    decisions = [
        store.decide(other.id, "approve", by="a", via="mcp"),
        store.decide(own.id, "approve", by="a", via="cli"),
    ]

    assert ("mcp", None, ["approve", "approve"]) == (
        own.submitted_via, other.submitted_via, [each.effect for each in decisions]
    )  # fmt: skip
