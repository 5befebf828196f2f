from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from coatcheck import TaskRef, errors
from coatcheck._protocol.effects import Clock, Request, Response
from coatcheck.cloud.faults import Fault, Reset
from coatcheck.providers.openhands import events, extract, wire
from coatcheck.testing.emulators.openhands_conversations import COMMAND

from .openhands_support import SPEC, openhands

VARIANTS = ("blocking", "asynchronous")
# What a stream emits of one run.
TYPES = ["task.message", "task.started", "task.tool", "task.tool", "task.message", "task.succeeded"]
REF = TaskRef("openhands", "0b0c6f0e-3b55-5f6e-8a44-5d7c7a1c2e90")


class NoSocket(Fault, frozen=True, kw_only=True):
    """Deny WebSockets, as a proxy does that does not know them."""

    on: str = "stream_task"
    times: int | None = None

    def act(self, request: Request, answer: Callable[[], Response], clock: Clock) -> Response:
        """Refuse."""
        del request, answer, clock
        return Response(404, body=b"no upgrade")


def read(document: dict[str, Any]) -> Any:
    """Return an event of the server as one of ours."""
    raw = msgspec.Raw(msgspec.json.encode({"id": "e", **document}))
    happening = events.Happening(msgspec.json.decode(raw, type=wire.Event), raw)
    return events.event_of(happening, REF, extract.STATES)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seconds", [None, 5.0], ids=["at once", "by the clock"])
def test_a_stream_has_every_event_once(variant: str, seconds: float | None) -> None:
    """The stream of a task emits its log to the end of the run; that of an ended task ends at once."""
    client, emulator = openhands(variant, step_seconds=seconds)
    ref = client.create_task(SPEC).ref
    live = list(client.stream_task(ref, timeout=60.0))
    again = list(client.stream_task(ref))

    assert (TYPES, live) == ([event.type for event in live], again)
    assert (COMMAND, "Wrote hello.txt.", 1) == (live[2].text, live[4].text, len(emulator.seen("stream_task")))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_continues_after_an_event(variant: str) -> None:
    """A stream that begins after an event emits those that follow it."""
    client, _ = openhands(variant)
    ref = client.create_task(SPEC).ref
    seen = list(client.stream_task(ref))
    rest = [list(client.stream_task(ref, after=event.id)) for event in seen]

    assert [seen[number:] for number in range(1, len(seen) + 1)] == rest


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_of_another_run_is_followed(variant: str) -> None:
    """The end of an earlier run does not end the stream of the one that a message has started."""
    client, emulator = openhands(variant, step_seconds=5.0)
    ref = client.poll_task(client.create_task(SPEC).ref).ref
    known = emulator.conversation(ref.id)
    known.status, known.step, known.updated = "idle", 0, emulator.clock.time()
    known.say({"role": "user", "content": [{"type": "text", "text": "again"}]})
    types = [event.type for event in client.stream_task(ref, timeout=60.0)]

    assert 2 == types.count("task.succeeded")


def test_a_position_of_another_task_is_refused() -> None:
    """The id of an event of another task is an error, and so is what is no id."""
    client, _ = openhands()
    ref, other = client.create_task(SPEC).ref, client.create_task(SPEC).ref
    after = next(iter(client.stream_task(other))).id
    for wrong in (after, "[]"):
        with pytest.raises(errors.ConfigurationError, match="is not the id of an event"):
            list(client.stream_task(ref, after=wrong))

    assert TYPES == [event.type for event in client.stream_task(ref)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("faults", [[], [NoSocket()]], ids=["stream", "polls"])
def test_a_watch_emits_each_event_once(variant: str, faults: list[Fault]) -> None:
    """A watch reads the stream, and where there is none the log with each poll: the same messages and tools."""
    client, _ = openhands(variant, step_seconds=30.0, faults=faults)
    watched = list(client.watch_task(client.create_task(SPEC).ref))
    shown = [event.text for event in watched if event.type in ("task.message", "task.tool")]

    assert (["Say hello", COMMAND, "ok", "Wrote hello.txt."], "task.succeeded") == (shown, watched[-1].type)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("stop", "expected"), [("interrupted", "task.cancelled"), ("paused", "task.needs_input")])
def test_a_watch_of_a_stopped_task_ends(variant: str, stop: str, expected: str) -> None:
    """An interruption or a pause is the end of a watch, and is reported once."""
    client, _ = openhands(variant, step_seconds=30.0, life=("idle", "running", stop))
    types = [event.type for event in client.watch_task(client.create_task(SPEC).ref)]

    assert (1, expected) == (types.count(expected), types[-1])


def test_a_stream_that_is_cut_is_resumed() -> None:
    """A wait whose stream is cut reads on after the last event."""
    client, _ = openhands(step_seconds=30.0, faults=[Reset(on="list_events", times=3)])
    watched = [event.text for event in client.watch_task(client.create_task(SPEC).ref) if event.type == "task.tool"]

    assert [COMMAND, "ok"] == watched


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "SystemPromptEvent"}, None),
        ({"kind": "ConversationStateUpdateEvent", "key": "stats", "value": {}}, None),
        ({"kind": "ConversationStateUpdateEvent", "key": "execution_status", "value": "new"}, None),
        ({"kind": "ConversationStateUpdateEvent", "key": "execution_status", "value": ["x"]}, None),
        ({"kind": "ConversationStateUpdateEvent", "key": "execution_status", "value": "stuck"}, "task.failed"),
        ({"kind": "PauseEvent"}, "task.needs_input"),
        ({"kind": "InterruptEvent"}, "task.cancelled"),
        ({"kind": "UserRejectObservation", "tool_name": "terminal", "rejection_reason": "no"}, "task.progress"),
        ({"kind": "AgentErrorEvent", "error": "it broke"}, "task.progress"),
        ({"kind": "ConversationErrorEvent", "code": "c", "detail": "d"}, "task.progress"),
        ({"kind": "MessageEvent", "source": "environment", "llm_message": {"content": "x"}}, None),
        ({"kind": "ActionEvent", "tool_name": "think", "action": {"thought": "hm"}}, "task.progress"),
        ({"kind": "ActionEvent", "tool_name": 7, "action": 7}, "task.tool"),
        ({"kind": "ObservationEvent", "observation": []}, "task.tool"),
        ({"kind": "HookExecutionEvent", "hook": "x"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_each_event_of_the_server(document: dict[str, Any], expected: str | None) -> None:
    """Every kind is one event of ours or is left out on purpose, whatever its fields; an unknown one is kept whole."""
    event = read(document)

    assert expected == (event and event.type)


def test_an_unknown_event_keeps_its_data() -> None:
    """An event of an unknown kind is shown with its kind and data."""
    document = {"id": "e", "kind": "NewEvent", "value": {"a": [1]}}
    event = read(document)

    assert ("NewEvent", document) == (event.kind, event.data)
