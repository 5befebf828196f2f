"""When a stored task may be shown without asking its service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import Attempt, Message, Outcome, PatchState, Task, TaskRef, TaskState
from coatcheck._store.cache_rule import contradicts, is_final
from coatcheck._store.snapshots import merged

WHOLE = Outcome(messages=(Message(text="done"),))
REF = TaskRef("toy", "t")
DONE = TaskState.SUCCEEDED

outcomes = st.sampled_from([None, Outcome(), WHOLE, Outcome(patch_state=PatchState.OFFLOADED)])
states = st.sampled_from(TaskState)
attempts = st.lists(st.builds(Attempt, id=st.text(), placement=st.just(0), state=states, outcome=outcomes), max_size=3)
observations = st.builds(
    Task,
    ref=st.just(REF),
    state=states,
    raw_state=st.sampled_from([None, "a", "b"]),
    outcome=outcomes,
    attempts=attempts.map(tuple),
    attempt_total=st.sampled_from([None, 1, 2, 3]),
    is_archived=st.sampled_from([None, True, False]),
    follow_ups=st.sampled_from([None, 0, 1, 2]),
    updated_at=st.sampled_from([None, *(datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))]),
)


@given(observations)
def test_a_task_that_can_change_is_not_final(task: Task) -> None:
    """Not before its end, not without an outcome, not with an outcome elsewhere."""
    has_result = task.outcome is not None and task.outcome.patch_state is not PatchState.OFFLOADED

    assert not is_final(task) or (task.state.is_terminal and has_result)


@given(observations)
def test_every_attempt_of_a_final_task_has_ended(task: Task) -> None:
    """None is missing, running, or without its outcome."""
    missing = len(task.attempts) < (task.attempt_total or 0) > 1
    open_ones = [each for each in task.attempts if not each.state.is_terminal or each.outcome is None]

    assert not (is_final(task) and (missing or open_ones))


@given(observations)
def test_a_task_does_not_contradict_itself(task: Task) -> None:
    """The same snapshot again is no change."""
    assert not contradicts(task, task)


@given(observations)
def test_an_observation_of_the_state_alone_does_not_contradict(task: Task) -> None:
    """What is not reported has not changed."""
    assert not contradicts(task, Task(ref=REF, state=task.state))


@given(observations, observations)
def test_another_state_contradicts(task: Task, observed: Task) -> None:
    """For any other fields of the observation."""
    assert task.state is observed.state or contradicts(task, observed)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"state": TaskState.RUNNING}, True),
        ({"raw_state": "again"}, True),
        ({"is_archived": True}, True),
        ({"follow_ups": 2}, True),
        ({"follow_ups": 1}, False),
        ({"follow_ups": 0}, False),
        ({"attempt_total": 2}, True),
        ({"updated_at": datetime(2026, 1, 3, tzinfo=UTC)}, True),
        ({"updated_at": datetime(2026, 1, 1, tzinfo=UTC)}, False),
        ({"title": "another"}, False),
    ],
)
def test_what_shows_a_change_is_a_list(change: dict[str, Any], *, expected: bool) -> None:
    """A follow-up, an archive flag, a newer change; not an older observation, nor another title."""
    stored = Task(
        ref=REF, state=DONE, raw_state="done", is_archived=False, follow_ups=1, attempt_total=1,
        updated_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip

    assert expected == contradicts(stored, msgspec.structs.replace(stored, **change))


@pytest.mark.parametrize(("expected", "day"), [(False, 1), (False, 2), (True, 3)])
def test_a_time_that_only_lists_report_is_compared_with_the_recording(day: int, *, expected: bool) -> None:
    """A result without the time of its last change has changed where a list shows a time after it was recorded."""
    stored = Task(ref=REF, state=DONE, outcome=WHOLE)
    listed = Task(ref=REF, state=DONE, updated_at=datetime(2026, 1, day, tzinfo=UTC), follow_ups=0)

    assert expected == contradicts(stored, listed, recorded_at=datetime(2026, 1, 2, tzinfo=UTC))


def test_attempts_whose_states_are_not_reported_keep_theirs() -> None:
    """A snapshot that only counts the other attempts does not replace what is known of them."""
    ended = tuple(Attempt(id=f"a{place}", placement=place, state=DONE, outcome=WHOLE) for place in range(2))
    earlier = Task(ref=REF, state=DONE, outcome=WHOLE, attempts=ended, attempt_total=2)
    unreported = msgspec.structs.replace(ended[1], state=TaskState.UNKNOWN, outcome=None)
    observed = msgspec.structs.replace(earlier, attempts=(ended[0], unreported))

    assert ended == merged(earlier, observed).attempts


@given(observations, observations)
def test_a_merged_task_shows_what_was_observed(earlier: Task, observed: Task) -> None:
    """Nothing that the later observation reports is replaced, and nothing of a result is lost without another."""
    both = merged(earlier, observed)
    reported = {
        name for name in Task.__struct_fields__ if name != "attempts" and getattr(observed, name) not in (None, (), b"")
    }

    assert {name: getattr(observed, name) for name in reported} == {name: getattr(both, name) for name in reported}
    assert observed.outcome is not None or both.outcome == earlier.outcome
