"""The live events of hosted sessions: each event once, in order, however often the stream is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import pytest
from tests.providers.services import SERVICES

from coatcheck import TaskRef, TaskState, errors
from coatcheck.provider import Request, Response, ServerSentEvent
from coatcheck.providers._sessions.session_provider import SessionProvider
from coatcheck.providers.claude_agents.session_events import EventLog
from coatcheck.providers.openai_agents.session_items import ItemLog
from coatcheck.testing import FakeClock
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators import claude_agents, openai_agents

REF = TaskRef("sessions", "s1")


class Case(NamedTuple):
    """A service: an ordinary life of a session with three commands, one that waits, and the texts of the ordinary one."""

    life: tuple[Any, ...]
    waiting: tuple[Any, ...]
    texts: list[str]


CLAUDE = Case(
    (claude_agents.work, claude_agents.work, claude_agents.work, claude_agents.stop("end_turn", "Done")),
    (claude_agents.work, claude_agents.needs_permission),
    ["Say hello", *(["make test", "3 passed"] * 3), "Done"],
)
OPENAI = Case(
    (openai_agents.work, openai_agents.work, openai_agents.work, openai_agents.complete("Done")),
    (openai_agents.work, openai_agents.needs_permission),
    ["Say hello", *(["make test"] * 3), "I look at the repository.", "Done"],
)
CASES = {"claude_agents": CLAUDE, "openai_agents": OPENAI}
EACH = pytest.mark.parametrize("name", CASES)
BOTH = pytest.mark.parametrize("variant", VARIANTS)


class CutStream:
    """A stream that is lost after some chunks."""

    def __init__(self, stream: Any, chunks: int) -> None:
        self._stream, self._left = stream, chunks

    def read(self) -> bytes:
        """Return the next chunk, or raise."""
        if self._left == 0:
            raise errors.TransportError("the connection was reset", request_sent=True)
        self._left -= 1
        chunk: bytes = self._stream.read()
        return chunk

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class Cutting:
    """A service whose streams are lost after *chunks*."""

    def __init__(self, emulator: Any, chunks: int) -> None:
        self._emulator, self._chunks = emulator, chunks

    def handle(self, request: Request) -> Response:
        """Return the response of the emulator."""
        response: Response = self._emulator.handle(request)
        if response.stream is None:
            return response
        return msgspec.structs.replace(response, stream=CutStream(response.stream, self._chunks))


def connect(name: str, variant: str, life: tuple[Any, ...], *, cut_after: int | None = None) -> tuple[Any, Any, str]:
    """Return a client, the emulator behind it, and the ref of a new task whose session has *life*."""
    service, clock = SERVICES[name], FakeClock()
    emulator = service.emulator(life, clock=clock)
    served = emulator if cut_after is None else Cutting(emulator, cut_after)
    provider = service.provider("http://127.0.0.1:9")
    client = Both(variant, provider, served, token=emulator.token, clock=clock)
    return client, emulator, str(client.create_task(service.spec).ref)


def texts(events: Iterable[Any]) -> list[str]:
    """Return the texts of messages and commands."""
    return [event.text for event in events if event.type in ("task.message", "task.tool")]


@EACH
@BOTH
def test_a_stream_continues_after_each_event(name: str, variant: str) -> None:
    """After each event come those that follow it, and no other, while the session runs and once it has stopped."""
    case = CASES[name]
    client, _, ref = connect(name, variant, case.life)
    events = client.stream_task(ref)
    rests = [texts(client.stream_task(ref, after=event.id)) for event in events]

    assert case.texts == texts(events)
    assert [case.texts[number:] for number in range(1, len(case.texts) + 1)] == rests


@EACH
@BOTH
@pytest.mark.parametrize("chunks", range(5))
def test_a_cut_stream_loses_and_repeats_nothing(name: str, variant: str, chunks: int) -> None:
    """A watch whose streams are lost after any chunk reports each event once."""
    case = CASES[name]
    client, _, ref = connect(name, variant, case.life, cut_after=chunks)
    events = client.watch_task(ref)

    assert (case.texts, "task.succeeded") == (texts(events), events[-1].type)


@EACH
@BOTH
def test_a_stream_needs_few_requests(name: str, variant: str) -> None:
    """A watch of a session reads its stream: the requests do not grow with the events."""
    case, counts = CASES[name], []
    for commands in (1, 30):
        client, emulator, ref = connect(name, variant, (*([case.life[0]] * commands), case.life[-1]))
        before = len(emulator.requests)
        client.watch_task(ref)
        counts.append(len(emulator.requests) - before)

    assert (counts[0], 1) == (counts[1], len(emulator.seen("stream_task")))


@EACH
@BOTH
def test_a_stream_ends_where_the_agent_waits(name: str, variant: str) -> None:
    """A stream and a wait end with the permission that a session waits for."""
    client, _, ref = connect(name, variant, CASES[name].waiting)
    commands = len(texts(client.stream_task(ref)))

    assert (TaskState.INPUT_REQUIRED, True) == (client.poll_task(ref).state, commands > 1)


@EACH
@BOTH
def test_a_quiet_stream_keeps_a_wait_to_its_time(name: str, variant: str) -> None:
    """A stream that sends nothing but comments ends with the time of the wait, and polls are rare meanwhile."""
    client, emulator, ref = connect(name, variant, CASES[name].life[:1])
    with pytest.raises(errors.WaitTimeoutError):
        client.poll_task(ref, timeout=600)

    assert len(emulator.seen("get_task")) < 30


@EACH
@BOTH
def test_the_stream_of_an_unknown_session(name: str, variant: str) -> None:
    """A session that does not exist is an error before anything is emitted."""
    client, _, _ = connect(name, variant, CASES[name].life)
    with pytest.raises(errors.NotFoundError):
        client.stream_task(f"{name}:unknown")


def nothing(_position: str) -> Any:
    """Return an empty log."""
    yield from ()
    return []


@pytest.mark.parametrize("log", [EventLog, ItemLog])
@pytest.mark.parametrize("data", ["", "[]", "{", "\ud83d", "7", '{"type": "dance.begun", "id": 7}'])
def test_an_event_that_is_not_known_is_kept(log: Callable[..., Any], data: str) -> None:
    """What is no event that is known is kept with its data, and the position stays."""
    reader = log(REF, "", nothing)
    before = reader.memory
    [event] = reader.take(ServerSentEvent(event="dance", data=data))

    assert (before, True) == (reader.memory, event.type not in ("task.message", "task.tool"))


@pytest.mark.parametrize(
    ("log", "sent", "has_stopped"),
    [
        (EventLog, {"type": "session.status_idle", "id": "e1", "processed_at": "2026-11-20T10:00:00Z"}, True),
        (EventLog, {"type": "session.status_running", "id": "e1", "processed_at": "2026-11-20T10:00:00Z"}, False),
        (EventLog, {"type": "session.status_terminated", "id": "e1", "processed_at": "2026-11-20T10:00:00Z"}, True),
        (EventLog, {"type": "user.message", "id": "e1", "processed_at": None}, False),
        (ItemLog, {"type": "agent.session.turn.completed", "turn": {"subagent_id": None}}, True),
        (ItemLog, {"type": "agent.session.turn.completed", "turn": {"subagent_id": "sub_1"}}, False),
        (ItemLog, {"type": "agent.session.turn.output_text.delta", "delta": "D"}, False),
        (ItemLog, {"type": "agent.session.environment.ready"}, False),
        (ItemLog, {"type": "agent.session.failed"}, True),
    ],
)
def test_what_ends_a_stream(log: Callable[..., Any], sent: dict[str, Any], has_stopped: bool) -> None:
    """A stream ends with the turn of the main agent, not with one of a subagent, and parts of texts are not shown."""
    reader = log(REF, "", nothing)
    events = reader.take(ServerSentEvent(event=sent["type"], data=msgspec.json.encode(sent).decode()))

    assert ([], has_stopped) == (events, reader.has_stopped)


def test_a_message_of_a_person_does_not_move_the_position() -> None:
    """A message that steers a turn is emitted when it is added; a stream that continues may repeat it and loses no item."""
    reader = ItemLog(REF, "", partial(nothing))
    item = {"id": "i2", "type": "message", "role": "user", "status": "completed", "content": [{"text": "Faster"}]}
    data = msgspec.json.encode({"type": "agent.session.turn.item.added", "item": item}).decode()
    taken = [reader.take(ServerSentEvent(event="x", data=data)) for _ in range(2)]

    assert (["Faster"], [], ItemLog(REF, "", nothing).memory) == (texts(taken[0]), taken[1], reader.memory)


def test_a_provider_of_sessions_defines_what_differs() -> None:
    """A provider without the requests of its service cannot be made, and a type checker refuses it."""
    incomplete = type("Incomplete", (SessionProvider,), {}, frozen=True)
    with pytest.raises(TypeError) as caught:
        incomplete(None)

    assert "abstract" in str(caught.value)
