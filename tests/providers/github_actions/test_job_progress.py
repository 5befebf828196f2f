"""The events of a run's jobs, once each."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck import TaskEvent, TaskRef
from coatcheck.providers.github_actions import job_progress, wire
from coatcheck.providers.github_actions.job_progress import Memory
from coatcheck.testing.both_clients import VARIANTS
from coatcheck.testing.emulators.github_runs import LIFE, failing

from .actions_support import SPEC, actions

REF = TaskRef("github_actions", "o~r~1")


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def texts(events: list[TaskEvent], kind: str = "task.progress") -> list[str | None]:
    """Return the texts of events of one kind."""
    return [event.text for event in events if event.type == kind]


STEPS = ["agent > Set up job", "agent > Run the agent", "agent > Upload the result", "agent > Complete job"]


def test_a_watch_reports_every_step_once(variant: str) -> None:
    """Each as it begins, the job as it ends, then the message, and the state last."""
    client, _ = actions(variant)
    events = client.watch_task(client.create_task(SPEC).ref)

    assert [*STEPS, "agent: success"] == texts(events)
    assert (["Done: Say hello"], "success") == (texts(events, "task.message"), events[-1].raw_state)


def test_a_watch_resumes_after_another(variant: str) -> None:
    """Events that were reported are not reported again."""
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    events = client.watch_task(ref)
    places = [index for index, event in enumerate(events) if event.text == STEPS[1]]
    rest = client.watch_task(ref, after=events[places[0]].id)

    assert [*STEPS[2:], "agent: success"] == texts(rest)
    assert github.run().has_ended


def test_a_new_attempt_reports_its_own_steps(variant: str) -> None:
    """Its jobs are others."""
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    first = client.watch_task(ref)
    github.run().restart(failing(), client.clock.time())
    again = client.watch_task(ref, after=first[-1].id)

    assert [STEPS[0], STEPS[1], "agent: failure"] == texts(again)


def test_a_wait_requests_no_jobs(variant: str) -> None:
    """A wait costs one request a poll."""
    client, github = actions(variant)
    client.poll_task(client.create_task(SPEC).ref)

    assert [] == github.seen("list_jobs")


def test_a_stream_has_the_log_of_each_job_that_ended(variant: str) -> None:
    """By redirect, without a token, and without the mark that logs begin with."""
    client, github = actions(variant)
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)
    events = client.stream_task(ref)
    (log,) = texts(events, "task.log")

    assert ["task.progress"] * 5 + ["task.log"] == [event.type for event in events]
    assert log is not None
    assert (True, False) == (log.startswith("20"), "\ufeff" in log)
    assert 1 == len(github.seen("get_log"))


def test_a_log_that_is_gone_is_left_out(variant: str) -> None:
    """Its retention is a setting of the repository."""
    from coatcheck.cloud.faults import Status

    client, _ = actions(variant, faults=[Status(410, on="get_log")])
    ref = client.create_task(SPEC).ref
    client.poll_task(ref)

    assert [] == texts(client.stream_task(ref), "log")


def test_steps_that_were_left_out_are_not_reported() -> None:
    """Messages are counted, so that later ones are reported once."""
    steps = [
        wire.Step(name="a", status="completed", conclusion="success"),
        wire.Step(name="b", status="completed", conclusion="skipped"),
        wire.Step(name="c", status="in_progress"),
    ]
    events, memory = job_progress.new_events(
        REF, [wire.Job(id=5, name="j", steps=steps, status="in_progress")], Memory()
    )

    assert (["j > a", "j > c"], {"5": 3}) == (texts(events), memory.reported)


def test_a_failure_names_few_places() -> None:
    """A matrix may fail in hundreds."""
    jobs = [wire.Job(id=n, name=f"j{n}", conclusion="failure") for n in range(5)]

    assert "failure: j0: failure, j1: failure, j2: failure, and 2 more" == str(job_progress.failure(jobs, "failure"))


@given(st.text(max_size=40))
def test_an_invalid_cursor_starts_anew(text: str) -> None:
    """A cursor of another program is no error."""
    assert isinstance(Memory.read(text), Memory)


def test_a_cursor_round_trips() -> None:
    """Reading returns what was written."""
    memory = Memory({"17": 4}, 1)

    assert memory == Memory.read(memory.to_text())


def test_the_emulated_run_has_the_services_states() -> None:
    """The usual run succeeds, with all of its steps done."""
    assert ("success", 4) == (LIFE[-1].conclusion, LIFE[-1].steps)
