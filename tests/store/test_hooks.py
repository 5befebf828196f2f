"""Hooks and their deliveries in the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coatcheck import TaskRef, TaskState, errors
from coatcheck._model.events import TaskEvent, TaskFailed, TaskMessage, TaskSucceeded
from coatcheck._model.outcome import Message
from coatcheck._store.database import Database
from coatcheck._store.events import EventLog, append_events
from coatcheck._store.hooks import CLAIM_SECONDS, MAX_FAILURES, Hook, HookStore
from coatcheck.testing import FakeClock

REF = TaskRef("local", "t1")
SUCCEEDED = TaskSucceeded(ref=REF, state=TaskState.SUCCEEDED)
FAILED = TaskFailed(ref=REF, state=TaskState.FAILED)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that does not run."""
    return FakeClock()


@pytest.fixture
def hooks(database: Database, clock: FakeClock) -> HookStore:
    """Return the hooks of an empty store."""
    return HookStore(database, clock=clock)


@pytest.fixture
def append(database: Database, clock: FakeClock) -> Callable[..., list[int]]:
    """Return a function that stores events."""

    def append(*events: TaskEvent) -> list[int]:
        return list(EventLog(database, time=clock.time).append(events))

    return append


def hook(id: str = "h1", *kinds: str) -> Hook:
    """Return a hook for *kinds*, for all without any."""
    return Hook(id=id, url="https://example.com/", kinds=kinds or ("*",), created_at=datetime.fromtimestamp(1, UTC))


def due(hooks: HookStore) -> list[str]:
    """Return the ids of the deliveries that are due, and claim them."""
    ids = []
    while (delivery := hooks.claim_due()) is not None:
        ids.append(delivery.id)
    return ids


def test_a_hook_gets_the_events_of_its_types(hooks: HookStore, append: Callable[..., list[int]]) -> None:
    """Each event becomes a delivery to every hook for its type; earlier events do not."""
    append(SUCCEEDED)
    hooks.add(hook("all"))
    hooks.add(hook("ends", "task.failed", "task.succeeded"))
    message, failed = append(TaskMessage(ref=REF, message=Message(text="x")), FAILED)

    assert {f"msg_all_{message}", f"msg_all_{failed}", f"msg_ends_{failed}"} == set(due(hooks))


def test_an_event_that_is_not_stored_is_not_announced(hooks: HookStore, database: Database) -> None:
    """A transaction that is undone leaves no delivery."""
    hooks.add(hook())

    def fail() -> None:
        with database.writing() as transaction:
            transaction.lock_events()
            append_events(transaction, [SUCCEEDED], at=1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert [] == due(hooks)


def test_a_delivery_is_claimed_once(
    hooks: HookStore, append: Callable[..., list[int]], connect: Callable[[], Database], clock: FakeClock
) -> None:
    """Of two processes one sends; after a crash of that one the delivery is due again."""
    hooks.add(hook())
    append(SUCCEEDED)
    other = HookStore(connect(), clock=clock)
    claims = [hooks.claim_due() is not None, other.claim_due() is not None]
    clock.sleep(CLAIM_SECONDS)

    assert ([True, False], True) == (claims, other.claim_due() is not None)


def test_a_retry_keeps_its_id(hooks: HookStore, append: Callable[..., list[int]], clock: FakeClock) -> None:
    """A failed attempt is due again later, with its id and the number of attempts."""
    hooks.add(hook())
    append(SUCCEEDED)
    first = hooks.claim_due()
    assert first is not None
    hooks.record_attempt(first, state="due", due_at=clock.time() + 5, status=503, detail=None)
    early, at = hooks.claim_due(), hooks.next_due()
    clock.sleep(5)
    second = hooks.claim_due()
    assert second is not None

    assert (None, clock.time(), first.id, 1, 503) == (early, at, second.id, second.tries, second.status)


def test_a_hook_that_always_fails_is_switched_off(
    hooks: HookStore, append: Callable[..., list[int]], clock: FakeClock
) -> None:
    """After a number of failed deliveries in a row the hook gets no more; success resets the count."""
    hooks.add(hook())
    states = []
    for state in ("failed", "sent", *["failed"] * MAX_FAILURES):
        append(SUCCEEDED)
        delivery = hooks.claim_due()
        assert delivery is not None
        hooks.record_attempt(delivery, state=state, due_at=None, status=None, detail="x")
        states.append(hooks.get("h1").state)
    append(SUCCEEDED)

    assert (["on"] * (MAX_FAILURES + 1) + ["off"], []) == (states, due(hooks))


def test_a_delivery_is_replayed(hooks: HookStore, append: Callable[..., list[int]]) -> None:
    """A delivery that was sent can be sent again, with the same id; an unknown one cannot."""
    hooks.add(hook())
    append(SUCCEEDED)
    delivery = hooks.claim_due()
    assert delivery is not None
    hooks.record_attempt(delivery, state="sent", due_at=None, status=204, detail=None)
    replayed = (hooks.replay(delivery.id), hooks.replay("msg_x"))

    assert ((True, False), [delivery.id]) == (replayed, due(hooks))


def test_pages_of_deliveries_have_each_once(
    hooks: HookStore, append: Callable[..., list[int]], clock: FakeClock
) -> None:
    """Each page continues after the last delivery of the one before, also among those of the same moment."""
    hooks.add(hook("h1"))
    hooks.add(hook("h2"))
    for _ in range(3):
        append(SUCCEEDED, FAILED)
        clock.advance(1)
    every, seen = hooks.list_deliveries(limit=99), list(hooks.list_deliveries(limit=5))
    while page := hooks.list_deliveries(limit=5, before=seen[-1]):
        seen += page
    of_one = hooks.list_deliveries(hook="h2", limit=9, before=every[0])

    assert (12, every) == (len(every), seen)
    assert [each for each in every[1:] if each.hook == "h2"] == [*of_one]


def test_a_removed_hook_leaves_nothing(hooks: HookStore, append: Callable[..., list[int]]) -> None:
    """Removing a hook removes its deliveries; a second time there is none."""
    hooks.add(hook())
    append(SUCCEEDED)
    removed = (hooks.remove("h1"), hooks.remove("h1"))

    assert ((True, False), [], []) == (removed, due(hooks), list(hooks.list_deliveries()))


def test_an_unknown_hook(hooks: HookStore) -> None:
    """The error lists the hooks there are."""
    hooks.add(hook())
    with pytest.raises(errors.ConfigurationError) as raised:
        hooks.get("h2")

    assert "hooks: h1" == raised.value.remedy
