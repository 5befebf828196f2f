"""Events of the local cloud arrive while its agents write, once each, in order, after any interruption."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from coatcheck._model.events import event_from_dict
from coatcheck.cloud import task_store
from coatcheck.cloud.task_events import OUTPUT_LIMIT
from coatcheck.cloud.task_store import Store

from .event_support import StreamStatusError, server, summary

SCRIPT = 'echo one; echo oops >&2; until read x < "$1"; do :; done; echo two; echo more >> README.md'


def test_output_arrives_while_the_agent_runs(tmp_path: Path) -> None:
    """A line of stdout is a message and a line of stderr a log before the agent ends; the end is the last event."""
    with server(tmp_path, SCRIPT) as cloud:
        task = cloud.submit()
        with closing(cloud.events(f"/tasks/{task}/events")) as events:
            early = [summary(next(events)) for _ in range(4)]
            cloud.release()
            late = [summary(event) for event in events]
    expected = (
        [("task.submitted", None), ("task.started", None), ("task.log", "oops"), ("task.message", "one")],
        [("task.message", "two"), ("task.diff", None), ("task.succeeded", None)],
    )

    assert expected == ([*early[:2], *sorted(early[2:])], late)


def test_a_reader_resumes_after_every_event(tmp_path: Path) -> None:
    """Reading up to any id, and from it, gives the same list as reading once, also from another server process."""
    with server(tmp_path, "seq 5") as cloud:
        task = cloud.submit()
        path = f"/tasks/{task}/events"
        whole = list(cloud.events(path))
    with server(tmp_path, "seq 5") as cloud:
        rests = [list(cloud.events(path, after=event.id)) for event in whole[:-1]]

    assert [whole[number + 1 :] for number in range(len(whole) - 1)] == rests


def test_a_reader_of_everything_is_told_to_stop(tmp_path: Path) -> None:
    """After the last event of an ended task the answer is 204."""
    with server(tmp_path, "true") as cloud:
        path = f"/tasks/{cloud.submit()}/events"
        last = list(cloud.events(path))[-1].id
        with pytest.raises(StreamStatusError) as caught:
            next(cloud.events(path, after=last))

    assert (204,) == caught.value.args


def test_events_that_are_not_kept_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id before the oldest kept event is answered with 410; without an id the kept ones follow."""
    monkeypatch.setattr(task_store, "MAX_EVENTS", 4)
    with server(tmp_path, "seq 9") as cloud:
        path = f"/tasks/{cloud.submit()}/events"
        cloud.until(path, lambda event: event["type"] == "task.succeeded")
        kept = [summary(event) for event in cloud.events(path)]
        with pytest.raises(StreamStatusError) as caught:
            next(cloud.events(path, after="2"))
    expected = [("task.message", "7"), ("task.message", "8"), ("task.message", "9"), ("task.succeeded", None)]

    assert (expected, (410,)) == (kept, caught.value.args)


def test_the_stream_of_all_tasks_has_the_events_of_each(tmp_path: Path) -> None:
    """Each event names its task, and ids grow over all of them."""
    with server(tmp_path, "echo hello") as cloud:
        first, second = cloud.submit(), cloud.submit()
        ids, ended = list[int](), set[str]()
        with closing(cloud.events("/events")) as events:
            while ended != {f"local:{first}", f"local:{second}"}:
                document = msgspec.json.decode(next(events).data)
                ids.append(int(document["id"]))
                ended |= {document["ref"]} if document["type"] == "task.succeeded" else set()

    assert sorted(set(ids)) == ids


@pytest.mark.parametrize("path", ["/events", "/tasks/TASK/events", "/tasks/TASK/diff", "/tasks/none/events"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_route_demands_a_token(path: str, token: str, tmp_path: Path) -> None:
    """Without a token of this server the answer is 401 and a problem document, whether the task exists or not."""
    with server(tmp_path, "true") as cloud:
        status, headers, _ = cloud.ask(path.replace("TASK", cloud.submit()), token=token)

    assert (401, "application/problem+json") == (status, headers["content-type"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tasks/none/events", 404),
        ("/tasks/none/diff", 404),
        ("/tasks/TASK/diff?attempt=2", 404),
        ("/tasks/TASK/diff?attempt=0", 400),
        ("/tasks/TASK/diff?attempt=x", 400),
        ("/tasks/TASK/diff?attempt=\u0661".encode("unicode_escape").decode(), 400),
    ],
)
def test_a_wrong_request_gets_a_problem_document(path: str, expected: int, tmp_path: Path) -> None:
    """The status says whether the request or the id is wrong."""
    with server(tmp_path, "true") as cloud:
        status, headers, _ = cloud.ask(path.replace("TASK", cloud.submit()))

    assert (expected, "application/problem+json") == (status, headers["content-type"])


def test_hostile_output_is_bounded_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, control sequences, line ends of Unicode and long lines become text of one event."""
    script = r"""printf '\377\033[2Jdata: x\r\n\342\200\250id: 7\000\n'; head -c 50000 /dev/zero | tr '\0' x"""
    with server(tmp_path, script) as cloud:
        events = list(cloud.events(f"/tasks/{cloud.submit()}/events"))
    texts = [text for kind, text in map(summary, events) if kind == "task.message"]

    assert ["\ufffddata: x\r", "\u2028id: 7", "x" * 10_000] == [text[:10_001] for text in texts if text]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["yes | head -n 9000", "yes $(seq -s . 1500) | head -n 900 >&2", "seq 12000 >&2"])
def test_an_agent_that_writes_without_end_fills_no_disk(script: str, tmp_path: Path) -> None:
    """After 5,000 lines or a million characters one event says that there is more."""
    with server(tmp_path, script) as cloud:
        output = [text or "" for _, text in map(summary, cloud.all_events(f"/tasks/{cloud.submit()}/events"))]
    is_bounded = len(output) <= 5005 and sum(map(len, output)) <= 1024 * 1024 + len(OUTPUT_LIMIT)

    assert (True, 1) == (is_bounded, output.count(OUTPUT_LIMIT))


def test_every_event_is_one_of_the_union(tmp_path: Path) -> None:
    """The data of each event is a document of `TaskEvent` with the id of the event, and is read back."""
    with server(tmp_path, SCRIPT + "; exit 3") as cloud:
        task = cloud.submit()
        cloud.until(f"/tasks/{task}/events", lambda event: event["type"] == "task.message")
        cloud.release()
        events = list(cloud.events(f"/tasks/{task}/events"))
    read = [event_from_dict(msgspec.json.decode(event.data)) for event in events]

    assert [(event.event, event.id, f"local:{task}") for event in events] == [
        (event.type, event.id, str(event.ref)) for event in read
    ]


def test_attempts_are_told_apart(tmp_path: Path) -> None:
    """Lines name their attempt, each attempt's end is an event, and the end of the task is the last one."""
    with server(tmp_path, 'echo "attempt $COATCHECK_ATTEMPT"') as cloud:
        events = list(cloud.events(f"/tasks/{cloud.submit(attempts=2)}/events"))
    documents = [msgspec.json.decode(event.data) for event in events]
    lines = {(each["attempt"], each["text"]) for each in documents if each["type"] == "task.message"}
    ends = [each["attempt"] for each in documents if each["type"] == "task.attempt" and each["state"] == "succeeded"]

    assert ({(1, "attempt 1"), (2, "attempt 2")}, [1, 2], "task.succeeded") == (lines, sorted(ends), events[-1].event)


def test_a_report_is_a_message_after_the_output(tmp_path: Path) -> None:
    """A message that the agent reports and has not printed is an event before the end."""
    script = """echo printed; printf '{"message": "reported"}' > "$COATCHECK_RESULT" """
    with server(tmp_path, script) as cloud:
        events = [summary(event) for event in cloud.events(f"/tasks/{cloud.submit()}/events")]

    assert [("task.message", "printed"), ("task.message", "reported"), ("task.succeeded", None)] == events[2:]


def test_the_events_of_a_deleted_task_are_deleted(tmp_path: Path) -> None:
    """After the task is deleted no event of it is in the database."""
    with server(tmp_path, "echo secret") as cloud:
        task = cloud.submit()
        list(cloud.events(f"/tasks/{task}/events"))
        cloud.ask(f"/backend-api/wham/tasks/{task}", method="DELETE")
    with closing(sqlite3.connect(tmp_path / "data/cloud.sqlite3")) as database:
        left = database.execute("SELECT count(*) FROM events").fetchone()

    assert (0,) == left


def test_a_database_of_the_first_version_gets_events(tmp_path: Path) -> None:
    """The tasks of an older server are kept, and the table of events is added."""
    path = tmp_path / "cloud.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"{task_store.SCHEMA} PRAGMA user_version = 1")
    store = Store(path)
    store.open()
    bounds = store.event_bounds()
    store.close()

    assert (1, 0, False) == bounds


def test_the_diff_of_a_running_agent_grows(tmp_path: Path) -> None:
    """Each request shows the clone as it is then, files that are new and changed included; at the end it is the result."""
    script = 'echo 1 > new.txt; echo ready; until read x < "$1"; do :; done; echo 2 >> new.txt; echo ready; until read x < "$1"; do :; done'
    with server(tmp_path, script) as cloud:
        task = cloud.submit()
        seen = []
        with closing(cloud.events(f"/tasks/{task}/events")) as events:
            for _ in range(2):
                next(event for event in events if summary(event) == ("task.message", "ready"))
                seen.append(cloud.ask(f"/tasks/{task}/diff")[2].decode())
                cloud.release()
            next(event for event in events if event.event == "task.succeeded")
        seen.append(cloud.ask(f"/tasks/{task}/diff")[2].decode())

    assert [["+1"], ["+1", "+2"], ["+1", "+2"]] == [
        [line for line in diff.splitlines() if line[:1] == "+" and line[:3] != "+++"] for diff in seen
    ]


HOSTILE = r"""
mkfifo pipe; ln -s /etc/passwd link; ln -s / folder; chmod 000 README.md; mkdir -p inner closed; echo x > closed/x; chmod 000 closed; git -C inner init -q
echo "touch $1.owned" > .git/hooks/post-index-change; chmod +x .git/hooks/*
git config core.fsmonitor "touch $1.owned; false"; git -C inner config core.fsmonitor "touch $1.owned; false"
git config filter.x.clean "touch $1.owned; cat"; git config diff.x.textconv "touch $1.owned; cat"
echo '* filter=x diff=x' > .gitattributes; echo kept > kept.txt; echo ready; until read x < "$1"; do :; done
stat -c %a README.md; ls -A | sort | tr '\n' ' '; echo; cat .git/config | grep -c touch
"""


def test_a_hostile_clone_executes_nothing_and_is_left_alone(tmp_path: Path) -> None:
    """No hook, filter or monitor of the clone is executed for its diff, no link is followed, and nothing in it changes."""
    with server(tmp_path, HOSTILE) as cloud:
        task = cloud.submit()
        path = f"/tasks/{task}/events"
        cloud.until(path, lambda event: event["text"] == "ready")
        status, _, diff = cloud.ask(f"/tasks/{task}/diff")
        cloud.release()
        lines = [text for kind, text in map(summary, cloud.events(path)) if kind == "task.message"]
    names = ".git .gitattributes README.md folder index.html inner kept.txt link pipe style.css"
    unchanged = ("0" in lines, "3" in lines, sum(set((line or "").split()) >= set(names.split()[:4]) for line in lines))

    assert (200, True, False, (True, True, 1), False) == (
        status,
        b"+kept" in diff,
        b"root:" in diff or b"deleted" in diff,
        unchanged,
        Path(f"{cloud.fifo}.owned").exists(),
    )


def test_a_clone_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is 503 with the reason and a time, and the result at the end is not affected."""
    monkeypatch.setattr("coatcheck.cloud.tree_copy.MAX_FILES", 3)
    with server(tmp_path, 'echo x > x; echo ready; until read x < "$1"; do :; done') as cloud:
        task = cloud.submit()
        cloud.until(f"/tasks/{task}/events", lambda event: event["text"] == "ready")
        status, headers, body = cloud.ask(f"/tasks/{task}/diff")
        cloud.release()
        end = cloud.until(f"/tasks/{task}/events", lambda event: event["type"] == "task.succeeded")

    assert (503, "5", True, "succeeded") == (status, headers["retry-after"], b"too many files" in body, end["state"])


def test_the_size_of_a_change_is_an_event_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of a running task gets its size before the agent ends."""
    monkeypatch.setattr("coatcheck.cloud.size_events.SizeEvents.__init__.__kwdefaults__", {"interval": 0.05})
    with server(tmp_path, 'echo 1 > new.txt; until read x < "$1"; do :; done') as cloud:
        task = cloud.submit()
        size = cloud.until(f"/tasks/{task}/events", lambda event: event["type"] == "task.diff")["stats"]
        cloud.release()

    assert {"files": 1, "added": 1, "removed": 0} == {name: size[name] for name in ("files", "added", "removed")}
