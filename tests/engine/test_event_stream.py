"""A wait reads the event stream between polls, and the stream never decides the state of a task."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, reply

from coatcheck import errors
from coatcheck._model.events import StateEvent, TaskEvent, TaskMessage, TaskSucceeded, TaskUsage
from coatcheck._model.outcome import Message
from coatcheck._model.tasks import Task, TaskRef, TaskState
from coatcheck._protocol.effects import Emit, Exchange, Read, Request, Response
from coatcheck._protocol.provider import Support, TaskSnapshot, Verb
from coatcheck.provider import EventStreamReader, check, event_from_dict
from coatcheck.testing import FakeClock

REF = TaskRef("toy", "t1")


class StreamingProvider(ToyProvider):
    """The toy with a stream that resumes."""

    capabilities = msgspec.structs.replace(ToyProvider.capabilities, has_resumable_stream=True)

    def stream_events(self, ref: TaskRef, *, after: str = "") -> object:
        headers = (("last-event-id", after),) if after else ()
        response = yield Request("GET", f"/tasks/{ref.id}/stream", headers=headers, stream=True)
        check(response)
        parser = EventStreamReader()
        while chunk := (yield Read(response.stream)):
            for event in parser.feed(chunk):
                document = {**msgspec.json.decode(event.data), "ref": str(ref), "id": event.id}
                yield Emit(event_from_dict(document))


class Stream:
    """A stream of these chunks; an exception among them is raised."""

    def __init__(self, *chunks: bytes | Exception, clock: FakeClock | None = None, seconds: float = 0.0) -> None:
        self.chunks, self.clock, self.seconds = list(chunks), clock, seconds

    def read(self) -> bytes:
        if self.clock is not None:
            self.clock.advance(self.seconds)
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        pass


def sse(*events: tuple[int, str, str]) -> bytes:
    """Return events of an id, a type and a text or state."""
    documents = []
    for id, kind, text in events:
        fields = {"message": {"text": text}} if kind == "task.message" else {"state": text, "raw_state": "done"}
        documents.append((id, msgspec.json.encode({"type": kind, "text": text, **fields}).decode()))
    return "".join(f"id: {id}\ndata: {data}\n\n" for id, data in documents).encode()


ONE, TWO, END = (1, "task.message", "one"), (2, "task.message", "two"), (3, "task.succeeded", "succeeded")
CUT = errors.TransportError("the connection was reset")


class Service(ToyService):
    """A toy whose stream answers with these, one after the other; the last answer is repeated."""

    def __init__(self, *answers: Response, states: tuple[str, ...] = ("working", "working", "done")) -> None:
        super().__init__(states=states)
        self.answers = list(answers)
        self.positions: list[str] = []
        self.create({"prompt": "p", "attempts": 1})

    def handle(self, request: Request) -> Response:
        if request.path.endswith("/stream"):
            self.requests.append(request)
            self.positions.append(dict(request.headers).get("last-event-id", ""))
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return super().handle(request)


def streamed(*chunks: bytes | Exception, **options: object) -> Response:
    """Return a response with a stream."""
    return Response(200, stream=Stream(*chunks, **options))


def watch(variant: str, service: Service, **options: object) -> list[TaskEvent]:
    """Return the events of a watch."""
    clock = options.pop("clock", None) or FakeClock()
    return list(Both(variant, StreamingProvider(), service, clock=clock).watch_task("t1", **options))


def texts(events: list[TaskEvent]) -> list[str]:
    """Return the texts of messages, and the states."""
    return [event.state.value if isinstance(event, StateEvent) else event.text or "" for event in events]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "answers",
    [
        [streamed(sse(ONE, TWO, END))],
        [streamed(sse(ONE)), streamed(sse(TWO, END))],
        [streamed(sse(ONE), CUT), streamed(sse(TWO), CUT), streamed(sse(END))],
        [streamed(sse(ONE, TWO)[:-5], CUT), streamed(sse(TWO, END))],
        [streamed(CUT), streamed(sse(ONE), sse(TWO, END))],
        [streamed(sse(ONE)), streamed(sse(ONE, TWO)), streamed(sse(ONE, TWO, END))],
        [reply({}, 503), streamed(sse(ONE, TWO, END))],
    ],
    ids=["whole", "ends", "cut", "cut-in-event", "cut-at-start", "repeats", "unavailable"],
)
def test_each_event_is_emitted_once_over_any_cut(variant: str, answers: list[Response]) -> None:
    """Whatever interrupts the stream, its events come once, in order, and the end is a poll's."""
    service = Service(*unread(answers), states=("working",) * 9)
    service.lives["t1"] = iter(["working"] * 4 + ["done"] * 20)

    assert ["one", "two", "succeeded"] == [text for text in texts(watch(variant, service)) if text != "running"]


def unread(answers: list[Response]) -> list[Response]:
    """Return answers whose streams were not read yet: parameters are shared by tests."""
    return [
        msgspec.structs.replace(each, stream=Stream(*each.stream.chunks)) if each.stream else each for each in answers
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("status", [400, 403, 404, 405, 410])
def test_a_denied_stream_is_requested_once(variant: str, status: int) -> None:
    """The wait polls as it would without a stream."""
    service = Service(reply({}, status), states=("working",) * 3 + ("done",))
    events = texts(watch(variant, service))

    assert (["running", "succeeded"], 1) == (events, len(service.positions))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_stream_does_not_decide_the_state(variant: str) -> None:
    """An event of the end is followed by a poll; where that shows a running task, the wait goes on."""
    service = Service(streamed(sse(ONE, END)), streamed(), states=("working", "working", "working", "done"))

    assert ["running", "one", "succeeded"] == texts(watch(variant, service))


@pytest.mark.parametrize("variant", VARIANTS)
def test_events_before_the_end_are_emitted_where_a_poll_shows_the_end_first(variant: str) -> None:
    """An event of a state causes a poll, which shows that the task has ended meanwhile: what the stream has comes first."""
    waits = (1, "task.needs_input", "input_required")
    service = Service(
        streamed(sse(waits), sse((2, "task.message", "one")), sse((3, "task.message", "two"), (4, *END[1:]))),
        states=("working", "done"),
    )

    assert ["running", "one", "two", "succeeded"] == texts(watch(variant, service))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_that_is_cut_after_the_end_hides_nothing(variant: str) -> None:
    """The poll has shown the end; the result is emitted where the stream does not come to it."""
    waits = (1, "task.needs_input", "input_required")
    service = Service(streamed(sse(waits), CUT), streamed(CUT), states=("working", "done"))

    assert "succeeded" == texts(watch(variant, service))[-1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wait_resumes_the_stream_by_its_cursor(variant: str) -> None:
    """The cursor of any event leads to the events after it, also in another process."""
    whole = watch(variant, Service(streamed(sse(ONE, TWO, END)), streamed()))
    service = Service(streamed(sse(TWO, END)), streamed(), states=("done",))
    rest = watch(variant, service, after=whole[1].id)

    assert (["one", "two", "succeeded"], "1", ["two", "succeeded"]) == (
        texts(whole)[1:],
        service.positions[0],
        texts(rest),
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("result", "expected"),
    [("one", ["one"]), ("one\n\ntwo", ["one", "one\n\ntwo"]), ("two", ["one", "two"]), ("", ["one"])],
)
def test_messages_of_the_result_are_not_repeated(variant: str, result: str, expected: list[str]) -> None:
    """After a stream that did not come to the end only those are emitted that it has not reported."""
    for answers, messages in (
        ([streamed(sse(ONE, END)), streamed()], ["one"]),
        ([streamed(sse(ONE)), streamed()], expected),
        ([streamed(sse(ONE), CUT), reply({}, 404)], expected),
    ):
        service = Service(*answers, states=("working", "done"))
        service.tasks["t1"] = msgspec.structs.replace(service.tasks["t1"], text=result)
        service.lives["t1"] = iter(["working", *["done"] * 9])
        emitted = [each for each in texts(watch(variant, service)) if each not in ("running", "succeeded")]
        assert messages == emitted


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_without_ids_that_begins_again_repeats_no_message(variant: str) -> None:
    """What an earlier connection has brought is passed over in its order; a message that an agent repeats is not."""
    first, again = (
        b"".join(sse((0, "task.message", text)).replace(b"id: 0\n", b"id\n") for text in texts)
        for texts in (["one", "one"], ["one", "one", "two", "one"])
    )
    service = Service(streamed(first, CUT), streamed(again, sse((0, *END[1:])).replace(b"id: 0\n", b"id\n")))

    assert ["one", "one", "two", "one"] == [each for each in texts(watch(variant, service)) if each in ("one", "two")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_silent_stream_does_not_hide_the_end(variant: str) -> None:
    """A stream that stays open and brings only comments is left for a poll after a minute."""
    clock = FakeClock()
    service = Service(streamed(*[b": \n\n"] * 99, clock=clock, seconds=15.0), states=("working", "done"))
    watch(variant, service, clock=clock, timeout=None)

    assert (2, 1) == (service.count("GET", "/tasks/t1"), len(service.positions))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_deadline_ends_a_wait_that_reads_a_stream(variant: str) -> None:
    """The error has the ref, and the request of the stream was given what was left."""
    clock = FakeClock()
    service = Service(streamed(*[b": \n\n"] * 99, clock=clock, seconds=15.0), states=("working",))
    with pytest.raises(errors.WaitTimeoutError) as caught:
        watch(variant, service, clock=clock, timeout=40)
    limits = [request.timeout for request in service.requests if request.path.endswith("/stream")]

    assert (REF, [40]) == (caught.value.ref, limits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_that_ends_at_once_does_not_make_polls_more_frequent(variant: str) -> None:
    """Between two such connections is the pause of a wait without a stream."""
    clocks = [FakeClock(), FakeClock()]
    states = ("working",) * 5 + ("done",)
    for clock, provider in zip(clocks, (StreamingProvider(), ToyProvider()), strict=True):
        Both(variant, provider, Service(streamed(), states=states), clock=clock).poll_task("t1")

    assert clocks[0].monotonic() == clocks[1].monotonic()


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interval_is_kept(variant: str) -> None:
    """With an interval a task is polled at it, and its stream is not read."""
    service = Service(streamed(sse(ONE, TWO, END)), states=("working", "working", "done"))
    watch(variant, service, interval=7)

    assert (3, []) == (service.count("GET", "/tasks/t1"), service.positions)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wait_shows_the_output_as_progress(variant: str) -> None:
    """`on_change` gets the task with each text of the stream."""
    shown = []
    service = Service(streamed(sse(ONE, TWO, END)), states=("working", "done"))
    client = Both(variant, StreamingProvider(), service)
    client.poll_task("t1", on_change=lambda task: shown.append(task.progress))

    assert [None, "one", "two", None] == shown


def test_a_provider_without_the_verb_has_no_current_diff() -> None:
    """The call raises before any request."""
    service = Service(streamed())
    with pytest.raises(errors.UnsupportedError, match=Verb.GET_CURRENT_DIFF.value):
        Both("blocking", StreamingProvider(), service).get_current_diff("t1")

    assert [] == service.requests


class OneStreamProvider(StreamingProvider):
    """The toy with one stream for several tasks, whose ids are positions in each of them."""

    def stream_events_of(self, refs: Sequence[TaskRef], *, after: str = "") -> object:
        for number, id, event in (
            ("1", "1", "one"),
            ("1", "2", "two"),
            ("2", "", "used"),
            ("2", "1", "one"),
            ("2", "2", "two"),
        ):
            kind = TaskMessage(ref=TaskRef("toy", f"t{number}"), id=id, message=Message(text=event), text=event)
            yield Emit(kind if id else TaskUsage(ref=kind.ref, text=event))
        for ref in refs:
            yield Emit(TaskSucceeded(ref=ref, state=TaskState.SUCCEEDED, raw_state="done"))


def messages_of_two(variant: str, provider: ToyProvider) -> list[list[str]]:
    """Return the messages that a watch of two tasks shows of each."""
    service = Service(streamed(), states=("working", "done"))
    service.create({"prompt": "p", "attempts": 1})
    refs = [TaskRef("toy", "t1"), TaskRef("toy", "t2")]
    events = list(Both(variant, provider, service, clock=FakeClock()).watch_tasks(refs))
    return [[event.text for event in events if event.type == "task.message" and event.ref == ref] for ref in refs]


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_event_without_an_id_does_not_move_its_task(variant: str) -> None:
    """Ids are positions in each task: an event of one that has no id leaves its position, whatever another one has."""
    assert [["one", "two"], ["one", "two"]] == messages_of_two(variant, OneStreamProvider())


class PolledLogProvider(OneStreamProvider):
    """The same, with polls that read the messages as well."""

    capabilities = msgspec.structs.replace(
        StreamingProvider.capabilities,
        verbs={**StreamingProvider.capabilities.verbs, Verb.GET_SNAPSHOT: Support.DOCUMENTED},
    )

    def get_snapshot(
        self, ref: TaskRef, *, memory: str = "", is_watched: bool, now: float, shown: Task | None = None
    ) -> Exchange[TaskSnapshot]:
        task = yield from self.get_task(ref)
        read = [
            TaskMessage(ref=ref, id=id, message=Message(text=text), text=text)
            for id, text in (("1", "one"), ("2", "two"))
        ]
        return TaskSnapshot(task=task, events=tuple(each for each in read if each.id > memory), memory="2")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_poll_does_not_move_the_stream(variant: str) -> None:
    """What a poll has read of the log is left to the stream, and so is the position after it."""
    assert [["one", "two"], ["one", "two"]] == messages_of_two(variant, PolledLogProvider())
