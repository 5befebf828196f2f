"""Waiting for one task."""

from __future__ import annotations

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, reply

from coatcheck import Task, TaskRef, TaskState, errors
from coatcheck._engine.event_diff import SeenState
from coatcheck._model.outcome import Outcome
from coatcheck._protocol.effects import Exchange, Request, Response


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def waiting_for(variant: str, **options: object) -> tuple[Both, ToyService]:
    """Return a client and a service with one task."""
    service = ToyService(**options)  # type: ignore[arg-type]
    service.create({"prompt": "p", "attempts": 1})
    return Both(variant, ToyProvider(), service), service


def test_a_wait_polls_until_the_end(variant: str) -> None:
    """Each poll is one GET, each pause near the interval, the first at a random phase of it."""
    both, service = waiting_for(variant)
    task = both.poll_task("t1", interval=4.0)

    assert TaskState.SUCCEEDED is task.state
    assert 3 == service.count("GET", "/tasks/t1")
    assert [4.0, 4.0] == both.clock.sleeps


@pytest.mark.parametrize("end", ["done", "broken", "stopped"])
def test_every_terminal_state_ends_the_wait(variant: str, end: str) -> None:
    """Failed and cancelled tasks are returned, not waited for."""
    both, _ = waiting_for(variant, states=("working", end))

    assert end == both.poll_task("t1").raw_state


@pytest.mark.parametrize("state", ["asking", "paused"])
def test_a_task_that_needs_input_ends_the_wait(variant: str, state: str) -> None:
    """A task that needs input or is paused does not continue alone; a watch ends with that state."""
    both, service = waiting_for(variant, states=("working", state))
    task = both.poll_task("t1")
    service.lives["t1"] = iter(("working", state))

    assert (state, [("task.started", "working"), ("task.needs_input", state)]) == (
        task.raw_state,
        [(event.type, event.raw_state) for event in both.watch_task("t1")],
    )


def test_a_service_without_plans_is_not_waited_for_with_a_decision(variant: str) -> None:
    """A decision about plans where there are none is an error before the first poll."""
    both, service = waiting_for(variant)
    with pytest.raises(errors.UnsupportedError, match="toy has no approve_plan"):
        both.poll_task("t1", approve=lambda _: True)

    assert [] == service.requests


def test_an_unknown_state_is_polled_until_the_deadline(variant: str) -> None:
    """An unknown state never ends a wait; the error at the deadline names the task and the next command."""
    both, _ = waiting_for(variant, states=("meditating",))

    with pytest.raises(errors.WaitTimeoutError) as caught:
        both.poll_task("t1", timeout=60, interval=7)

    assert TaskRef("toy", "t1") == caught.value.ref
    assert "coatcheck wait toy:t1" in (caught.value.remedy or "")
    assert 60.0 == pytest.approx(sum(both.clock.sleeps))


def test_transient_errors_are_retried_within_the_deadline(variant: str) -> None:
    """After a successful poll, throttling and outages only delay the next one."""
    both, service = waiting_for(variant)
    service.script = [
        None,
        *[reply({}, 503)] * 12,
        *[errors.TransportError("gone")] * 12,
        reply({}, 429, retry_after="50"),
    ]

    assert TaskState.SUCCEEDED is both.poll_task("t1", timeout=3600).state


def test_an_outage_that_lasts_is_not_waited_for_without_a_deadline(variant: str) -> None:
    """With timeout=None a wait ends after a quarter of an hour without any response."""
    both, service = waiting_for(variant)
    service.script = [None, *[errors.TransportError("gone")] * 10_000]

    with pytest.raises(errors.TransportError, match="gone"):
        both.poll_task("t1", timeout=None, interval=10)

    assert 900 < sum(both.clock.sleeps) < 1200


def test_an_unreachable_service_is_reported_at_once(variant: str) -> None:
    """The first poll must succeed."""
    both, service = waiting_for(variant)
    service.script = [errors.TransportError("refused", request_sent=False)] * 100

    with pytest.raises(errors.TransportError, match="refused"):
        both.poll_task("t1", timeout=3600)

    assert 5 == len(service.requests)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_wait(variant: str, status: int) -> None:
    """What will not pass is raised at once, with a note of what was being done."""
    both, service = waiting_for(variant)
    service.script = [None, reply({}, status)]

    with pytest.raises(errors.ProviderError) as caught:
        both.poll_task("t1")

    assert ["while polling t1"] == caught.value.__notes__


def test_several_attempts_end_when_all_have(variant: str) -> None:
    """The end of the current attempt is not the task's: the siblings are requested again."""
    service = ToyService(states=("working", "done"))
    service.create({"prompt": "p", "attempts": 3})
    service.attempt_states = [["done", "working", "working"], ["done", "broken", "working"], ["done", "broken", "done"]]
    both = Both(variant, ToyProvider(), service)
    task = both.poll_task("t1")

    assert ["done", "broken", "done"] == [attempt.raw_state for attempt in task.attempts]
    assert 3 == service.count("GET", "/tasks/t1/attempts")


class RememberingProvider(ToyProvider):
    """Returns the known task where nothing of it has changed."""

    def get_task_again(self, known: Task) -> Exchange[Task]:
        """Compare the response."""
        task = yield from self.get_task(known.ref)
        return known if task.raw == known.raw else task


def test_an_unchanged_task_is_that_of_the_poll_and_not_of_its_attempts(variant: str) -> None:
    """A task whose current attempt has ended is polled for its attempts again, though its details stay the same."""
    service = ToyService(states=("done",))
    service.create({"prompt": "p", "attempts": 2})
    service.attempt_states = [["done", "working"], ["done", "working"], ["done", "broken"]]
    task = Both(variant, RememberingProvider(), service).poll_task("t1")

    assert ["done", "broken"] == [attempt.raw_state for attempt in task.attempts]


def test_the_first_attempt_is_enough_with_first(variant: str) -> None:
    """first=True returns when any attempt has ended, the current one or not."""
    service = ToyService(states=("working",))
    service.create({"prompt": "p", "attempts": 2})
    service.attempt_states = [["working", "working"], ["working", "done"]]
    task = Both(variant, ToyProvider(), service).poll_task("t1", first=True)

    assert (TaskState.SUCCEEDED, 2) == (task.state, len(task.attempts))


def test_on_change_gets_every_change(variant: str) -> None:
    """on_change is called for what is new, and not for a poll that shows the same."""
    both, _ = waiting_for(variant, states=("queued", "queued", "working", "working", "done"))
    heard: list[str | None] = []
    both.poll_task("t1", on_change=lambda task: heard.append(task.raw_state))

    assert ["queued", "working", "done"] == heard


def test_a_watch_reports_states_and_messages(variant: str) -> None:
    """States and messages come in order, the end last."""
    both, service = waiting_for(variant)
    service.tasks["t1"].text = "Hello."

    assert [
        ("task.submitted", "queued"),
        ("task.message", None),
        ("task.started", "working"),
        ("task.succeeded", "done"),
    ] == [(event.type, getattr(event, "raw_state", None)) for event in both.watch_task("t1")]


def test_a_watch_resumes_after_any_event(variant: str) -> None:
    """The cursor of an event skips all events up to it, in another process as well."""
    both, service = waiting_for(variant)
    service.tasks["t1"].text = "Hello."
    queued, _, _, done = both.watch_task("t1")
    service.lives["t1"] = iter(service.states)
    after_queued = both.watch_task("t1", after=queued.id)
    service.lives["t1"] = iter(["done"])

    assert [("task.message", None), ("task.started", "working"), ("task.succeeded", "done")] == [
        (e.type, getattr(e, "raw_state", None)) for e in after_queued
    ]
    assert [] == both.watch_task("t1", after=done.id)


def test_a_cursor_of_nothing_is_a_clear_error(variant: str) -> None:
    """Any other text is refused with the remedy."""
    both, _ = waiting_for(variant)

    with pytest.raises(errors.ConfigurationError, match="not the id of an event"):
        both.watch_task("t1", after="gibberish!")


def test_a_cursor_contains_no_content() -> None:
    """Neither messages nor progress can be read from a cursor."""
    seen = SeenState(state="running/x", messages=3, progress=12345)

    assert seen == SeenState.from_cursor(seen.to_cursor())


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_is_positive(variant: str, interval: float) -> None:
    """Zero and negative intervals are refused."""
    both, _ = waiting_for(variant)

    with pytest.raises(errors.ConfigurationError, match="positive number"):
        both.poll_task("t1", interval=interval)


class Throttling(ToyProvider):
    """Every response has Retry-After: 50."""

    def _task(self, *arguments: object, **named: object) -> Task:
        return msgspec.structs.replace(super()._task(*arguments, **named), retry_after=50.0)  # type: ignore[arg-type]


def test_retry_after_of_any_response_is_obeyed(variant: str) -> None:
    """Retry-After lengthens the pause after a successful poll as after an error."""
    service = ToyService()
    service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, Throttling(), service)
    both.poll_task("t1", interval=4.0)

    assert [50.0, 50.0] == both.clock.sleeps


class Hasty(ToyProvider):
    """A service that may have the result in the answer to the submission."""

    def create_task(self, spec: object) -> Exchange[Task]:
        task = yield from super().create_task(spec)  # type: ignore[arg-type]
        return msgspec.structs.replace(task, state=TaskState.SUCCEEDED, outcome=task.outcome or Outcome())


def test_a_result_of_the_submission_is_not_requested_again(variant: str) -> None:
    """A task that was created with its end and its outcome is returned as it is."""
    service = ToyService()
    both = Both(variant, Hasty(), service)
    task = both.poll_task(both.create_task("p"))

    assert ([], 0, TaskState.SUCCEEDED) == (both.clock.sleeps, service.count("GET", "/tasks/t1"), task.state)


@pytest.mark.parametrize("call", ["poll_task", "poll_tasks"])
def test_a_hanging_request_does_not_outlast_the_deadline(variant: str, call: str) -> None:
    """A request has at most what is left of the wait, so that the wait ends at its deadline."""
    both, service = waiting_for(variant)
    limits: list[float] = []

    def hang(request: Request) -> Response:
        limits.append(min(60.0, request.at_most or 60.0))
        both.clock.advance(limits[-1])
        raise errors.TransportTimeoutError("no answer in time")

    service.handle = hang  # type: ignore[method-assign]
    started = both.clock.monotonic()
    with pytest.raises(errors.WaitTimeoutError):
        both.poll_task("t1", timeout=8.0) if call == "poll_task" else list(both.poll_tasks(["t1"], timeout=8.0))

    assert ([8.0], True) == (limits[:1], both.clock.monotonic() - started <= 9.0)
