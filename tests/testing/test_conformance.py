"""The kit passes what is right, and a provider that breaks a law fails that law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.clients import COLOURS
from tests.toy import STATES, ToyProvider, ToyService, ToyTask, reply

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck._protocol.decode import decode
from coatcheck._protocol.effects import Exchange, Request, Response
from coatcheck.cloud.faults import Fault, RepeatingCursor, ResetAfterAccept, take
from coatcheck.testing.conformance import ProviderConformance, Transcript, bendings
from coatcheck.testing.fake_clock import FakeClock


class ToyEmulator(ToyService):
    """The toy's service with the face that the kit asks for."""

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
    """The smallest provider keeps every law."""

    provider = ToyProvider
    emulator = ToyEmulator
    spec = TaskSpec(prompt="Say hello")
    states = STATES
    transcripts = {"done": Transcript(DONE)}  # noqa: RUF012 - attributes are what a conformance class is made of
    state_in, state_at = "done", ("state",)
    repeating_cursor = staticmethod(lambda: RepeatingCursor(key="next"))


# -- a broken provider fails ---------------------------------------------------------------------------------------------


class TwicePosting(ToyProvider):
    """Sends everything twice, to be sure."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        yield from super().create_task(spec)
        return (yield from super().create_task(spec))


class Guessing(ToyProvider):
    """Takes every word that it does not know for an end, and forgets the word."""

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        task = super().extract_response(response, siblings)
        return msgspec.structs.replace(task, state=TaskState.SUCCEEDED, raw_state=None)


class Trusting(ToyProvider):
    """Indexes into whatever came."""

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        return Task(ref=TaskRef("toy", msgspec.json.decode(response)["id"]), state=TaskState.UNKNOWN)


class Talkative(ToyProvider):
    """Says in its refusals what it was given."""

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
    """Does not know what it asked for, so that a lost answer cannot be found by it."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        task = yield from super().create_task(spec)
        return msgspec.structs.replace(task, prompt=None)


class Swallowing(ToyProvider):
    """Takes every refusal for an answer."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        response = yield Request("GET", f"/tasks/{ref.id}")
        body = response if response.status == 200 else reply(ToyTask(id=ref.id, state="done"))
        return self._task(decode(body, ToyTask))


def law(provider: type, name: str, *arguments: object) -> Callable[[], object]:
    """Return a law of the kit about a provider."""
    tests = type("Broken", (TestToy,), {"provider": provider})()
    return lambda: getattr(tests, name)(*arguments)


@pytest.mark.parametrize(
    "broken",
    [
        law(TwicePosting, "test_submitting_is_one_post", "blocking"),
        law(TwicePosting, "test_a_lost_answer_never_makes_a_second_task", "blocking", ResetAfterAccept(on="get_task")),
        law(Guessing, "test_every_declared_state_maps", "queued"),
        law(Guessing, "test_an_unknown_word_is_unknown"),
        law(Trusting, "test_bent_answers_give_a_task_or_are_unreadable", "done"),
        law(Forgetful, "test_a_ticket_says_what_was_asked", "asynchronous"),
    ],
)
def test_a_broken_law_is_noticed(broken: Callable[[], object]) -> None:
    """Each law fails for a provider that breaks it."""
    with pytest.raises(AssertionError):
        broken()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_swallowed_refusal_is_noticed(colour: str) -> None:
    """A provider that takes an error for an answer raises nothing where it must."""
    with pytest.raises(pytest.fail.Exception):
        law(Swallowing, "test_each_status_is_its_error", colour, 404)()


def test_a_shown_token_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """A ``repr`` that holds the secret fails the law."""
    with pytest.raises(AssertionError):
        law(Talkative, "test_no_token_is_shown", "blocking", caplog)()


def test_every_key_is_bent_in_every_way() -> None:
    """Missing, null, another type, and a new word for a word; inside lists as well."""
    assert [
        b'{"b":[7]}', b'{"a":null,"b":[7]}', b'{"a":7,"b":[7]}', b'{"a":"coatcheck-new-word","b":[7]}',
        b'{"a":"x"}', b'{"a":"x","b":null}', b'{"a":"x","b":{}}',
        b'{"a":"x","b":[]}', b'{"a":"x","b":[null]}', b'{"a":"x","b":["7"]}',
    ] == list(bendings(b'{"a":"x","b":[7]}'))  # fmt: skip


def test_what_a_service_lacks_is_shown_as_skipped() -> None:
    """The reason is the provider's own."""
    assert "toy has no delete_task: the toy keeps everything" == TestToy()._reason("delete_task")
