"""When the next poll is due."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import TaskState, errors
from coatcheck._engine.schedule import Schedule
from coatcheck._model.duration_estimate import DurationEstimate, Durations
from coatcheck._protocol.duration_store import NoDurationStore
from coatcheck._runtime.duration_file import DurationFile


@given(
    st.floats(0, 1e7),
    st.builds(DurationEstimate, median=st.floats(0.1, 1e6), spread=st.floats(0.5, 3)),
    st.floats(0.1, 10),
    st.floats(10, 1000),
)
def test_no_pause_leaves_its_bounds(age: float, belief: DurationEstimate, shortest: float, longest: float) -> None:
    """For any estimate and age, a pause is between the shortest and the longest."""
    assert shortest <= Schedule(belief=belief, shortest=shortest, longest=longest)(age) <= longest


def test_the_first_poll_is_due_when_an_end_becomes_likely() -> None:
    """Two deviations below the median, also with jitter."""
    schedule = Schedule(belief=DurationEstimate(median=360.0, spread=0.8))
    first = 360 * math.exp(-1.6)

    assert first == pytest.approx(schedule(0))
    assert first * 0.6 == pytest.approx(schedule(first * 0.4))
    assert schedule(first) == pytest.approx(schedule(first * 0.9))


def test_polls_are_closest_where_ends_are_likeliest() -> None:
    """Around half the median the pauses are shortest; before and after they are longer."""
    schedule = Schedule()

    assert schedule(80) > schedule(300) < schedule(3000)


@pytest.mark.parametrize("wrong", [{"poll_cost": 0.0}, {"shortest": 0.0}, {"shortest": 5.0, "longest": 1.0}])
def test_invalid_schedules_are_refused(wrong: dict[str, float]) -> None:
    """A schedule that would poll without pause, or never, is a configuration error."""
    with pytest.raises(errors.ConfigurationError):
        Schedule(**wrong)


def test_an_estimate_follows_the_observed_durations() -> None:
    """One task changes it a little, a hundred determine it; the spread has a lower bound."""
    seen = Durations()
    one = seen.with_another(3600).estimate(typical=360)
    for _ in range(100):
        seen = seen.with_another(60)

    assert (360, 1.5) == (
        pytest.approx(Durations().estimate(typical=360).median),
        Durations().estimate(typical=360).spread,
    )
    assert 360 < one.median < 900
    assert 55 < seen.estimate(typical=360).median < 75
    assert 0.8 <= seen.estimate(typical=360).spread < 1.0


@given(st.lists(st.floats(0, 1e8), max_size=30))
def test_any_durations_give_an_estimate(durations: list[float]) -> None:
    """From zero seconds to years, the estimate is a positive median and a bounded spread."""
    seen = Durations()
    for seconds in durations:
        seen = seen.with_another(seconds)

    assert seen.estimate(typical=360).median > 0
    assert 0.8 <= seen.estimate(typical=360).spread <= 2.0


def test_durations_are_kept_per_environment_and_shared_by_processes(tmp_path: object) -> None:
    """What one client records another recalls; an unknown environment falls back to the provider's."""
    DurationFile(f"{tmp_path}/state").record("toy", [("attic", 100.0)])
    other = DurationFile(f"{tmp_path}/state")
    other.record("toy", [("cellar", 200.0)])

    assert 1 == other.recall("toy", "attic").count
    assert 2 == other.recall("toy", "moon").count
    assert Durations() == other.recall("codex", "attic")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"toy/*": {"count": "x"}}'])
def test_a_broken_file_is_ignored(tmp_path: object, content: bytes) -> None:
    """Its loss costs a few polls, so it is not reported; the next record replaces it."""
    path = f"{tmp_path}/durations.json"
    with open(path, "wb") as file:
        file.write(content)
    memory = DurationFile(str(tmp_path))

    assert Durations() == memory.recall("toy", None)
    memory.record("toy", [(None, 5.0)])
    assert 1 == DurationFile(str(tmp_path)).recall("toy", None).count


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folder_that_cannot_be_written_fails_no_wait(
    variant: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Waits end as their tasks do where durations cannot be recorded, and one client warns once."""
    (tmp_path / "file").touch()
    service = ToyService(now=1_790_000_000.0, states=("working", "done"))
    both = Both(variant, ToyProvider(), service, environ={"COATCHECK_STATE_HOME": str(tmp_path / "file")})
    ends = [both.create_task_and_wait("p").state for _ in range(2)]
    warnings = [record.message for record in caplog.records if "cannot be recorded" in record.message]

    assert ([TaskState.SUCCEEDED] * 2, 1) == (ends, len(warnings))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seen", ['{"count":-2}', '{"count":1,"mean":1e300}', '{"count":3,"squares":-9e99}'])
def test_invalid_durations_fail_no_wait(variant: str, seen: str, tmp_path: Path) -> None:
    """A file of durations with other content gives the default schedule."""
    (tmp_path / "durations.json").write_text(f'{{"toy/*":{seen}}}')
    service = ToyService(now=1_790_000_000.0, states=("working", "done"))
    both = Both(variant, ToyProvider(), service, environ={"COATCHECK_STATE_HOME": str(tmp_path)})

    assert TaskState.SUCCEEDED is both.create_task_and_wait("p").state


def test_many_threads_record_into_one_file(tmp_path: Path) -> None:
    """Threads that read and record at once lose no duration and raise nothing."""
    durations, barrier, failures = DurationFile(str(tmp_path)), threading.Barrier(8), list[BaseException]()

    def record(number: int) -> None:
        barrier.wait()
        try:
            for _ in range(10):
                durations.record("toy", [(f"e{number}", 5.0)])
                durations.recall("toy", f"e{number}")
        except BaseException as error:  # noqa: BLE001 - it is what the test is about
            failures.append(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    names = sorted(path.name for path in tmp_path.iterdir())

    assert ([], 80, ["durations.json"]) == (failures, DurationFile(str(tmp_path)).recall("toy", None).count, names)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wait_uses_the_duration_of_the_previous_one(variant: str, tmp_path: object) -> None:
    """An observed end changes the next schedule; that of a task that had ended before does not."""
    clock_start = 1_790_000_000.0
    environ = {"COATCHECK_STATE_HOME": str(tmp_path)}
    service = ToyService(now=clock_start, states=("working",) * 2 + ("done",))
    both = Both(variant, ToyProvider(), service, environ=environ)
    both.create_task_and_wait("p")
    found = Both(variant, ToyProvider(), service, environ=environ)
    found.poll_task("t1")

    assert 1 == DurationFile(str(tmp_path)).recall("toy", None).count


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("verb", ["poll_tasks", "watch_tasks"])
def test_a_wait_uses_the_durations_of_many(variant: str, verb: str, tmp_path: object) -> None:
    """Each observed end is recorded, and none of tasks that had ended at their first poll."""
    service = ToyService(now=1_790_000_000.0, states=("working",) * 2 + ("done",))
    for _ in range(3):
        service.create({"prompt": "p", "attempts": 1})
    for _ in range(2):  # the second time round they have all ended
        both = Both(variant, ToyProvider(), service, environ={"COATCHECK_STATE_HOME": str(tmp_path)})
        getattr(both, verb)(["t1", "t2", "t3"], interval=60)
    learnt = DurationFile(str(tmp_path)).recall("toy", None)

    assert (3, True) == (learnt.count, 100 < math.exp(learnt.mean) < 140)


@pytest.mark.parametrize("variant", VARIANTS)
def test_learning_can_be_switched_off(variant: str, tmp_path: object) -> None:
    """COATCHECK_LEARN=off neither writes nor reads."""
    environ = {"COATCHECK_STATE_HOME": str(tmp_path), "COATCHECK_LEARN": "off"}
    Both(variant, ToyProvider(), ToyService(now=1_790_000_000.0), environ=environ).create_task_and_wait("p")

    assert NoDurationStore().recall("toy", None) == DurationFile(str(tmp_path)).recall("toy", None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_created_task_is_not_polled_at_once(variant: str) -> None:
    """The response to the submission counts as a poll: the next is due when an end becomes likely."""
    service = ToyService(now=1_790_000_000.0, states=("done",))
    both = Both(variant, ToyProvider(), service)
    both.create_task_and_wait("p")

    assert 1 == service.count("GET", "/tasks/t1")
    assert 5 < both.clock.sleeps[0] < 20
