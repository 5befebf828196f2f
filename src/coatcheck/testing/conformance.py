"""Conformance tests for providers, to be inherited by a test class that only sets attributes.

    class TestAcme(ProviderConformance):
        provider = staticmethod(lambda: AcmeProvider("http://127.0.0.1:9"))
        emulator = AcmeEmulator
        states = extract.STATES
        transcripts = {"done": Transcript(Path("done.json").read_bytes())}
        state_in, state_at = "done", ("state",)
        repeating_cursor = staticmethod(lambda: RepeatingCursor(on="list_tasks"))

Tests of verbs that the provider's capabilities exclude are skipped, with the reason that the capabilities give. The
module needs pytest (the extra ``testing``), which nothing else in the library imports.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

import msgspec
import pytest

from .. import errors
from .._model.states import TaskState
from .._model.tasks import Task, TaskRef, TaskSpec
from .._protocol.effects import Request, Response
from .._protocol.provider import Provider, ProviderMethods, Verb, methods_of
from .._values.value import Value
from ..cloud.faults import Fault, Reset, Status
from .both_clients import VARIANTS, Both
from .conformance_faults import DATE, LOST_RESPONSES, RETRY_AFTER, BodyPrefix
from .fake_clock import FakeClock

Path: TypeAlias = tuple[str | int, ...]

# The error class that each HTTP status must raise.
STATUS_ERRORS: Mapping[int, type[errors.ProviderError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
    500: errors.ProviderUnavailableError,
    503: errors.ProviderUnavailableError,
}

# Every client method that a provider may not support, with arguments for the call that must be refused.
METHODS: Mapping[str, tuple[Any, ...]] = {
    "create_task": ("p",),
    "get_task": ("x",),
    "list_attempts": ("x",),
    "list_tasks": (),
    "list_environments": (),
    "list_models": (),
    "get_usage": (),
    "cancel_task": ("x",),
    "archive_task": ("x",),
    "unarchive_task": ("x",),
    "delete_task": ("x",),
    "send_message": ("x", "more"),
    "approve_plan": ("x",),
    "decide_permission": ("x", "request", "option"),
    "create_pull_request": ("x",),
    "stream_task": ("x",),
}
# Verbs whose name differs from the client's method.
VERB_OF_METHOD = {"stream_task": Verb.STREAM_EVENTS}
UNKNOWN_WORD = "coatcheck-new-word"
REQUEST_ID = "req-conformance"


class Transcript(Value, frozen=True, kw_only=False):
    """A recorded response about a task; `siblings` is the second response of providers that read two."""

    body: bytes
    siblings: bytes | None = None


class Emulator(Protocol):
    """A fake of the service. Its `faults` name routes by the client's methods, such as "create_task"."""

    faults: list[Fault]
    requests: list[Request]

    @property
    def tasks(self) -> Sequence[object]:
        """All tasks of the service."""
        ...

    def seen(self, name: str) -> Sequence[Request]:
        """Return the requests received for the method *name*."""
        ...

    def handle(self, request: Request) -> Response:
        """Return the response, or raise `TransportError`."""
        ...


def needs(*verbs: Verb) -> Callable[[Any], Any]:
    """Mark a test as one of *verbs*: it is skipped for providers that do not support them."""

    def mark(test: Any) -> Any:
        test.needs = verbs
        return test

    return mark


class ProviderConformance:
    """Conformance tests of one provider, which a subclass describes by attributes; see the module for an example.

    * `provider` creates the provider, `emulator` its service (called with ``clock=``); `token` returns a valid token.
    * `spec` is a task that succeeds on the emulator.
    * `states` maps the service's states to `TaskState`; `state_at` is the path of the state in the transcript `state_in`.
    * `transcripts` are recorded responses by name; the tests remove and change every key in them.
    * `repeating_cursor` creates a fault that makes the list return the same cursor again.
    """

    provider: Callable[[], Provider]
    emulator: Callable[..., Any]
    token: Callable[[Any], str] = staticmethod(lambda emulator: emulator.token)
    spec: TaskSpec = TaskSpec(prompt="Say hello to the world\n\nin every language", repository="owner/repo")
    states: Mapping[str, TaskState]
    transcripts: Mapping[str, Transcript]
    state_in: str
    state_at: Path
    repeating_cursor: Callable[[], Fault]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize the tests: client variant, HTTP status, state, transcript, lost response, unsupported verb."""
        cases: Mapping[str, Callable[[], Sequence[object]]] = {
            "variant": lambda: VARIANTS,
            "status": lambda: tuple(STATUS_ERRORS),
            "word": lambda: tuple(self.states),
            "transcript": lambda: tuple(self.transcripts),
            "lost": lambda: tuple(LOST_RESPONSES),
            "after": lambda: tuple(RETRY_AFTER),
            "verb": lambda: [name for name in METHODS if not self._has(VERB_OF_METHOD.get(name) or Verb(name))],
        }
        missing = [verb for verb in getattr(metafunc.function, "needs", ()) if not self._has(verb)]
        marks = [pytest.mark.skip(reason=self._reason(missing[0]))] if missing else []
        for name in (name for name in cases if name in metafunc.fixturenames):
            values = cases[name]()
            metafunc.parametrize(
                name, [pytest.param(value, marks=marks) for value in values], ids=list(map(str, values))
            )

    def _has(self, verb: Verb) -> bool:
        return verb in self.provider().capabilities.verbs

    def _reason(self, verb: Verb) -> str:
        provider = self.provider()
        reason = provider.capabilities.reason(verb)
        return f"{provider.name} has no {verb}: {reason}"

    def _connect(self, variant: str, *faults: Fault) -> tuple[Any, Emulator]:
        """Return a client of the given variant and its emulator, with *faults*."""
        clock = FakeClock()
        emulator = self.emulator(clock=clock)
        emulator.faults.extend(faults)
        return Both(variant, self.provider(), emulator, token=self.token(emulator), clock=clock), emulator

    # -- submitting and waiting -------------------------------------------------------------------------------------------

    def _run_with_transient_errors(self, variant: str) -> tuple[Task, Any, Emulator]:
        client, emulator = self._connect(
            variant,
            Status(429, on="create_task", retry_after=2),
            Reset(on="get_task"),
            Status(503, on="get_task"),
        )
        return client.poll_task(client.create_task(self.spec).ref), client, emulator

    @needs(Verb.CREATE_TASK)
    def test_a_task_succeeds_despite_transient_errors(self, variant: str) -> None:
        """Throttling, a lost connection and a 503 are retried, and one task is created."""
        task, _, emulator = self._run_with_transient_errors(variant)

        assert (TaskState.SUCCEEDED, 1) == (task.state, len(emulator.tasks)), task

    @needs(Verb.CREATE_TASK)
    def test_both_clients_send_and_sleep_the_same(self) -> None:
        """Both clients send the same requests and sleep the same times."""
        recorded = []
        for variant in VARIANTS:
            task, client, emulator = self._run_with_transient_errors(variant)
            requests = [(each.method, each.path.replace(task.ref.id, "ID")) for each in emulator.requests]
            recorded.append((requests, client.clock.sleeps))

        assert recorded[0] == recorded[1]

    @needs(Verb.CREATE_TASK)
    def test_submitting_is_one_post(self, variant: str) -> None:
        """Exactly one request creates the task, whatever requests precede it."""
        client, emulator = self._connect(variant)
        client.create_task(self.spec)

        assert [(each.method, len(emulator.tasks)) for each in emulator.seen("create_task")] == [("POST", 1)]

    @needs(Verb.CREATE_TASK)
    def test_a_created_task_has_its_prompt(self, variant: str) -> None:
        """The returned task has its prompt, by which a task is found whose response was lost."""
        client, _ = self._connect(variant)

        assert self.spec.prompt == client.create_task(self.spec).prompt

    @needs(Verb.CREATE_TASK)
    def test_a_lost_response_creates_no_second_task(self, variant: str, lost: str) -> None:
        """The task is found, or the call raises; a POST is repeated only with an idempotency key."""
        client, emulator = self._connect(variant, LOST_RESPONSES[lost])
        try:
            name = client.create_task(self.spec).ref.provider
        except errors.SubmissionUncertainError:
            name = self.provider().name

        assert (self.provider().name, 1) == (name, len(emulator.tasks))
        assert 1 == len(emulator.seen("create_task")) or all(each.idempotent for each in emulator.seen("create_task"))

    @needs(Verb.CREATE_TASK)
    def test_a_lost_submission_is_not_sent_again(self, variant: str) -> None:
        """A request that may have arrived is not repeated and raises, unless it has an idempotency key."""
        client, emulator = self._connect(variant, Reset(on="create_task"))
        try:
            client.create_task(self.spec)
            returned = 1
        except errors.SubmissionUncertainError:
            returned = 0
        is_keyed = emulator.seen("create_task")[0].idempotent

        expected = (1, 1, 2) if is_keyed else (0, 0, 1)

        assert expected == (returned, len(emulator.tasks), len(emulator.seen("create_task")))

    @needs(Verb.CREATE_TASK, Verb.GET_TASK)
    def test_a_ref_survives_print_and_parse(self, variant: str) -> None:
        """A printed ref is enough to read the task."""
        client, _ = self._connect(variant)
        ref = client.create_task(self.spec).ref

        assert ref == TaskRef.parse(str(ref)) == client.get_task(str(ref)).ref

    # -- reading responses ---------------------------------------------------------------------------------------------

    def _with_word(self, word: str) -> Task:
        transcript = self.transcripts[self.state_in]
        body = changed(transcript.body, self.state_at, partial(_put, word))
        return methods_of(self.provider()).extract_response(body, transcript.siblings)

    def test_every_declared_state_maps(self, word: str) -> None:
        """A declared state maps to its `TaskState`, and `raw_state` keeps it."""
        task = self._with_word(word)

        assert (self.states[word], word) == (task.state, task.raw_state)

    def test_an_unknown_state_is_unknown(self) -> None:
        """A state that is not declared maps to `UNKNOWN`, which is not terminal, and `raw_state` keeps it."""
        task = self._with_word(UNKNOWN_WORD)

        assert (task.state, task.raw_state) == (TaskState.UNKNOWN, UNKNOWN_WORD)

    def test_malformed_responses_are_tasks_or_unreadable(self, transcript: str) -> None:
        """With any key missing, null, of a wrong type or of an unknown value: a `Task`, or an error with a JSON path."""
        recorded, provider = self.transcripts[transcript], methods_of(self.provider())
        responses = [(body, recorded.siblings) for body in malformed(recorded.body)]
        responses += [(recorded.body, siblings) for siblings in malformed(recorded.siblings or b"null")]
        failures = [problem for body, siblings in responses if (problem := _problem(provider, body, siblings))]

        assert [] == failures

    # -- errors --------------------------------------------------------------------------------------------------------

    @needs(Verb.CREATE_TASK, Verb.GET_TASK)
    def test_each_status_raises_its_error(self, variant: str, status: int) -> None:
        """Each HTTP status raises its class, with status, request id and `retry_after`."""
        client, emulator = self._connect(variant)
        ref = client.create_task(self.spec).ref
        header = (("x-request-id", REQUEST_ID),)
        fault = Status(status, on="get_task", times=None, headers=header, retry_after=3 if status == 429 else None)
        emulator.faults.append(fault)
        with pytest.raises(errors.ProviderError) as caught:
            client.get_task(ref)
        error = caught.value

        assert (STATUS_ERRORS[status], status, REQUEST_ID) == (type(error), error.status, error.request_id)
        assert (3.0 if status == 429 else None) == getattr(error, "retry_after", None)

    @needs(Verb.CREATE_TASK, Verb.GET_TASK)
    def test_retry_after_is_read_in_every_form(self, variant: str, after: str) -> None:
        """Seconds and the three forms of a date are read, dates against the `Date` of the response; nothing else is."""
        client, emulator = self._connect(variant)
        ref = client.create_task(self.spec).ref
        headers = (("date", DATE),)
        emulator.faults.append(Status(429, on="get_task", times=None, headers=headers, retry_after=after))
        with pytest.raises(errors.RateLimitError) as caught:
            client.get_task(ref)

        assert RETRY_AFTER[after] == caught.value.retry_after

    @needs(Verb.CREATE_TASK, Verb.GET_TASK)
    def test_a_byte_order_mark_is_ignored(self, variant: str) -> None:
        """A byte-order mark before a text is no part of it (RFC 8259, section 8.1)."""
        tasks = []
        for mark in (b"", b"\xef\xbb\xbf"):
            client, emulator = self._connect(variant)
            ref = client.create_task(self.spec).ref
            marked = BodyPrefix(mark, on="get_task", times=None)
            emulator.faults.append(marked)
            tasks.append(msgspec.structs.replace(client.get_task(ref), ref=TaskRef("x", "x"), url=None, raw=b""))

        assert tasks[0] == tasks[1]

    def test_a_missing_verb_raises_before_any_request(self, variant: str, verb: str) -> None:
        """An unsupported method raises at once, with the reason."""
        client, emulator = self._connect(variant)
        with pytest.raises(errors.UnsupportedError, match=f"{self.provider().name} has no "):
            getattr(client, verb)(*METHODS[verb])

        assert [] == emulator.requests

    @needs(Verb.CREATE_TASK, Verb.GET_TASK)
    def test_no_token_is_shown(self, variant: str, caplog: pytest.LogCaptureFixture) -> None:
        """No ``repr``, message, note, traceback or log contains the token, whatever status the service returns."""
        caplog.set_level(0)
        client, emulator = self._connect(variant)
        ref = client.create_task(self.spec).ref
        shown = [repr(each) for each in (client.client, self.provider(), client.journal.entries, *emulator.requests)]
        for status in STATUS_ERRORS:
            emulator.faults[:] = [Status(status, on="get_task", times=None)]
            with pytest.raises(errors.ProviderError) as caught:
                client.get_task(ref)
            shown += traceback.format_exception(caught.value)

        assert self.token(emulator) not in "\n".join((*shown, caplog.text))

    @needs(Verb.CREATE_TASK, Verb.LIST_TASKS)
    def test_paging_ends_even_where_the_cursor_repeats(self, variant: str) -> None:
        """A cursor that repeats ends the list, and no task is listed twice."""
        client, emulator = self._connect(variant)
        refs = [client.create_task(self.spec).ref for _ in range(2)]
        emulator.faults.append(self.repeating_cursor())

        assert sorted(refs, key=str) == sorted((task.ref for task in client.list_tasks()), key=str)


def _problem(provider: ProviderMethods, body: bytes, siblings: bytes | None) -> str | None:
    """Return what is wrong with how *provider* reads a response; None for a task or an error with a JSON path."""
    try:
        task: object = provider.extract_response(body, siblings)
    except errors.UnreadableResponseError as error:
        return None if error.path.startswith("$") else f"no path in {error}"
    except Exception as error:  # noqa: BLE001 - any other exception is a failure
        return f"{type(error).__name__}: {error}"
    return None if isinstance(task, Task) else f"a {type(task).__name__}"


# -- malformed responses -----------------------------------------------------------------------------------------------

# A value of a wrong type for each JSON type.
WRONG: Mapping[type, object] = {str: 7, int: "7", float: "7", bool: "true", dict: "{}", list: {}, type(None): 7}


def malformed(body: bytes) -> Iterator[bytes]:
    """Yield *body* with each of its keys missing, null, of a wrong type, and, if it is a string, with an unknown value."""
    for path, value in _places(msgspec.json.decode(body)):
        yield changed(body, path, operator.delitem)
        yield changed(body, path, partial(_put, None))
        yield changed(body, path, partial(_put, WRONG[type(value)]))
        if isinstance(value, str):
            yield changed(body, path, partial(_put, UNKNOWN_WORD))


def _put(value: object, place: Any, key: Any) -> None:
    place[key] = value


def changed(body: bytes, path: Path, change: Callable[[Any, Any], object]) -> bytes:
    """Return *body* after calling *change* with the container and the last key of *path*."""
    document = place = msgspec.json.decode(body)
    for key in path[:-1]:
        place = place[key]
    change(place, path[-1])
    return msgspec.json.encode(document)


def _places(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the path and value of every member of *value*, at any depth."""
    inside: Sequence[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inside = tuple(cast("dict[str, object]", value).items())
    elif isinstance(value, list):
        inside = tuple(enumerate(cast("list[object]", value)))
    for key, part in inside:
        yield (*path, key), part
        yield from _places(part, (*path, key))
