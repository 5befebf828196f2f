"""Every task that was recorded can be found and read again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coatcheck import (
    Attempt,
    Failure,
    History,
    HistoryFilter,
    Intent,
    Message,
    Outcome,
    Patch,
    PatchState,
    PermissionRequest,
    PullRequest,
    Task,
    TaskMessage,
    TaskRef,
    TaskState,
    errors,
)
from coatcheck._store import search
from coatcheck._store.journal import SubmissionJournal
from coatcheck.testing import FakeClock

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
DIFF = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new \xff\n"
DONE = TaskState.SUCCEEDED


def ref(number: int = 1) -> TaskRef:
    """Return a ref."""
    return TaskRef("toy", f"t{number}")


def outcome(text: str = "It is done.", **fields: Any) -> Outcome:
    """Return an outcome."""
    return Outcome(messages=(Message(text=text),), patch=Patch(DIFF), patch_state=PatchState.PRESENT, **fields)


def task(number: int = 1, state: TaskState = TaskState.RUNNING, **fields: Any) -> Task:
    """Return a task."""
    return Task(ref=ref(number), state=state, created_at=START + timedelta(minutes=number), **fields)


@pytest.fixture
def clock() -> FakeClock:
    """A clock."""
    return FakeClock()


@pytest.fixture
def history(location: str, clock: FakeClock) -> Iterator[History]:
    """A history."""
    history = History(location, clock=clock)
    yield history
    history.close()


def ids(history: History, filter: HistoryFilter | None = None, **options: Any) -> list[str]:
    """Return the ids."""
    return [entry.task.id for entry in history.list(filter, **options).items]


def test_a_task_is_read_as_it_was(history: History) -> None:
    """Prompt, messages, attempts and the bytes of the patch are read back; a service's raw response is not stored."""
    attempts = (Attempt(id="a", placement=0, state=DONE, outcome=outcome()),)
    done = task(state=DONE, prompt="Add dark mode", title="Dark", outcome=outcome(), attempts=attempts)
    history.record(done)
    entry = history.get(ref())

    assert entry is not None
    assert (done, True, DIFF) == (entry.task, entry.is_current, bytes(entry.task.outcome.patch))  # type: ignore[union-attr, arg-type]


def test_text_that_databases_refuse_is_stored(history: History) -> None:
    """NUL, a lone surrogate and the escape character survive in a title, a prompt, a message and an error."""
    text = "a\0b\ud800c\x1ad"
    odd = task(state=DONE, title=text, prompt=text, raw_state=text, error=Failure(message=text), outcome=outcome(text))
    history.record(odd)
    entry = history.get(ref())

    assert entry is not None
    assert odd == entry.task


def test_only_what_has_changed_is_written(history: History) -> None:
    """The same snapshot again writes neither a row nor an event."""
    written = [history.record(task(prompt="p")), history.record(task(prompt="p")), history.record(task(prompt="q"))]

    assert ([True, False, True], 1) == (written, len(history.events.read()))


def test_an_item_of_a_list_does_not_replace_a_result(history: History) -> None:
    """Fields that the item lacks are kept, and the entry is still current."""
    history.record(task(state=DONE, prompt="p", title="old", outcome=outcome()))
    history.record(task(state=DONE, title="new"))
    entry = history.get(ref())

    assert entry is not None
    assert ("new", "p", outcome(), True) == (entry.task.title, entry.task.prompt, entry.task.outcome, entry.is_current)


def test_a_permission_that_was_decided_is_not_kept(history: History) -> None:
    """It is true of a state alone, and ends with it."""
    history.record(task(1, TaskState.INPUT_REQUIRED, permission_requests=(PermissionRequest(id="p1", title="make"),)))
    waiting = history.get(ref())
    history.record(task())
    running = history.get(ref())

    assert waiting is not None
    assert running is not None
    assert (["make"], ()) == (
        [each.title for each in waiting.task.permission_requests],
        running.task.permission_requests,
    )


def test_a_task_that_runs_again_is_not_current(history: History) -> None:
    """A list that shows another state ends the validity of the stored result until the next result."""
    history.record(task(state=DONE, outcome=outcome()))
    validity = []
    for state, result in ((TaskState.RUNNING, None), (DONE, None), (DONE, outcome("Again."))):
        history.record(task(state=state, outcome=result))
        entry = history.get(ref())
        validity.append(entry is not None and entry.is_current)

    assert [False, False, True] == validity


def test_a_verb_that_changes_a_task_ends_its_validity(history: History) -> None:
    """After a message was sent the stored result may be old."""
    history.record(task(state=DONE, outcome=outcome()))
    history.invalidate(ref())
    entry = history.get(ref())

    assert entry is not None
    assert not entry.is_current


def test_after_a_verb_an_equal_snapshot_is_not_current(history: History) -> None:
    """A service may show a change some seconds after the request for it, so that only another snapshot is current."""
    history.record(task(state=DONE, outcome=outcome()))
    history.invalidate(ref())
    validity = []
    for fields in ({}, {"is_unread": False}, {"pull_requests": (PullRequest(number=1),)}):
        history.record(task(state=DONE, outcome=outcome(), **fields))
        entry = history.get(ref())
        validity.append(entry is not None and entry.is_current)

    assert [False, False, True] == validity


def test_events_are_written_with_the_change(history: History) -> None:
    """Each observed change of state is one event, in order, each once."""
    for state in (TaskState.QUEUED, TaskState.RUNNING, TaskState.RUNNING, DONE):
        history.record(task(state=state))

    assert ["task.submitted", "task.started", "task.succeeded"] == [each.event.type for each in history.events.read()]


def test_a_list_has_pages(history: History) -> None:
    """The last submitted is first, and every page continues the one before."""
    history.record_all(task(number) for number in (2, 4, 1, 3, 5))
    first = history.list(limit=2)
    second = history.list(limit=2, cursor=first.cursor)
    third = history.list(limit=2, cursor=second.cursor)

    assert [["t5", "t4"], ["t3", "t2"], ["t1"]] == [[e.task.id for e in page.items] for page in (first, second, third)]
    assert third.cursor is None


def test_a_list_is_filtered(history: History) -> None:
    """Each filter holds, and all of them together."""
    history.record(task(1, DONE, repository="o/a"))
    history.record(task(2, TaskState.FAILED, repository="o/b"))
    history.record(Task(ref=TaskRef("other", "t3"), state=DONE, created_at=START + timedelta(minutes=3)))
    filters = (
        HistoryFilter(provider="toy"),
        HistoryFilter(states=(DONE, TaskState.EXPIRED)),
        HistoryFilter(repository="o/b"),
        HistoryFilter(since=START + timedelta(minutes=2)),
        HistoryFilter(until=START + timedelta(minutes=2)),
        HistoryFilter(provider="toy", states=(DONE,), since=START, text="absent"),
    )

    assert [["t2", "t1"], ["t3", "t1"], ["t2"], ["t3", "t2"], ["t1"], []] == [ids(history, each) for each in filters]


@pytest.mark.parametrize("way", ["index", "scan"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dark", ["t2", "t1"]),
        ("DARK mode", ["t1"]),
        ("mo", ["t1"]),
        ("done", ["t2"]),
        ("café", ["t2"]),
        ("cafe'", ["t2"]),
        ("under_score", ["t1"]),
        ("修复", ["t2"]),
        ("ark", []),
        ('"dark" OR *', ["t1"]),
    ],
)
def test_texts_are_searched(
    history: History, monkeypatch: pytest.MonkeyPatch, query: str, expected: list[str], way: str
) -> None:
    """Title, prompt and messages, by beginnings of words, with and without an index."""
    if way == "scan":
        for module in ("search", "recorder"):
            monkeypatch.setattr(f"coatcheck._store.{module}.has_index", lambda _: False)
    history.record(task(1, title="Add Dark Mode", prompt="with under_score or so"))
    history.record(task(2, DONE, prompt="a darker Café", outcome=outcome("It is done 修复登录")))

    assert expected == [entry.task.id for entry in history.search(query).items]


@pytest.mark.parametrize("order", [range(30), range(29, -1, -1), [number * 7 % 30 for number in range(30)]])
@pytest.mark.parametrize("query", ["common", "word3", "word", "w", "common word1", "w3", "none", "common none"])
@pytest.mark.parametrize("first", [0, 10])
def test_pages_of_a_search_have_every_match_in_the_order_of_time(
    history: History, monkeypatch: pytest.MonkeyPatch, order: Sequence[int], query: str, first: int
) -> None:
    """In whatever order tasks were recorded, how many match, and how many words begin with the query's."""
    monkeypatch.setattr(search, "RECENT", 6)
    monkeypatch.setattr(search, "MOST_WORDS", 3)
    titles = {number: f"common word{number % 5} w{number}" for number in range(30)}
    history.record_all(task(number, title=titles[number]) for number in order)
    filter = HistoryFilter(since=START + timedelta(minutes=first))
    page = history.search(query, filter, limit=4)
    found = [entry.task.id for entry in page.items]
    while page.cursor is not None:
        page = history.search(query, filter, limit=4, cursor=page.cursor)
        found += [entry.task.id for entry in page.items]

    assert [f"t{number}" for number in range(29, first - 1, -1) if search.matches(titles[number], query)] == found


def test_an_empty_history_is_searched(history: History) -> None:
    """Before the first task there is no index, and no match."""
    assert () == tuple(history.search("before").items)


def test_what_was_recorded_without_an_index_is_indexed_later(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose SQLite lacks FTS5 loses nothing for the others."""
    history.record(task(1, prompt="before"))
    with monkeypatch.context() as patched:
        patched.setattr("coatcheck._store.recorder.has_index", lambda _: False)
        history.record(task(2, prompt="without before"))

    assert ["t2", "t1"] == [entry.task.id for entry in history.search("before").items]


def test_a_changed_text_is_searched_as_it_is_now(history: History) -> None:
    """Words that were removed no longer match."""
    history.record(task(title="first name"))
    history.record(task(title="second name"))

    assert (["t1"], [], ["t1"]) == tuple(ids(history, HistoryFilter(text=text)) for text in ("name", "first", "second"))


@pytest.mark.parametrize("query", ["", "  ", "--", "_"])
def test_a_query_without_a_word_is_an_error(history: History, query: str) -> None:
    """It would match everything or nothing."""
    with pytest.raises(errors.ConfigurationError) as caught:
        history.search(query)

    assert "has no word" in str(caught.value)


def test_the_same_text_is_stored_once(history: History) -> None:
    """A patch of two tasks is one blob, which is kept until neither has it."""
    for number in (1, 2):
        history.record(task(number, DONE, outcome=outcome(f"task {number}")))
    counts = [len(rows(history, "SELECT 1 FROM blob"))]
    for number in (1, 2):
        history.forget([ref(number)])
        counts.append(len(rows(history, "SELECT 1 FROM blob")))

    assert [3, 2, 0] == counts


def test_a_long_message_is_stored_once(history: History) -> None:
    """Its event and its result share a blob, which is kept while either has it; both are read as they were."""
    long = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(70_000)) + "\0\ud800"
    ended = task(state=DONE, outcome=Outcome(messages=(Message(text="short"), Message(text=long))))
    history.record(ended)
    entry, events = history.get(ref()), history.events.read()
    sizes = [rows(history, f"SELECT sum(length(data)) FROM {table}")[0][0] for table in ("blob", "event")]
    once = len(zlib.compress(long.encode("utf-8", "surrogatepass")))
    history.record(task(outcome=Outcome(messages=(Message(text="another turn"),)), follow_ups=1))
    kept = [each.event.text for each in history.events.read() if each.event.text == long]
    history.forget([ref()])

    assert (ended.outcome, ["short", long], [long], True, []) == (
        entry and entry.task.outcome,
        [each.event.message.text for each in events if each.event.type == "task.message"],
        kept,
        sizes[0] + sizes[1] < once + 1_000,
        rows(history, "SELECT 1 FROM blob"),
    )


def test_texts_of_events_are_kept_while_an_event_has_them(history: History) -> None:
    """A text that two tasks have is kept until both are forgotten, also where none of them has a result."""
    for number in (1, 2):
        history.events.append([TaskMessage(ref=ref(number), message=Message(text="long " * 200))])
    counts = []
    for number in (1, 2):
        history.forget([ref(number)])
        counts.append(len(rows(history, "SELECT 1 FROM blob")))

    assert [1, 0] == counts


def rows(history: History, query: str) -> list[Any]:
    """Return the rows of a query."""
    with history._database.reading() as transaction:
        return transaction.rows(query)


def test_what_is_forgotten_is_deleted(history: History) -> None:
    """The task, its events and its words are no longer found; other tasks are unchanged."""
    for number in (1, 2):
        history.record(task(number, DONE, prompt="words", outcome=outcome()))
    forgotten = history.forget([ref(1), ref(9)])
    kept = {str(each.event.ref) for each in history.events.read()}

    assert (1, None, ["t2"], {"toy:t2"}) == (
        forgotten,
        history.get(ref(1)),
        ids(history, HistoryFilter(text="words")),
        kept,
    )


def test_only_ended_tasks_are_pruned(history: History, clock: FakeClock) -> None:
    """A task that was recorded since, and one that may still change, are kept."""
    history.record(task(1, DONE))
    history.record(task(2))
    clock.advance(100)
    history.record(task(3, DONE))
    pruned = history.prune(datetime.fromtimestamp(clock.time() - 50, UTC))

    assert (1, ["t3", "t2"]) == (pruned, ids(history))


def test_metadata_holds_no_text(location: str) -> None:
    """Neither row, nor blob, nor event, nor index has a word that a person or an agent wrote."""
    secret = task(
        state=TaskState.FAILED, title="word", prompt="word", error=Failure(message="word"), progress="word",
        repository="o/r", outcome=outcome("word"),
    )  # fmt: skip
    history = History(location, level="metadata")
    history.record(secret)
    entry = history.get(ref())
    tables = ("task", "blob", "event", "submission")
    stored = repr([rows(history, f"SELECT * FROM {table}") for table in tables])
    matching = history.search("word").items
    history.close()

    assert entry is not None
    assert ("o/r", False, 1, ()) == (entry.task.repository, "word" in stored, stored.count("task.failed"), matching)


def test_off_records_nothing(location: str) -> None:
    """No database is created."""
    history = History(location, level="off")

    assert (False, 0) == (history.record(task()), history.record_all([task()]))


def test_a_level_that_does_not_exist_is_refused(location: str) -> None:
    """The message names those that do."""
    with pytest.raises(errors.ConfigurationError) as caught:
        History(location, level="some")  # type: ignore[arg-type]

    assert "full, metadata or off" in str(caught.value)


def test_a_cursor_is_passed_unchanged(history: History) -> None:
    """Anything else is one clear error."""
    with pytest.raises(errors.ConfigurationError) as caught:
        history.list(cursor="nonsense")

    assert "cursor" in str(caught.value)


def test_words_are_without_case_and_diacritics() -> None:
    """Letters and digits of every script are words; all else separates them; each word is there once."""
    assert ["2", "cafe", "straße".casefold(), "x", "修复"] == search.words_of("Café CAFÉ, straße_x 修复 2 x")


def test_an_exported_history_is_imported_equal(history: History, tmp_path: Path) -> None:
    """Tasks, bytes of patches, events and their times move to another store, and a second time changes nothing."""
    history.record(task(1, TaskState.QUEUED, prompt="a\0\ud800"))
    history.record(task(1, DONE, prompt="a\0\ud800", outcome=outcome()))
    history.record(task(2, title="second"))
    lines = list(history.export_lines())
    other = History(str(tmp_path / "other"))
    counts = [other.import_lines(lines), other.import_lines(lines)]
    again = list(other.export_lines())
    other.close()

    assert ([2, 0], lines) == (counts, again)


def test_an_import_does_not_replace_a_later_snapshot(history: History, clock: FakeClock) -> None:
    """What was recorded after the export is kept."""
    history.record(task(title="old"))
    lines = list(history.export_lines([ref()]))
    clock.advance(10)
    history.record(task(title="new"))
    count = history.import_lines(lines)

    assert (0, ["new"]) == (count, [entry.task.title for entry in history.list().items])


@pytest.mark.parametrize(
    "line", [b"nonsense", b"{}", b"[]", b'{"task": {}, "recorded_at": "x", "events": []}', b"\xff", b"[" * 100_000]
)
def test_a_line_that_cannot_be_read_is_named(history: History, tmp_path: Path, line: bytes) -> None:
    """The lines before it are stored."""
    history.record(task())
    lines = list(history.export_lines())
    other = History(str(tmp_path / "other"))
    with pytest.raises(errors.ConfigurationError) as caught:
        other.import_lines([*lines, b"\n", line])
    kept = ids(other)
    other.close()

    assert (True, ["t1"]) == (str(caught.value).startswith("line 3 is not"), kept)


def test_tasks_are_found_by_the_beginning_of_their_ids(history: History) -> None:
    """`find_refs` returns the refs whose ids begin so, of one provider or of all."""
    others = [TaskRef("toy", "x_%"), TaskRef("toy", "x_1"), TaskRef("jules", "x_1")]
    history.record_all(Task(ref=each, state=DONE) for each in (*others, ref()))

    assert (tuple(sorted(others, key=str)), (others[0],), (others[2],), ()) == (
        tuple(sorted(history.find_refs("x_"), key=str)),
        history.find_refs("x_%"),
        history.find_refs("x_", provider="jules"),
        history.find_refs("y"),
    )


def submit(location: str, number: int = 1) -> None:
    """Write a submission into the journal, as a client without a history does."""
    journal = SubmissionJournal.at(location)
    intent = Intent(
        id=f"i{number}", provider="toy", digest="d", at=1000.0 + number, summary="Add dark mode", branch="main"
    )
    journal.begin(intent)
    journal.settle(intent, ref(number))
    journal.close()


def test_a_submission_that_no_call_recorded_is_listed(location: str, history: History) -> None:
    """A task of the journal is in the list with the beginning of its prompt, until a call observes it."""
    submit(location)
    unknown = history.list().items[0].task
    history.record(task(state=DONE, title="The title", outcome=outcome()))

    assert (TaskState.UNKNOWN, "Add dark mode", "main") == (unknown.state, unknown.title, unknown.branch)
    assert ["The title"] == [entry.task.title for entry in history.list().items]
    assert ["task.message", "task.succeeded"] == [each.event.type for each in history.events.read()]


def test_a_submission_that_was_forgotten_is_not_listed_again(location: str, history: History) -> None:
    """The journal keeps that the task was submitted; the list does not show it."""
    submit(location)
    history.list()
    history.forget([ref()])

    assert () == history.list().items


def test_with_off_no_submission_is_listed(location: str) -> None:
    """A history that records nothing does not take tasks from the journal either."""
    submit(location)
    history = History(location, level="off")

    assert () == history.list().items


def test_only_stored_tasks_are_exported(history: History) -> None:
    """A ref that is not stored is an error, not a shorter file."""
    with pytest.raises(errors.ConfigurationError) as caught:
        list(history.export_lines([ref(9)]))

    assert "toy:t9 is not in the history" == str(caught.value)
