"""The laws that every provider keeps, as tests to inherit: a provider's test class has attributes and no bodies.

    class TestAcme(ProviderConformance):
        provider = staticmethod(lambda: AcmeProvider("http://127.0.0.1:9"))
        emulator = AcmeEmulator
        states = extract.STATES
        transcripts = {"done": Transcript(Path("done.json").read_bytes())}
        state_in, state_at = "done", ("state",)
        repeating_cursor = staticmethod(lambda: RepeatingCursor(on="list_tasks"))

Laws about what the provider's capabilities exclude are shown as skipped, with the provider's own reason. It needs
pytest (``pip install coatcheck[testing]``), which nothing else of the library imports.
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
from .._protocol.provider import Provider
from .._values.value import Value
from ..cloud.faults import Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept, Timeout
from .both_clients import COLOURS, Both
from .fake_clock import FakeClock

Path: TypeAlias = tuple[str | int, ...]

# What each status must become, with what its error carries.
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

# Every verb of the clients that a provider may lack, with arguments that are good enough to be refused.
VERBS: Mapping[str, tuple[Any, ...]] = {
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
    "create_pull_request": ("x",),
    "stream_task": ("x",),
}
# Where the capability is called otherwise than the verb.
CAPABILITY = {"stream_task": "stream_events"}

# After these a task may exist and nobody was told.
LOST_ANSWERS: Sequence[Fault] = (
    ResetAfterAccept(on="create_task"),
    StatusAfterAccept(502, on="create_task"),
    Timeout(on="create_task", is_accepted=True),
)
NEW_WORD = "coatcheck-new-word"
REQUEST_ID = "req-conformance"


class Transcript(Value, frozen=True, kw_only=False):
    """A recorded answer about a task, with the one that goes with it where the provider reads two."""

    body: bytes
    siblings: bytes | None = None


class Emulator(Protocol):
    """What stands in for the service. Its `faults` name routes by the client's verbs: "create_task" and so on."""

    faults: list[Fault]
    requests: list[Request]

    @property
    def tasks(self) -> Sequence[object]:
        """Every task that there is."""
        ...

    def seen(self, name: str) -> Sequence[Request]:
        """Return the requests that came in for a verb."""
        ...

    def handle(self, request: Request) -> Response:
        """Answer, or raise `TransportError`."""
        ...


def needs(*verbs: str) -> Callable[[Any], Any]:
    """Mark a law as one about *verbs*, which not every provider has."""

    def mark(law: Any) -> Any:
        law.needs = verbs
        return law

    return mark


class ProviderConformance:
    """Inherit this, and say by attributes what the provider is; see the module for an example.

    * `provider` makes one, `emulator` its service (given ``clock=``), `token` what the service accepts.
    * `spec` is a task that the emulator brings to a good end.
    * `states` is the provider's table; `state_at` is where a state stands in the transcript `state_in`.
    * `transcripts` are recorded answers by name; every key in them is bent in every way.
    * `repeating_cursor` makes the fault that sends whoever lists tasks round in circles.
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
        """Give each law its cases: both clients, each status, each word, each transcript, each missing verb."""
        cases: Mapping[str, Callable[[], Sequence[object]]] = {
            "colour": lambda: COLOURS,
            "status": lambda: tuple(STATUS_ERRORS),
            "word": lambda: tuple(self.states),
            "transcript": lambda: tuple(self.transcripts),
            "lost": lambda: LOST_ANSWERS,
            "verb": lambda: [verb for verb in VERBS if not self._has(CAPABILITY.get(verb, verb))],
        }
        missing = [verb for verb in getattr(metafunc.function, "needs", ()) if not self._has(verb)]
        marks = [pytest.mark.skip(reason=self._reason(missing[0]))] if missing else []
        for name in (name for name in cases if name in metafunc.fixturenames):
            values = cases[name]()
            ids = [type(value).__name__ if isinstance(value, Fault) else str(value) for value in values]
            metafunc.parametrize(name, [pytest.param(value, marks=marks) for value in values], ids=ids)

    def _has(self, verb: str) -> bool:
        return verb in self.provider().capabilities.verbs

    def _reason(self, verb: str) -> str:
        provider = self.provider()
        why = provider.capabilities.reasons.get(verb, "the service offers no such thing")
        return f"{provider.name} has no {verb}: {why}"

    def _ends(self, colour: str, *faults: Fault) -> tuple[Any, Emulator]:
        """Return a client of this colour and the service behind it, which has *faults*."""
        clock = FakeClock()
        emulator = self.emulator(clock=clock)
        emulator.faults.extend(faults)
        return Both(colour, self.provider(), emulator, token=self.token(emulator), clock=clock), emulator

    # -- a task's life -----------------------------------------------------------------------------------------------

    def _life(self, colour: str) -> tuple[Task, Any, Emulator]:
        client, emulator = self._ends(
            colour,
            Status(429, on="create_task", retry_after=2),
            Reset(on="get_task"),
            Status(503, on="get_task"),
        )
        return client.poll_task(client.create_task(self.spec).ref), client, emulator

    @needs("create_task")
    def test_a_task_comes_to_its_end_through_bad_weather(self, colour: str) -> None:
        """Throttling, a lost connection and a 503 are waited out, and there is one task."""
        task, _, emulator = self._life(colour)

        assert (TaskState.SUCCEEDED, 1) == (task.state, len(emulator.tasks)), task

    @needs("create_task")
    def test_both_clients_ask_and_sleep_the_same(self) -> None:
        """The colour of a client changes neither what is asked nor when."""
        seen = []
        for colour in COLOURS:
            task, client, emulator = self._life(colour)
            asked = [(each.method, each.path.replace(task.ref.id, "ID")) for each in emulator.requests]
            seen.append((asked, client.clock.sleeps))

        assert seen[0] == seen[1]

    @needs("create_task")
    def test_submitting_is_one_post(self, colour: str) -> None:
        """Whatever is asked before it, one request creates the task."""
        client, emulator = self._ends(colour)
        client.create_task(self.spec)

        assert [(each.method, len(emulator.tasks)) for each in emulator.seen("create_task")] == [("POST", 1)]

    @needs("create_task")
    def test_a_ticket_says_what_was_asked(self, colour: str) -> None:
        """The task that comes back knows its prompt, so that a lost answer can be found by it."""
        client, _ = self._ends(colour)

        assert self.spec.prompt == client.create_task(self.spec).prompt

    @needs("create_task")
    def test_a_lost_answer_never_makes_a_second_task(self, colour: str, lost: Fault) -> None:
        """The task is found, or the uncertainty is said; a POST is sent again only where a key makes that harmless."""
        client, emulator = self._ends(colour, lost)
        try:
            found: object = client.create_task(self.spec).ref.provider
        except errors.SubmissionUncertainError as error:
            found = (error.spec.prompt, self.provider().name)[1]

        assert (self.provider().name, 1) == (found, len(emulator.tasks))
        assert 1 == len(emulator.seen("create_task")) or all(each.idempotent for each in emulator.seen("create_task"))

    @needs("create_task")
    def test_a_lost_submission_is_not_sent_again(self, colour: str) -> None:
        """Nobody knows that the service has not got it: the error says so, and there is no task; unless a key helps."""
        client, emulator = self._ends(colour, Reset(on="create_task"))
        try:
            client.create_task(self.spec)
            found = len(emulator.tasks)
        except errors.SubmissionUncertainError:
            found = 0
        is_keyed = emulator.seen("create_task")[0].idempotent

        assert (found, len(emulator.tasks), len(emulator.seen("create_task"))) == ((1, 1, 2) if is_keyed else (0, 0, 1))

    @needs("create_task", "get_task")
    def test_a_ref_survives_print_and_parse(self, colour: str) -> None:
        """A printed ref is enough to come back with."""
        client, _ = self._ends(colour)
        ref = client.create_task(self.spec).ref

        assert ref == TaskRef.parse(str(ref)) == client.get_task(str(ref)).ref

    # -- what answers mean ---------------------------------------------------------------------------------------------

    def _with_word(self, word: str) -> Task:
        found = self.transcripts[self.state_in]
        body = bent(found.body, self.state_at, partial(_put, word))
        return self.provider().extract_response(body, found.siblings)

    def test_every_declared_state_maps(self, word: str) -> None:
        """A word of the table is that state, and is kept."""
        task = self._with_word(word)

        assert (self.states[word], word) == (task.state, task.raw_state)

    def test_an_unknown_word_is_unknown(self) -> None:
        """A word that nobody knows never ends a task, and is kept."""
        task = self._with_word(NEW_WORD)

        assert (task.state, task.raw_state) == (TaskState.UNKNOWN, NEW_WORD)

    def test_bent_answers_give_a_task_or_are_unreadable(self, transcript: str) -> None:
        """Every key missing, null, of a wrong type or with a new word: a `Task`, or the JSON path of what is wrong."""
        found, provider = self.transcripts[transcript], self.provider()
        answers = [(body, found.siblings) for body in bendings(found.body)]
        answers += [(found.body, siblings) for siblings in bendings(found.siblings or b"null")]
        failures = [problem for body, siblings in answers if (problem := _problem(provider, body, siblings))]

        assert [] == failures

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    @needs("create_task", "get_task")
    def test_each_status_is_its_error(self, colour: str, status: int) -> None:
        """The class, the status, the service's request id, and how long it asks us to wait."""
        client, emulator = self._ends(colour)
        ref = client.create_task(self.spec).ref
        header = (("x-request-id", REQUEST_ID),)
        fault = Status(status, on="get_task", times=None, headers=header, retry_after=3 if status == 429 else None)
        emulator.faults.append(fault)
        with pytest.raises(errors.ProviderError) as caught:
            client.get_task(ref)
        error = caught.value

        assert (STATUS_ERRORS[status], status, REQUEST_ID) == (type(error), error.status, error.request_id)
        assert (3.0 if status == 429 else None) == getattr(error, "retry_after", None)

    def test_a_missing_verb_raises_before_any_request(self, colour: str, verb: str) -> None:
        """What the service cannot do fails at once, and says why."""
        client, emulator = self._ends(colour)
        with pytest.raises(errors.UnsupportedError, match=f"{self.provider().name} has no "):
            getattr(client, verb)(*VERBS[verb])

        assert [] == emulator.requests

    @needs("create_task", "get_task")
    def test_no_token_is_shown(self, colour: str, caplog: pytest.LogCaptureFixture) -> None:
        """No ``repr``, message, note, traceback or log holds the token, however the service fails."""
        caplog.set_level(0)
        client, emulator = self._ends(colour)
        ref = client.create_task(self.spec).ref
        shown = [repr(each) for each in (client.client, self.provider(), client.journal.entries, *emulator.requests)]
        for status in STATUS_ERRORS:
            emulator.faults[:] = [Status(status, on="get_task", times=None)]
            with pytest.raises(errors.ProviderError) as caught:
                client.get_task(ref)
            shown += traceback.format_exception(caught.value)

        assert self.token(emulator) not in "\n".join((*shown, caplog.text))

    @needs("create_task", "list_tasks")
    def test_paging_ends_even_where_the_cursor_repeats(self, colour: str) -> None:
        """A service that hands out the same cursor again has no next page; nothing is listed twice."""
        client, emulator = self._ends(colour)
        refs = [client.create_task(self.spec).ref for _ in range(2)]
        emulator.faults.append(self.repeating_cursor())

        assert sorted(refs, key=str) == sorted((task.ref for task in client.list_tasks()), key=str)


def _problem(provider: Provider, body: bytes, siblings: bytes | None) -> str | None:
    """Return what is wrong with how *provider* reads an answer, None for a task or a refusal with its path."""
    try:
        task: object = provider.extract_response(body, siblings)
    except errors.UnreadableResponseError as error:
        return None if error.path.startswith("$") else f"no path in {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it should not have been raised
        return f"{type(error).__name__}: {error}"
    return None if isinstance(task, Task) else f"a {type(task).__name__}"


# -- bending answers ---------------------------------------------------------------------------------------------------

# What stands where something of another type is expected.
WRONG: Mapping[type, object] = {str: 7, int: "7", float: "7", bool: "true", dict: "{}", list: {}, type(None): 7}


def bendings(body: bytes) -> Iterator[bytes]:
    """Yield *body* with each of its keys missing, null, of a wrong type, and, where it is a word, with a new one."""
    for path, value in _places(msgspec.json.decode(body)):
        yield bent(body, path, operator.delitem)
        yield bent(body, path, partial(_put, None))
        yield bent(body, path, partial(_put, WRONG[type(value)]))
        if isinstance(value, str):
            yield bent(body, path, partial(_put, NEW_WORD))


def _put(value: object, place: Any, key: Any) -> None:
    place[key] = value


def bent(body: bytes, path: Path, change: Callable[[Any, Any], object]) -> bytes:
    """Return *body* after *change* was done to what holds the last key of *path*."""
    document = place = msgspec.json.decode(body)
    for key in path[:-1]:
        place = place[key]
    change(place, path[-1])
    return msgspec.json.encode(document)


def _places(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the path and value of everything inside *value*."""
    inside: Sequence[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inside = tuple(cast("dict[str, object]", value).items())
    elif isinstance(value, list):
        inside = tuple(enumerate(cast("list[object]", value)))
    for key, part in inside:
        yield (*path, key), part
        yield from _places(part, (*path, key))
