"""Both ends of the protocol against each other: our exchanges, answered by our cloud, with no HTTP between them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from coatcheck import PatchState, TaskSpec, TaskState, errors
from coatcheck._engine.optional_methods import prepare_spec
from coatcheck._protocol.effects import Emit, Read, Request
from coatcheck._protocol.login_contract import Secret
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud
from coatcheck.providers._chatgpt.credentials import LOGIN
from coatcheck.providers.codex.endpoints import Service
from coatcheck.providers.codex.provider import CodexProvider

BASES = ("http://127.0.0.1:1/backend-api", "http://127.0.0.1:1")
SPEC = TaskSpec(prompt="Say hello\n\nüber all", repository="owner/repo", attempts=2)


class ObservedDurations:
    """A provider whose requests a cloud answers."""

    def __init__(self, base: str, cloud: ScriptedCloud) -> None:
        self.provider = CodexProvider(Service.at(base, name="codex"), LOGIN)
        self.cloud = cloud
        self.path = base.removeprefix("http://127.0.0.1:1")

    def perform(self, exchange: Generator[Any, Any, Any]) -> Any:
        """Answer the requests of *exchange* by the cloud; return its result, or what it emitted."""
        reply, emitted = None, []
        try:
            while True:
                wish = exchange.send(reply)
                reply = self.answer(wish)
                emitted += [wish.value] if isinstance(wish, Emit) else []
        except StopIteration as stop:
            return emitted or stop.value

    def answer(self, wish: object) -> object:
        """Return the result of one effect of an exchange."""
        if isinstance(wish, Request):
            secret = Secret(token=self.cloud.tokens.access_token, account_id="acc")
            located = msgspec.structs.replace(wish, path=self.path + wish.path)
            return self.cloud.handle(self.provider.authorize(located, secret, 0.0))
        return wish.stream.read() if isinstance(wish, Read) else None

    def submit(self, spec: TaskSpec = SPEC) -> Any:
        """Prepare and create a task."""
        return self.perform(self.provider.create_task(self.perform(prepare_spec(self.provider, spec))))

    def poll(self, ref: Any, number: int) -> list[Any]:
        """Poll a number of times."""
        return [self.perform(self.provider.get_task(ref)) for _ in range(number)]


@pytest.fixture(params=BASES)
def ends(request: pytest.FixtureRequest) -> ObservedDurations:
    """Both path styles are the same service."""
    lives = [AttemptScript(), AttemptScript(timeline=["pending", "failed"])]
    return ObservedDurations(request.param, ScriptedCloud(attempts=lives))


def test_a_task_runs_from_submission_to_patch(ends: ObservedDurations) -> None:
    """It is submitted once, polled until it ends, and has exactly the sent prompt and the created diff."""
    ticket = ends.submit()
    poll = ends.poll(ticket.ref, 3)
    last = poll[-1]

    assert ("pending", 2) == (ticket.raw_state, ticket.attempt_total)
    assert TaskState.SUCCEEDED == last.state
    assert (SPEC.prompt, ticket.environment, "main", 2) == (
        last.prompt,
        last.environment,
        last.branch,
        last.attempt_total,
    )
    assert (PatchState.PRESENT, DIFF.encode()) == (last.outcome.patch_state, bytes(last.outcome.patch))


def test_each_attempt_has_a_state(ends: ObservedDurations) -> None:
    """The siblings have the other attempt's state and error under its number."""
    ref = ends.submit().ref
    attempts = ends.perform(ends.provider.list_attempts(ends.poll(ref, 3)[-1]))

    assert [(1, TaskState.SUCCEEDED, None), (2, TaskState.FAILED, "internal_error: container exited")] == [
        (a.number, a.state, a.outcome.error and str(a.outcome.error)) for a in attempts
    ]


def test_pages_follow_one_another(ends: ObservedDurations) -> None:
    """Cursors with any characters list each task once, newest first."""
    refs = [ends.submit(TaskSpec(prompt="x", environment="owner/repo")).ref for _ in range(23)]
    first = ends.perform(ends.provider.list_tasks())
    second = ends.perform(ends.provider.list_tasks(cursor=first.cursor))

    assert refs[::-1] == [task.ref for page in (first, second) for task in page.items]
    assert (20, None) == (len(first.items), second.cursor)


def test_actions_have_their_effect(ends: ObservedDurations) -> None:
    """Cancelled, archived, brought back and deleted: each is visible at the next poll."""
    provider, ref = ends.provider, ends.submit().ref
    ends.perform(provider.cancel_task(ref))
    ends.perform(provider.archive_task(ref))
    archived = ends.perform(provider.list_tasks(filter="archived")).items
    ends.perform(provider.unarchive_task(ref))
    current = ends.perform(provider.list_tasks()).items
    ends.perform(provider.delete_task(ref))

    assert [(ref, TaskState.CANCELLED)] == [(task.ref, task.state) for task in archived]
    assert [ref] == [task.ref for task in current]
    with pytest.raises(errors.NotFoundError):
        ends.perform(provider.get_task(ref))


def test_a_message_makes_another_turn(ends: ObservedDurations) -> None:
    """The same task continues with the new prompt."""
    ref = ends.submit(TaskSpec(prompt="x", environment="owner/repo")).ref
    ends.poll(ref, 3)
    continued = ends.perform(ends.provider.send_message(ref, "and the footer"))

    assert (ref, "and the footer") == (continued.ref, ends.poll(ref, 1)[0].prompt)


def test_a_finished_turn_can_be_streamed(ends: ObservedDurations) -> None:
    """The stream repeats the events of the turn as events of this task, and ends."""
    ref = ends.submit(TaskSpec(prompt="x", environment="owner/repo")).ref
    ends.poll(ref, 3)
    events = ends.perform(ends.provider.stream_events(ref))

    assert {ref} == {event.ref for event in events}


def test_usage_is_read(ends: ObservedDurations) -> None:
    """Both windows of the cloud's usage are returned."""
    usage = ends.perform(ends.provider.get_usage())

    assert (42.0, 85.0) == tuple(window.used_percent for window in usage.rate_limit.windows)
