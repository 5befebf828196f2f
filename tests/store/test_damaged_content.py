"""Content of rows that cannot be read, which the database itself does not notice: one clear error, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from coatcheck import FleetDone, History, Message, Outcome, Patch, PatchState, Task, TaskRef, TaskState, errors

DIFF = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"
NAMES = ("one", "two", "three")
# What is damaged of the task two, as statements.
DOCUMENT = "UPDATE task SET document = '{' WHERE id = 'two'"
TYPE = """UPDATE task SET document = '{"ref": 5}' WHERE id = 'two'"""
MISSING = "DELETE FROM blob WHERE number IN (SELECT blob FROM task_blob WHERE task = 2)"
# The first bytes of a stream of zlib's, and no more (RFC 1950, section 2.2).
BLOB = "UPDATE blob SET data = CAST('x' AS BYTEA) WHERE number IN (SELECT blob FROM task_blob WHERE task = 2)"
EVENT = "UPDATE event SET data = CAST('x' AS BYTEA) WHERE subject = 2"


def task(name: str, text: str = "") -> Task:
    """Return a task that has ended, whose texts no other task has."""
    text = text or f"a long text about {name} {'and more ' * 100}"
    outcome = Outcome(messages=(Message(text=text),), patch=Patch(DIFF + name.encode()), patch_state=PatchState.PRESENT)
    return Task(ref=TaskRef("toy", name), state=TaskState.SUCCEEDED, prompt=text, outcome=outcome)


@pytest.fixture
def damage(location: str) -> Iterator[Callable[[str], History]]:
    """A function that returns the history of three tasks after a statement."""
    history = History(location)

    def damage(statement: str) -> History:
        history.record_all(map(task, NAMES))
        with history._database.writing() as transaction:
            assert transaction.change(statement)
        return history

    yield damage
    history.close()


def reason(act: Callable[[], object]) -> tuple[bool, str | None]:
    """Return whether the message of the error names the task, and the remedy."""
    with pytest.raises(errors.StoreError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return "toy:two cannot be read" in str(caught.value), caught.value.remedy


FORGET = (True, "delete it from the history: coatcheck history forget toy:two")


@pytest.mark.parametrize("statement", [DOCUMENT, TYPE, MISSING, BLOB])
def test_a_damaged_task_is_named(damage: Callable[[str], History], statement: str) -> None:
    """Others are read, and the remedy deletes it."""
    history = damage(statement)
    refused = reason(lambda: history.get(TaskRef("toy", "two")))
    others = [history.get(TaskRef("toy", name)) is not None for name in ("one", "three")]
    forgotten = history.forget([TaskRef("toy", "two")])
    left = sorted(entry.task.id for entry in history.list().items)

    assert (FORGET, [True, True], 1, ["one", "three"]) == (refused, others, forgotten, left)


@pytest.mark.parametrize("statement", [MISSING, BLOB, EVENT])
def test_damaged_events_are_named(damage: Callable[[str], History], statement: str) -> None:
    """Reading all of them stops there; those of other tasks are read."""
    history = damage(statement)
    log = history.events
    refused = [
        reason(log.read),
        reason(lambda: log.last(9)),
        reason(lambda: log.before(None, kinds=["task.message"], limit=9)),
    ]
    others = [each.event.type for each in log.read(subject=TaskRef("toy", "one"))]

    assert ([FORGET] * 3, ["task.message", "task.succeeded"]) == (refused, others)


@pytest.mark.parametrize("statement", [DOCUMENT, MISSING, BLOB, EVENT])
def test_an_export_has_every_task_that_can_be_read(damage: Callable[[str], History], statement: str) -> None:
    """The error comes after the last line."""
    lines: list[bytes] = []
    history = damage(statement)
    refused = reason(lambda: lines.extend(history.export_lines()))

    assert (FORGET, [True, True]) == (refused, [name in str(lines) for name in ("toy:one", "toy:three")])


def test_a_new_snapshot_replaces_one_that_is_damaged(damage: Callable[[str], History]) -> None:
    """The task is read and found again."""
    history = damage(DOCUMENT)
    history.record(task("two", "another text"))
    entry = history.get(TaskRef("toy", "two"))
    found = [each.task.id for each in history.search("another").items]

    assert ("another text", ["two"]) == (entry and entry.task.prompt, found)


def test_a_damaged_event_of_no_task_has_no_remedy_that_deletes_a_task(damage: Callable[[str], History]) -> None:
    """Its subject is named."""
    history = damage(DOCUMENT)
    history.events.append([FleetDone(subject="fleet:f", fleet="f")])
    with history._database.writing() as transaction:
        transaction.change("UPDATE event SET data = CAST('x' AS BYTEA) WHERE kind = 'fleet.done'")
    with pytest.raises(errors.StoreError) as caught:
        history.events.read(subject="fleet:f")

    assert ("fleet:f cannot be read" in str(caught.value), None) == (True, caught.value.remedy)
