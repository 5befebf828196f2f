"""The log of events: its order, its resumption, and every event as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from coatcheck import (
    Artifact,
    DiffStats,
    Failure,
    FleetDone,
    ItemEnded,
    Message,
    Notice,
    Plan,
    PlanStep,
    TaskDiff,
    TaskFailed,
    TaskLog,
    TaskMessage,
    TaskNotice,
    TaskPlan,
    TaskProgress,
    TaskRef,
    TaskState,
    TaskTool,
    UnknownEvent,
)
from coatcheck._model.event_base import SubjectEvent
from coatcheck._model.events import EVENT_TYPES, AnyEvent, StateEvent, TaskAttempt
from coatcheck._protocol.effects import Call, Emit, Sleep
from coatcheck._store.database import Database
from coatcheck._store.events import LAST_OF_KIND, PAGE, EventLog
from coatcheck._store.text import escape, unescape

REF = TaskRef("toy", "t1")
MOMENT = datetime(2026, 11, 28, 9, tzinfo=UTC)
FIELDS = {
    TaskMessage: {"message": Message(text="a\0\ud800")},
    TaskNotice: {"notice": Notice(kind="usage", text="much")},
    TaskDiff: {"stats": DiffStats(files=1, added=2, removed=3)},
    TaskPlan: {"plan": Plan(id="p", steps=(PlanStep(title="one"),)), "is_approved": True},
    TaskTool: {"artifacts": (Artifact(kind="media", content=b"\xff\0", media_type="image/png"),)},
    TaskLog: {"source": "stderr", "text": "line"},
    TaskFailed: {"state": TaskState.FAILED, "error": Failure(code="c", message="m")},
    UnknownEvent: {"kind": "task.dreamed", "data": {"deep": [1, None, "x"]}},
}

VALUES: Mapping[str, object] = {
    "at": MOMENT,
    "expires_at": MOMENT,
    "until": MOMENT,
    "seconds": 1.5,
    "is_passed": True,
    "candidates": 3,
    "ref": "toy:t1",
}


def event_of(kind: type[AnyEvent]) -> AnyEvent:
    """Return an event of a class, with its own fields filled."""
    if issubclass(kind, SubjectEvent):
        fields = {name: VALUES.get(name, f"a {name}") for name in kind.__struct_fields__}
        return kind(**fields)  # type: ignore[arg-type]
    state = {"state": TaskState.RUNNING} if issubclass(kind, StateEvent | TaskAttempt) else {}
    return kind(ref=REF, id="cursor", at=MOMENT, attempt=2, **(state | FIELDS.get(kind, {})))  # type: ignore[arg-type]


def progress(text: str, ref: TaskRef = REF) -> TaskProgress:
    """Return an event."""
    return TaskProgress(ref=ref, text=text)


@pytest.fixture
def log(database: Database) -> EventLog:
    """An event log."""
    return EventLog(database, time=lambda: 5.0)


def test_every_event_is_read_as_it_was(log: EventLog) -> None:
    """Each class of the union, with its fields, the cursor of the service, and text that databases refuse."""
    events = [event_of(kind) for kind in EVENT_TYPES.values()]
    log.append(events)

    assert events == [each.event for each in log.read()]


def test_a_type_of_a_newer_version_is_kept(log: EventLog, database: Database) -> None:
    """It is an unknown event with its data, for any subject."""
    with database.writing() as transaction:
        transaction.change("INSERT INTO subject (name) VALUES ('gate:1')")
        transaction.change(
            "INSERT INTO event (at, kind, subject, data) SELECT 5.0, 'gate.painted', number, ? FROM subject",
            (b'{"deadline":7}',),
        )
    (event,) = (each.event for each in log.read(subject="gate:1"))

    assert isinstance(event, UnknownEvent)
    assert event.subject == "gate:1"
    assert ("gate.painted", 7) == (event.kind, event.data["deadline"])  # type: ignore[index]


def test_reading_continues_after_an_id(log: EventLog) -> None:
    """Reading in parts yields what reading once does, for one task as for all."""
    log.append(progress(str(number), TaskRef("toy", f"t{number % 2}")) for number in range(7))
    last, texts = 0, []
    while part := log.read(after=last, limit=3):
        texts += [each.event.text for each in part]
        last = part[-1].id

    assert ["0", "1", "2", "3", "4", "5", "6"] == texts
    assert ["1", "3", "5"] == [each.event.text for each in log.read(subject=TaskRef("toy", "t1"))]


def test_events_are_selected_by_their_subject(log: EventLog) -> None:
    """An event of a fleet that names a task is about the fleet."""
    ended = ItemEnded(subject="fleet:typing", fleet="typing", item="api core", ref="toy:t1", state="succeeded")
    log.append([progress("one"), ended, FleetDone(subject="fleet:typing", fleet="typing")])
    kinds = {name: [each.event.type for each in log.read(subject=name)] for name in ("toy:t1", "fleet:typing")}

    assert {"toy:t1": ["task.progress"], "fleet:typing": ["item.ended", "fleet.done"]} == kinds


def test_an_id_is_never_used_again(log: EventLog, database: Database) -> None:
    """Not even that of the newest event, once it was deleted."""
    first = log.append([progress("first")])[0]
    with database.writing() as transaction:
        transaction.change("DELETE FROM event")
    second = log.append([progress("second")])[0]

    assert (True, second, second) == (second > first, log.oldest_id(), log.newest_id())


def test_an_empty_log_has_no_ids(log: EventLog) -> None:
    """Both ends are 0, before every id."""
    assert (0, 0) == (log.oldest_id(), log.newest_id())


def follow(log: EventLog, sleeps: int, at_sleep: Callable[[int], None]) -> Iterator[str]:
    """Drive a follower through a number of sleeps; yield "sleep" or the text of an event for each effect."""
    script = log.follow()
    effect = next(script)
    while True:
        if isinstance(effect, Call):
            effect = script.send(effect.function())
            continue
        if isinstance(effect, Sleep):
            yield "sleep"
            sleeps -= 1
            if not sleeps:
                return
            at_sleep(sleeps)
        elif isinstance(effect, Emit):
            yield effect.value.event.text
        effect = next(script)


def test_a_follower_sleeps_between_readings(log: EventLog) -> None:
    """It emits the stored events, and those that another connection stores meanwhile; it never reads in a busy loop."""
    log.append([progress("first"), progress("second")])

    assert ["first", "second", "sleep", "at 2", "sleep", "at 1", "sleep"] == list(
        follow(log, 3, lambda left: log.append([progress(f"at {left}")]) and None)
    )


def test_a_follower_reads_a_backlog_without_sleeping(log: EventLog) -> None:
    """More events than one reading returns are emitted at once."""
    log.append(progress("x") for _ in range(PAGE + 1))

    assert ["x"] * (PAGE + 1) + ["sleep"] == list(follow(log, 1, lambda _: None))


def test_a_reader_skips_no_event_of_two_writers(connect: Callable[[], Database]) -> None:
    """Ids are in the order of commits: a reader that continues after its last id gets every event."""
    writers, total = 2, 2500 if connect().dialect == "postgres" else 150  # two events each time
    done = threading.Event()
    seen: list[int] = []

    def write(name: int) -> None:
        log = EventLog(connect(), time=lambda: 5.0)
        for number in range(total):
            log.append([progress(f"{name} {number}"), progress(f"{name} {number}")])

    def read() -> None:
        log, last = EventLog(connect(), time=lambda: 5.0), 0
        while True:
            is_last = done.is_set()
            for event in log.read(after=last):
                seen.append(event.id)
                last = event.id
            if is_last and log.newest_id() == last:
                return

    EventLog(connect(), time=lambda: 5.0).append([])
    threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
    reader = threading.Thread(target=read)
    for thread in (*threads, reader):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()

    assert 2 * writers * total == len(set(seen))


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\0\x1a\ud800\udfff0a")))
def test_text_is_escaped_without_loss(text: str) -> None:
    """Stored text is UTF-8 without NUL, and is read back equal."""
    stored = escape(text)

    assert (text, False, stored) == (unescape(stored), "\0" in stored, stored.encode().decode())


def test_pages_of_some_kinds_have_each_event_once(log: EventLog) -> None:
    """Events of the chosen kinds come newest first, page by page, without others between them and without a gap."""
    kinds = ("fleet.done", "task.log", "task.diff")
    for number in range(30):
        log.append([event_of(EVENT_TYPES[(*kinds, "task.plan")[number % 4]])])
    seen: list[int] = []
    while page := log.before(seen[-1] if seen else None, kinds=kinds, limit=4):
        seen += [each.id for each in page]
    chosen = [each.id for each in log.read() if each.event.type in kinds]

    assert chosen[::-1] == seen


def test_a_page_of_some_kinds_reads_by_the_index(connect: Callable[[], Database], log: EventLog) -> None:
    """SQLite searches the index of kinds, and scans no table of events."""
    plan = "EXPLAIN QUERY PLAN "
    with connect().reading() as transaction:
        if transaction.dialect != "sqlite":
            pytest.skip("PostgreSQL plans by statistics")
        rows = transaction.rows(f"{plan}{LAST_OF_KIND}", ("task.log", 9, 1))
    steps = [row[-1] for row in rows if " event" in row[-1]]

    assert ["SEARCH event USING COVERING INDEX event_kind (kind=? AND id<?)"] == steps
