from __future__ import annotations

from collections.abc import Mapping

import pytest

from coatcheck import TaskRef, errors
from coatcheck.provider import ServerSentEvent
from coatcheck.providers.cursor.events import Position, RunReader
from coatcheck.testing.emulators.cursor import CodedRefusal

from .cursor_support import SPEC, cursor

VARIANTS = ("blocking", "asynchronous")
EXPECTED = [
    ("task.started", None),
    ("task.progress", "A file is missing."),
    ("task.tool", "shell: ls (running)"),
    ("task.tool", "shell: ls (completed)"),
    ("task.message", "Wrote hello.txt."),
    ("task.succeeded", None),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_events_of_a_run(variant: str) -> None:
    """Parts of a text are one message, repeated events are left out, and commands have their output."""
    client, _ = cursor(variant)
    events = client.stream_task(client.create_task(SPEC).ref)
    outputs = [artifact.output for event in events for artifact in event.artifacts]

    assert EXPECTED == [(event.type, event.text) for event in events]
    assert [None, "a\n"] == outputs


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_is_resumed_after_each_event(variant: str) -> None:
    """After each event come those that follow it, with the state of the run first, which has no id."""
    client, emulator = cursor(variant)
    ref = client.create_task(SPEC).ref
    events = client.stream_task(ref)
    rests = [[event.type for event in client.stream_task(ref, after=event.id)] for event in events]
    resumed = [dict(request.headers).get("last-event-id") for request in emulator.seen("stream_task")]
    kinds = [kind for kind, _ in EXPECTED]

    assert [None, None, "2", "4", "5", "8", "9"] == resumed
    assert [["task.started", *kinds[number:]] for number in range(1, 7)] == rests


def test_a_position_that_is_none() -> None:
    """What is no position of an event is an error before any stream is opened."""
    client, emulator = cursor()
    ref = client.create_task(SPEC).ref
    with pytest.raises(errors.ConfigurationError, match="is not the id of an event"):
        client.stream_task(ref, after='["run-1"')

    assert [] == emulator.seen("stream_task")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_of_an_earlier_run(variant: str) -> None:
    """A position in an earlier run is the beginning of the latest."""
    client, emulator = cursor(variant)
    ref = client.create_task(SPEC).ref
    last = client.stream_task(ref)[-1].id
    client.send_message(ref, "more")
    events = client.stream_task(ref, after=last)

    assert EXPECTED == [(event.type, event.text) for event in events]
    assert [None, None] == [dict(request.headers).get("last-event-id") for request in emulator.seen("stream_task")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_watch_reports_each_event_once(variant: str) -> None:
    """A watch reads the stream between its polls, and reports nothing twice."""
    client, _ = cursor(variant)
    kinds = [event.type for event in client.watch_task(client.create_task(SPEC).ref)]

    assert ["task.progress", "task.tool", "task.tool", "task.message"] == [
        kind for kind in kinds if kind in ("task.progress", "task.tool", "task.message")
    ]
    assert "task.succeeded" == kinds[-1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_that_is_not_kept(variant: str) -> None:
    """A stream that is gone is an error with its remedy, and a watch ends by its polls alone."""
    client, _ = cursor(variant, life=("FINISHED",), retention=False)
    ref = client.create_task(SPEC).ref
    with pytest.raises(errors.ProviderError) as gone:
        client.stream_task(ref)
    kinds = [event.type for event in client.watch_task(ref)]

    assert (410, "its events are not kept any more; watch it without --stream") == (
        gone.value.status,
        gone.value.remedy,
    )
    assert "task.succeeded" == kinds[-1]


def test_a_denied_stream_leaves_the_polls() -> None:
    """A wait whose stream is unavailable ends by its polls."""
    client, _ = cursor(faults=[CodedRefusal(status=503, reason="stream_unavailable", on="stream_task", times=None)])
    task = client.poll_task(client.create_task(SPEC).ref)

    assert "succeeded" == task.state.value


def read(*events: tuple[str, str]) -> list[Mapping[str, object]]:
    """Return what a reader makes of events with numbered ids."""
    reader = RunReader(TaskRef("cursor", "bc-1"), Position("run-1"))
    result = []
    for number, (kind, data) in enumerate(events, 1):
        result += list(reader.take(ServerSentEvent(data, kind, str(number))))
    return [event.to_dict() for event in (*result, *reader.finish())]


def test_unknown_events_are_kept() -> None:
    """An event of an unknown kind or state, and one whose data is no object, are kept under their names."""
    events = read(("vision", '{"x": 1}'), ("status", '{"status": "DREAMING"}'), ("noise", "not JSON"), ("list", "[1]"))

    assert [("vision", {"x": 1}), ("status", {"status": "DREAMING"}), ("noise", "not JSON"), ("list", [1])] == [
        (event["kind"], event["data"]) for event in events
    ]


def test_errors_and_failed_results() -> None:
    """An error is shown with its code, and a failed result with its reason."""
    events = read(
        ("error", '{"code": "oom", "message": "out of memory"}'),
        ("result", '{"status": "ERROR", "text": "gave up", "error": null}'),
    )

    assert [("task.progress", "error: oom: out of memory"), ("task.failed", None)] == [
        (event["type"], event["text"]) for event in events
    ]
    assert "gave up" in str(events[1]["error"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wait_reads_one_stream(variant: str) -> None:
    """A wait polls a run at its start and at its end, which the one stream that it reads between them shows at once."""
    client, emulator = cursor(variant, life=("CREATING", "RUNNING", "FINISHED"), step_seconds=25.0)
    task = client.poll_task(client.create_task(SPEC).ref)
    polls, streams = (len(emulator.seen(name)) for name in ("list_runs", "stream_task"))

    assert ("succeeded", 1, 50.0) == (task.state.value, streams, client.clock.time() - task.created_at.timestamp())
    assert 2 == polls
