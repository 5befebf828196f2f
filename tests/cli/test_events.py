"""`events` prints what the store has, and `watch --resume` continues after it."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.cli.cli_support import Cli

from coatcheck._app.stored_events import StoredEvents
from coatcheck._engine.event_diff import SeenState
from coatcheck._model.events import TaskLog, TaskMessage, TaskSucceeded
from coatcheck._model.fleet_events import FleetDone
from coatcheck._model.outcome import Message, Outcome
from coatcheck._model.states import TaskState
from coatcheck._model.tasks import Task, TaskRef
from coatcheck._runtime.config import Config, state_dir
from coatcheck._store.events import EventLog
from coatcheck._store.history import History
from coatcheck._store.location import open_database
from coatcheck.testing import FakeClock

ONE, TWO = TaskRef("local", "one"), TaskRef("local", "two")


def store(cli: Cli, *events: object) -> None:
    """Store events."""
    with closing(open_database(state_dir(cli.environ))) as database:
        EventLog(database, time=cli.clock.time).append(events)


def log(ref: TaskRef, text: str, *, position: str = "") -> TaskLog:
    """An event log."""
    return TaskLog(ref=ref, text=text, id=SeenState(memory=position).to_cursor(), at=datetime.fromtimestamp(0, UTC))


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Store events of two tasks."""
    store(cli, log(ONE, "a"), log(TWO, "b"), TaskSucceeded(ref=ONE, state=TaskState.SUCCEEDED))
    return cli


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), [1, 2, 3]),
        (("local:one",), [1, 3]),
        (("--after", "1"), [2, 3]),
        (("--after", "0", "--limit", "2"), [1, 2]),
        (("--limit", "2"), [2, 3]),
        (("--after", "3"), []),
    ],
)
def test_events_are_chosen_by_task_and_number(filled: Cli, arguments: tuple[str, ...], expected: list[int]) -> None:
    """Without --after they are the last ones, and in the order in which they were stored."""
    lines = filled("events", "--json", *arguments).out.splitlines()

    assert expected == [msgspec.json.decode(line)["id"] for line in lines]


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        (
            "local:three",
            "no events of local:three are stored; get the task from its service with: coatcheck show local:three",
        ),
        ("locl:one", "there is no provider 'locl'"),
    ],
)
def test_events_of_an_unknown_task_are_an_error(filled: Cli, ref: str, line: str) -> None:
    """The line names the task, or the provider that does not exist."""
    done = filled("events", ref)

    assert done.code != 0
    assert line == done.line[: len(line)]


def test_events_are_lines_with_their_task(filled: Cli) -> None:
    """The text form names the task unless one was given."""
    shown = [filled("events", *arguments).out.splitlines()[0].split("  ")[1:] for arguments in ((), ("local:one",))]

    assert [["local:one", "log", "a"], ["log", "a"]] == shown


def test_events_of_a_fleet_are_chosen_by_its_name(filled: Cli) -> None:
    """Their line names the fleet unless it was given."""
    store(filled, FleetDone(subject="fleet:typing", fleet="typing", text="all delivered"))
    lines = [filled("events", *arguments).out.splitlines()[-1] for arguments in ((), ("fleet:typing",))]
    shown = [line.split("  ")[1:] for line in lines]

    assert [["fleet:typing", "fleet.done", "all delivered"], ["fleet.done", "all delivered"]] == shown


def test_reading_creates_no_store(cli: Cli) -> None:
    """Without a store there are no events, and none is created."""
    done = cli("events")

    assert (0, "", False) == (done.code, done.out, Path(state_dir(cli.environ)).exists())


def test_following_prints_what_another_process_stores(cli: Cli) -> None:
    """Events that are stored during a pause are printed after it, once, in order."""
    texts = iter(["a", "b"])
    clock = FakeClock()

    def sleep(seconds: float) -> None:
        text = next(texts, None)
        if text is None:
            raise KeyboardInterrupt
        store(cli, log(ONE, text))

    seen = []
    with closing(StoredEvents(Config(environ=cli.environ), clock=clock)) as events, suppress(KeyboardInterrupt):
        for each in events.follow(after=0, subject=None, sleep=sleep):
            seen.append(each.event.text)  # noqa: PERF401 - kept although the loop is interrupted

    assert ["a", "b"] == seen


def test_events_that_were_deleted_are_named(filled: Cli) -> None:
    """A number before the oldest kept event is answered with a note on standard error."""
    with closing(open_database(state_dir(filled.environ))) as database, database.writing(is_durable=False) as change:
        change.change("DELETE FROM event WHERE id <= ?", (2,))
    done = filled("events", "--after", "1")

    assert (1, "Events after 1 were deleted; the oldest that is kept follows.\n") == (done.out.count("\n"), done.err)


def test_a_watch_continues_after_the_stored_events(cli: Cli) -> None:
    """The cursor has what the last event has seen, and the newest position of the stream."""
    last = TaskSucceeded(ref=ONE, state=TaskState.SUCCEEDED, id=SeenState(state="succeeded", messages=2).to_cursor())
    store(cli, log(ONE, "a", position="7"), log(ONE, "b", position="9"), log(TWO, "c", position="30"), last)
    with closing(StoredEvents(Config(environ=cli.environ), clock=FakeClock())) as events:
        cursors = [events.cursor(ref) for ref in (ONE, TaskRef("local", "three"))]

    assert [SeenState(state="succeeded", messages=2, memory="9").to_cursor(), None] == cursors


def test_an_event_of_a_stream_is_stored_once(cli: Cli) -> None:
    """A second watch of the same events stores none of them again."""
    for _ in range(2):
        with closing(StoredEvents(Config(environ=cli.environ), clock=FakeClock())) as events:
            for position in ("1", "2"):
                events.record(log(ONE, position, position=position))
            stored = [each.event.text for each in events.read(after=0, subject=ONE, limit=9)]

    assert ["1", "2"] == stored


def test_an_event_of_the_stream_alone_is_stored_with_a_cursor(cli: Cli) -> None:
    """`watch --stream` has the ids of the service, after which both forms of a watch continue."""
    raw = TaskLog(ref=ONE, text="raw", id="42")
    store(cli, log(ONE, "a", position="7"))
    with closing(StoredEvents(Config(environ=cli.environ), clock=FakeClock())) as events:
        for _ in range(2):
            events.record(raw)
        seen = (events.cursor(ONE), events.error, len(events.read(after=0, subject=ONE, limit=9)))

    assert (SeenState(memory="42").to_cursor(), None, 2) == seen


def test_a_stored_event_whose_id_is_no_cursor_is_not_continued(cli: Cli) -> None:
    """A watch continues after the last event that has a cursor."""
    store(cli, log(ONE, "a", position="7"), TaskLog(ref=ONE, text="raw", id="42"))
    with closing(StoredEvents(Config(environ=cli.environ), clock=FakeClock())) as events:
        cursor = events.cursor(ONE)

    assert SeenState(memory="7").to_cursor() == cursor


@pytest.mark.parametrize("level", ["metadata", "off"])
def test_nothing_an_agent_wrote_is_stored_without_full_history(cli: Cli, level: str) -> None:
    """The setting `history` holds for events of streams."""
    config = Config(environ={**cli.environ, "COATCHECK_HISTORY": level})
    with closing(StoredEvents(config, clock=FakeClock())) as events:
        events.record(log(ONE, "secret", position="1"))
        stored = events.read(after=0, subject=None, limit=9)

    assert [] == list(stored)


@pytest.mark.parametrize("arguments", [("--after", "x", "local:a"), ("local:a", "local:b")])
def test_resume_is_for_one_task_alone(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Anything else is bad usage, before any request."""
    assert 2 == cli("watch", "--resume", *arguments).code


def test_a_service_without_running_diffs_is_refused(cli: Cli) -> None:
    """`watch --diff` needs a service that shows the diff of a running attempt."""
    done = cli("watch", "--diff", "codex:task_e_1")

    assert (2, True) == (done.code, "does not support `watch --diff`" in done.err)


def test_without_events_a_line_says_so(cli: Cli) -> None:
    """Where nothing is stored the output is empty, and stderr has a line."""
    done = cli("events")

    assert (0, "", "No events are stored.\n") == (done.code, done.out, done.err)


def message(text: str, *, position: str = "", attempt: int | None = None) -> TaskMessage:
    """The event of a message."""
    id = SeenState(memory=position).to_cursor()
    return TaskMessage(ref=ONE, text=text, id=id, attempt=attempt, message=Message(text=text))


def test_two_watches_at_once_store_each_event_once(cli: Cli) -> None:
    """Whichever is first; each reads what the other has stored meanwhile."""
    config = Config(environ=cli.environ)
    with (
        closing(StoredEvents(config, clock=FakeClock())) as one,
        closing(StoredEvents(config, clock=FakeClock())) as two,
    ):
        for position in ("1", "2", "3"):
            for each in (one, two) if position == "2" else (two, one):
                each.record(message(position, position=position))
        stored = [each.event.text for each in one.read(after=0, subject=ONE, limit=9)]

    assert ["1", "2", "3"] == stored


def test_a_message_that_a_poll_has_stored_is_not_stored_from_the_stream(cli: Cli) -> None:
    """Neither whole nor paragraph by paragraph; other messages, and a repetition of the agent's, are."""
    store(cli, message("zero", position="1"), message("one\n\ntwo"))
    streamed = ["one", "two", "one", "three"]
    with closing(StoredEvents(Config(environ=cli.environ), clock=FakeClock())) as events:
        for number, text in enumerate(streamed, 2):
            events.record(message(text, position=str(number)))
        stored = [each.event.text for each in events.read(after=0, subject=ONE, limit=9)]

    assert ["zero", "one\n\ntwo", "one", "three"] == stored


@pytest.mark.parametrize(
    ("streamed", "result", "expected"),
    [
        ([], ["one"], ["one"]),
        ([(1, "one")], ["one"], []),
        ([(1, "one"), (1, "two")], ["one\n\ntwo"], []),
        ([(1, "zero"), (1, "one")], ["one\n\ntwo"], ["two"]),
        ([(1, "one"), (2, "other"), (1, "two")], ["one\n\ntwo"], []),
        ([(1, "one")], ["one", "one"], ["one"]),
        ([(1, "one"), (1, "one")], ["one", "one"], []),
        ([(None, "one")], ["zero", "one"], ["zero"]),
    ],
)
def test_a_message_of_the_stream_is_not_stored_from_a_poll(
    cli: Cli, streamed: list[tuple[int | None, str]], result: list[str], expected: list[str]
) -> None:
    """The event of a poll has only what the stream of an attempt has not brought; a second poll stores nothing."""
    events = [message(text, position=str(n), attempt=attempt) for n, (attempt, text) in enumerate(streamed, 1)]
    outcome = Outcome(messages=tuple(Message(text=text) for text in result))
    store(cli, *events)
    with closing(History(state_dir(cli.environ), clock=cli.clock)) as history:
        for _ in range(2):
            history.record(Task(ref=ONE, state=TaskState.SUCCEEDED, outcome=outcome))
    with closing(open_database(state_dir(cli.environ))) as database:
        read = EventLog(database, time=cli.clock.time).read(family="task.message")
        stored = [each.event.text for each in read][len(streamed) :]

    assert expected == stored
