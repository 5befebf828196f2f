from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from coatcheck import Task, TaskRef, TaskState
from coatcheck.providers.jules import wire
from coatcheck.providers.jules.activities import Happening
from coatcheck.providers.jules.snapshots import OVERLAP, STALL, Memory, follow

NOW = 1_790_000_000.0
REF = TaskRef("jules", "1")


def happening(key: str, at: float, *, originator: str = "agent") -> Happening:
    """Return an activity at a time."""
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    return Happening(wire.Activity(id=key, create_time=moment, originator=originator))


def task(state: TaskState = TaskState.RUNNING) -> Task:
    """Return a task."""
    return Task(ref=REF, state=state, updated_at=datetime.fromtimestamp(NOW, UTC))


def remembered(*happenings: Happening) -> Memory:
    """Return the memory after activities."""
    memory = Memory()
    for each in happenings:
        memory = memory.after(each)
    return memory


def test_two_activities_of_one_moment_are_both_received() -> None:
    """A second activity of the same moment is found by an earlier filter, and known ones are skipped by id."""
    first, twin = happening("a", NOW), happening("b", NOW)
    memory = remembered(first)

    assert [twin] == memory.unseen([first, twin])
    assert f'create_time>"{datetime.fromtimestamp(NOW - OVERLAP, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"' == memory.filter


@given(st.lists(st.floats(0, 600), max_size=40).map(sorted), st.integers(0, 40))
def test_no_activity_is_lost_or_reported_twice(times: list[float], known: int) -> None:
    """For activities received in any steps, the filter and the ids leave exactly the rest."""
    every = [happening(str(number), NOW + time) for number, time in enumerate(times)]
    memory = Memory.read(remembered(*every[:known]).to_text())
    asked = [each for each in every if not memory.last or (each.at or 0) > memory.last - OVERLAP]

    assert every[known:] == memory.unseen(asked)


def test_a_memory_stays_short() -> None:
    """Only what lies within the overlap is remembered by id."""
    memory = remembered(*(happening(str(number), NOW + number) for number in range(1000)))

    assert OVERLAP + 1 == len(memory.around)


@pytest.mark.parametrize("text", ["", "gibberish", "[1,", '{"last":1}'])
def test_an_unreadable_cursor_starts_anew(text: str) -> None:
    """A cursor that cannot be read starts at the beginning."""
    assert Memory() == Memory.read(text)


@pytest.mark.parametrize(
    ("sign", "waited", "state", "expected"),
    [
        (0.0, STALL + 1, TaskState.RUNNING, ["stalled"]),
        (0.0, STALL - 1, TaskState.RUNNING, []),
        (600.0, STALL + 1, TaskState.RUNNING, []),
        (600.0, STALL + 601, TaskState.RUNNING, ["stalled"]),
        (0.0, STALL + 1, TaskState.QUEUED, []),
        (0.0, STALL + 1, TaskState.SUCCEEDED, []),
    ],
)
def test_a_quarter_of_an_hour_without_a_sign_is_a_stall(
    sign: float, waited: float, state: TaskState, expected: list[str]
) -> None:
    """Counted from the agent's last sign or the last change of state, and only while it should be working."""
    memory = remembered(happening("a", NOW + sign)) if sign else Memory()
    look = follow(task(state), memory, [], is_watched=False, now=NOW + waited)

    assert expected == [notice.kind for notice in look.task.notices]


def test_the_user_is_no_sign_of_the_agent() -> None:
    """A message sent into silence does not end it."""
    memory = remembered(happening("a", NOW + 600, originator="user"))
    look = follow(task(), memory, [], is_watched=False, now=NOW + STALL + 1)

    assert ["stalled"] == [notice.kind for notice in look.task.notices]
