"""The conformance tests pass for a correct provider, and a provider that violates a property fails its test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.clients import VARIANTS
from tests.toy import STATES, ToyProvider, ToyService, ToyTask, reply

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck._protocol.decode import decode
from coatcheck._protocol.effects import Exchange, Request, Response
from coatcheck.cloud.faults import Fault, RepeatingCursor, take
from coatcheck.provider import Verb
from coatcheck.testing.conformance import ProviderConformance, Transcript, malformed
from coatcheck.testing.fake_clock import FakeClock


class ToyEmulator(ToyService):
    """The example service with the interface that the conformance tests need."""

    token = "good-token-0123456789"

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(now=clock.time())
        self.clock, self.tokens, self.faults = clock, {self.token}, list[Fault]()

    def seen(self, name: str) -> list[Request]:
        return [request for request in self.requests if name_of(request) == name]

    def handle(self, request: Request) -> Response:
        if fault := take(self.faults, name_of(request)):
            try:
                return fault.act(request, lambda: super(ToyEmulator, self).handle(request), self.clock)
            finally:
                if not self.requests or self.requests[-1] is not request:
                    self.requests.append(request)
        return super().handle(request)


def name_of(request: Request) -> str:
    """Return the verb that a request is for."""
    path = request.path.removeprefix("/toy")
    names = {("POST", "/tasks"): "create_task", ("GET", "/tasks"): "list_tasks"}
    return names.get((request.method, path), "get_task" if path.startswith("/tasks/") else "")


DONE = msgspec.json.encode(ToyTask(id="t1", state="done", prompt="p", text="Hello.", attempts=["a0"]))


class TestToy(ProviderConformance):
    """The example provider passes every test."""

    provider = ToyProvider
    emulator = ToyEmulator
    spec = TaskSpec(prompt="Say hello")
    states = STATES
    transcripts = {"done": Transcript(DONE)}  # noqa: RUF012 - attributes are what a conformance class is made of
    state_in, state_at = "done", ("state",)
    repeating_cursor = staticmethod(lambda: RepeatingCursor(key="next"))


# -- a broken provider fails ---------------------------------------------------------------------------------------------


class TwicePosting(ToyProvider):
    """Submits every task twice."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        yield from super().create_task(spec)
        return (yield from super().create_task(spec))


class Retrying(ToyProvider):
    """Submits a task again after a response that it cannot read."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        try:
            return (yield from super().create_task(spec))
        except errors.UnreadableResponseError:
            return (yield from super().create_task(spec))


class Guessing(ToyProvider):
    """Treats every unknown state as success, and drops `raw_state`."""

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        task = super().extract_response(response, siblings)
        return msgspec.structs.replace(task, state=TaskState.SUCCEEDED, raw_state=None)


class Trusting(ToyProvider):
    """Reads keys without checking that they exist."""

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        return Task(ref=TaskRef("toy", msgspec.json.decode(response)["id"]), state=TaskState.UNKNOWN)


class Talkative(ToyProvider):
    """Adds the token to its errors."""

    def authorize(self, request: Request, secret: Any, now: float) -> Request:
        self.last = secret.token
        return super().authorize(request, secret, now)

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        try:
            return (yield from super().get_task(ref))
        except errors.ProviderError as error:
            error.add_note(f"the key was {self.last}")
            raise


class Forgetful(ToyProvider):
    """Returns tasks without their prompt."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        task = yield from super().create_task(spec)
        return msgspec.structs.replace(task, prompt=None)


class Swallowing(ToyProvider):
    """Ignores HTTP errors."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        response = yield Request("GET", f"/tasks/{ref.id}")
        body = response if response.status == 200 else reply(ToyTask(id=ref.id, state="done"))
        return self._task(decode(body, ToyTask))


def conformance_test(provider: type, name: str, *arguments: object) -> Callable[[], object]:
    """Return one conformance test of *provider*, ready to be called."""
    tests = type("Broken", (TestToy,), {"provider": provider})()
    return lambda: getattr(tests, name)(*arguments)


@pytest.mark.parametrize(
    "broken",
    [
        conformance_test(TwicePosting, "test_submitting_is_one_post", "blocking"),
        conformance_test(Retrying, "test_a_lost_response_creates_no_second_task", "blocking", "web page"),
        conformance_test(Guessing, "test_every_declared_state_maps", "queued"),
        conformance_test(Guessing, "test_an_unknown_state_is_unknown"),
        conformance_test(Trusting, "test_malformed_responses_are_tasks_or_unreadable", "done"),
        conformance_test(Forgetful, "test_a_created_task_has_its_prompt", "asynchronous"),
    ],
)
def test_a_broken_provider_fails(broken: Callable[[], object]) -> None:
    """Each test fails for a provider that breaks it."""
    with pytest.raises(AssertionError):
        broken()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_swallowed_refusal_is_noticed(variant: str) -> None:
    """A provider that ignores an HTTP error fails the test of that status."""
    with pytest.raises(pytest.fail.Exception):
        conformance_test(Swallowing, "test_each_status_raises_its_error", variant, 404)()


def test_a_shown_token_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """An error that contains the token fails the test."""
    with pytest.raises(AssertionError):
        conformance_test(Talkative, "test_no_token_is_shown", "blocking", caplog)()


def test_every_key_is_changed_in_every_way() -> None:
    """Each key is missing, null, of another type, and, if a string, unknown; inside lists as well."""
    assert [
        b'{"b":[7]}', b'{"a":null,"b":[7]}', b'{"a":7,"b":[7]}', b'{"a":"coatcheck-new-word","b":[7]}',
        b'{"a":"x"}', b'{"a":"x","b":null}', b'{"a":"x","b":{}}',
        b'{"a":"x","b":[]}', b'{"a":"x","b":[null]}', b'{"a":"x","b":["7"]}',
    ] == list(malformed(b'{"a":"x","b":[7]}'))  # fmt: skip


def test_an_unsupported_verb_is_skipped_with_its_reason() -> None:
    """The reason of a skipped test is the one that the capabilities give."""
    assert "toy has no delete_task: the toy keeps everything" == TestToy()._reason(Verb.DELETE_TASK)
