"""The history: tasks are recorded by every command, and read again without the network."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import Cli, Result

from coatcheck import History, errors
from coatcheck._store.sqlite import SqliteDatabase
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

DIFF = """diff --git a/hello.txt b/hello.txt
--- a/hello.txt
+++ b/hello.txt
@@ -1 +1,2 @@
 hello
+world
"""


class Unplugged:
    """A network that reaches nothing."""

    def handle(self, request: object) -> Any:
        raise errors.TransportError("no route to host", request_sent=False)


def ended(folder: Path, *diffs: str | None, **environ: str) -> tuple[Cli, str]:
    """Return a command line, and the ref of a task that has ended with an attempt for each diff."""
    scripts = [
        AttemptScript(timeline=["completed"], result=CloudResult(messages=("The switch is in settings.",), diff=diff))
        for diff in diffs or (DIFF,)
    ]
    cli = Cli(folder, ScriptedCloud(attempts=scripts), **environ)
    return cli, cli.submit("--attempts", str(len(scripts)))


def unplug(cli: Cli) -> None:
    """Make the service unreachable."""
    cli.cloud = Unplugged()


def store_of(cli: Cli) -> Path:
    """Return the path of the database."""
    return Path(cli.environ["HOME"]) / ".local/state/coatcheck/coatcheck.sqlite3"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one file."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "hello.txt").write_text("hello\n")
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


READING = ("status", "show", "diff", "attempts")


def test_a_task_is_read_searched_and_applied_without_the_network(checkout: Path) -> None:
    """What `wait` has seen is shown, found by its words, and applied when nothing can be reached."""
    cli, ref = ended(checkout)
    cli("wait", ref)
    unplug(cli)
    found = cli("history", "--search", "switch", "--json").json["tasks"]
    applied = cli("apply", ref)

    assert ([ref], 0, "hello\nworld\n") == (
        [task["ref"] for task in found],
        applied.code,
        (checkout / "hello.txt").read_text(),
    )


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("diffs", [(DIFF,), (DIFF, None, DIFF.replace("world", "all"))], ids=["one", "three"])
def test_the_history_answers_as_the_service_does(tmp_path: Path, command: str, diffs: tuple[str | None, ...]) -> None:
    """The text of a recorded task is the same, and its document differs only in the time at which it was recorded."""
    cli, ref = ended(tmp_path, *diffs)
    cli("wait", ref)
    cli("attempts", ref)
    asked = cli(command, ref, "--refresh"), cli(command, ref, "--refresh", "--json").json
    unplug(cli)
    stored = cli(command, ref), cli(command, ref, "--json").json
    times = asked[1].pop("recorded_at"), stored[1].pop("recorded_at")
    if command == "status":  # the service reports the states of other attempts only in the list of them
        asked[1].pop("attempts"), stored[1].pop("attempts")

    assert (None, False) == (times[0], times[1] is None)
    assert (0, asked[0].out, asked[1]) == (stored[0].code, stored[0].out, stored[1])


def test_a_stored_answer_says_so(tmp_path: Path) -> None:
    """A line on stderr reports when the task was recorded, and which option reads from the service."""
    cli, ref = ended(tmp_path)
    first = cli("status", ref)
    cli.clock.advance(7200)

    assert ("", "from the history, recorded 2h ago; --refresh reads from the service\n") == (
        first.err,
        cli("status", ref).err,
    )


def test_a_task_that_runs_is_requested(tmp_path: Path) -> None:
    """Only a task that has ended is read from the history."""
    cli = Cli(tmp_path, ScriptedCloud(["pending"]))
    ref = cli.submit()
    cli("status", ref)
    before = len(cli.cloud.requests)
    cli("status", ref)

    assert 1 == len(cli.cloud.requests) - before


def test_refresh_asks_the_service(tmp_path: Path) -> None:
    """With --refresh a request is sent, also for a task that is recorded."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    before = len(cli.cloud.requests)
    codes = [cli("show", ref).code, len(cli.cloud.requests) - before, cli("show", "--refresh", ref).code]

    assert ([0, 0, 0], True) == (codes, len(cli.cloud.requests) > before)


@pytest.mark.parametrize(
    "command", [("message", "{ref}", "And the footer"), ("archive", "{ref}"), ("unarchive", "{ref}")]
)
def test_a_command_that_changes_a_task_ends_its_validity(tmp_path: Path, command: tuple[str, ...]) -> None:
    """After a message, or a change of the archive flag, the task is read from the service."""
    cli, ref = ended(tmp_path)
    cli("archive", ref) if command[0] == "unarchive" else None
    cli("show", ref)
    done = cli(*(word.format(ref=ref) for word in command))
    before = len(cli.cloud.requests)
    cli("show", ref)

    assert (0, True) == (done.code, len(cli.cloud.requests) > before)


def test_an_archive_flag_in_a_list_ends_the_validity(tmp_path: Path) -> None:
    """A list that shows that a task was archived elsewhere makes the next `show` ask the service."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    elsewhere = Cli(tmp_path, cli.cloud, COATCHECK_STATE_HOME=str(tmp_path / "elsewhere"))
    elsewhere("archive", ref)
    cli("list", "--filter", "all")
    before = len(cli.cloud.requests)
    cli("show", ref)

    assert len(cli.cloud.requests) > before


def test_a_list_does_not_end_the_validity_of_what_is_as_it_was(tmp_path: Path) -> None:
    """Listing a task that has not changed keeps its recorded result."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    cli("list")
    unplug(cli)

    assert 0 == cli("show", ref).code


def test_several_tasks_come_from_both(tmp_path: Path) -> None:
    """Of several tasks those that have ended are read from the history, the others are requested; the order stays."""
    cli, first = ended(tmp_path)
    cli("status", first)
    cli.cloud.attempt_scripts = None
    second = cli.submit(prompt="Another")
    document = cli("status", second, first, "--json").json["tasks"]

    assert [(second, None), (first, "str")] == [
        (task["ref"], task["recorded_at"] and type(task["recorded_at"]).__name__) for task in document
    ]


def test_every_submission_is_listed(tmp_path: Path) -> None:
    """`history` lists what was only submitted, with its prompt, while no service can be reached."""
    cli = Cli(tmp_path, COATCHECK_HISTORY="off")
    ref = cli.submit(prompt="Add dark mode")
    unplug(cli)
    cli.environ["COATCHECK_HISTORY"] = "full"
    tasks = cli("history", "--json").json["tasks"]

    assert [(ref, "Add dark mode", "unknown")] == [(task["ref"], task["title"], task["state"]) for task in tasks]


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (2, ()),
        (1, ("--limit", "1")),
        (2, ("--provider", "codex")),
        (0, ("--provider", "jules")),
        (1, ("--search", "footer")),
        (0, ("--state", "failed")),
        (2, ("--state", "succeeded", "--state", "failed")),
        (2, ("--since", "1d")),
        (0, ("--until", "2020-01-01")),
        (0, ("--search", "switch", "--provider", "jules")),
    ],
)
def test_the_list_is_filtered(tmp_path: Path, expected: int, options: tuple[str, ...]) -> None:
    """Every filter holds for every listed task."""
    cli, first = ended(tmp_path)
    second = cli.submit(prompt="Fix the footer")
    cli("status", first, second)
    unplug(cli)

    assert expected == len(cli("history", *options, "--json").json["tasks"])


def test_the_list_continues(tmp_path: Path) -> None:
    """The command that is printed shows the next tasks."""
    cli = Cli(tmp_path)
    refs = [cli.submit() for _ in range(3)]
    page = cli("history", "--limit", "2")
    more = page.err.split("There are more: coatcheck ")[1].split()
    rest = cli(*more, "--json").json

    assert (refs, None) == (
        sorted([*(line.split()[0] for line in page.out.splitlines()[1:]), *(task["ref"] for task in rest["tasks"])]),
        rest["cursor"],
    )


def test_a_recorded_task_is_shown_in_any_state(tmp_path: Path) -> None:
    """`history show` prints what is recorded of a task that is still running, and which command asks its service."""
    cli = Cli(tmp_path, ScriptedCloud(["pending"]))
    ref = cli.submit()
    cli("status", ref)
    unplug(cli)
    shown = cli("history", "show", ref)

    assert (0, True, f"{ref} was recorded 0s ago; get it from its service with: coatcheck show {ref}\n") == (
        shown.code,
        "Add dark mode" in shown.out,
        shown.err,
    )


def test_an_export_is_imported_elsewhere(tmp_path: Path) -> None:
    """Exported lines make another store show the same task."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    lines = cli("history", "export").data
    other = Cli(tmp_path, Unplugged(), COATCHECK_STATE_HOME=str(tmp_path / "other"))
    imported = other("history", "import", stdin=lines)

    assert ("1 task imported.\n", cli("show", ref).out) == (imported.out, other("show", ref).out)


def test_what_is_forgotten_is_requested_again(tmp_path: Path) -> None:
    """After `history forget` neither the list nor a search finds the task, and `show` asks the service."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    forgotten = cli("history", "forget", ref)
    before = len(cli.cloud.requests)
    listed = cli("history").out
    cli("show", ref)

    assert ("1 task forgotten.\n", "No tasks found.\n", True) == (
        forgotten.out,
        listed,
        len(cli.cloud.requests) > before,
    )


def test_old_tasks_are_pruned(tmp_path: Path) -> None:
    """`history prune` deletes what has ended and was last recorded before the time."""
    cli, ref = ended(tmp_path)
    cli("show", ref)
    early = cli("history", "prune", "--before", "1d").out
    cli.clock.advance(2 * 86400)

    assert ("0 tasks pruned.\n", "1 task pruned.\n") == (early, cli("history", "prune", "--before", "1d").out)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("coatcheck history show needs REF: a task; coatcheck list shows the latest ones", ("show",)),
        ("coatcheck history prune needs --before TIME; for examples see: coatcheck history prune --help", ("prune",)),
        ("coatcheck history list does not expect 'x'; see: coatcheck history list --help", ("list", "x")),
        (
            "coatcheck history show has no option --limit; it is an option of: coatcheck history list",
            ("show", "codex:x", "--limit", "3"),
        ),
        (
            "coatcheck history list has no option --before; it is an option of: coatcheck history prune",
            ("--before", "1d"),
        ),
        (
            "codex:nothing is not in the history; get it from its service with: coatcheck show codex:nothing",
            ("show", "codex:nothing"),
        ),
        (
            "codex:nothing is not in the history; get it from its service with: coatcheck show codex:nothing",
            ("forget", "codex:nothing"),
        ),
        (
            "codex:nothing is not in the history; list the recorded tasks with: coatcheck history",
            ("export", "codex:nothing"),
        ),
        (
            "--until 'soon' is neither a duration nor a date; pass 30m, 2h, 7d, 2026-11-28 or 2026-11-28T09:00",
            ("--until", "soon"),
        ),
        ("'x' is not the cursor of a page; pass the cursor of a page unchanged", ("--cursor", "x")),
        ("'!' has no word to search for; give a word", ("--search", "!")),
        (
            "missing cannot be read: No such file or directory; give a file that coatcheck history export has written",
            ("import", "missing"),
        ),
    ],
)
def test_bad_input_is_one_line(cli: Cli, line: str, arguments: tuple[str, ...]) -> None:
    """What an action does not take, lacks or does not find is one line with the remedy."""
    assert line == cli("history", *arguments).line


def test_a_level_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Before anything is sent, with the origin of the setting."""
    cli = Cli(tmp_path, COATCHECK_HISTORY="most")
    done = cli("list")

    assert (2, []) == (done.code, cli.cloud.requests)
    assert (
        "history is full, metadata or off, not 'most' (environment COATCHECK_HISTORY); "
        "set it with: coatcheck config set history full" == done.line
    )


def test_without_a_history_the_service_is_asked(tmp_path: Path) -> None:
    """With `history = off` nothing is recorded and nothing is read from the store."""
    cli, ref = ended(tmp_path, COATCHECK_HISTORY="off")
    cli("show", ref)
    before = len(cli.cloud.requests)
    cli("show", ref)

    assert (True, "No tasks found.\n") == (len(cli.cloud.requests) > before, cli("history").out)


def test_metadata_holds_no_text(tmp_path: Path) -> None:
    """With `history = metadata` tasks are listed with their states, without a word of them, and shown by their service."""
    cli, ref = ended(tmp_path, COATCHECK_HISTORY="metadata")
    cli("show", ref)
    before = len(cli.cloud.requests)
    cli("show", ref)
    tasks = cli("history", "--json").json["tasks"]

    assert (True, [(ref, "succeeded", None, None)]) == (
        len(cli.cloud.requests) > before,
        [(task["ref"], task["state"], task["title"], task["prompt"]) for task in tasks],
    )


def corrupt(path: Path) -> None:
    """Replace the database by other bytes."""
    path.write_bytes(b"this is no database, and longer than its header is" * 20)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def newer(path: Path) -> None:
    """Mark the database as written by a newer version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema SET version = 99, oldest_writer = 99")
        connection.commit()


def unusable(path: Path) -> None:
    """Replace the database by a folder."""
    path.unlink()
    path.mkdir()


BROKEN: dict[str, Callable[[Path], None]] = {"corrupt": corrupt, "newer": newer, "unusable": unusable}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["status", "show", "diff"])
def test_a_store_that_cannot_be_used_fails_no_command(tmp_path: Path, name: str, command: str) -> None:
    """The task is read from the service, the result is printed, and one line reports why nothing is recorded."""
    cli, ref = ended(tmp_path)
    expected = cli(command, ref).out
    BROKEN[name](store_of(cli))
    done = cli(command, ref)

    assert (0, expected, 1) == (done.code, done.out, done.err.count("\n"))
    assert done.err.startswith(f"warning: the history is not recorded: the store {store_of(cli)} ")


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("arguments", [(), ("export",), ("prune", "--before", "1d")], ids=["list", "export", "prune"])
def test_a_history_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    """`history` itself ends with exit code 15 and one line."""
    cli, _ = ended(tmp_path)
    BROKEN[name](store_of(cli))
    done = cli("history", *arguments)

    assert (15, True) == (done.code, str(store_of(cli)) in done.line)


def test_a_locked_store_fails_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the store, the result is printed; the change is recorded by a later command."""
    monkeypatch.setitem(SqliteDatabase.__init__.__kwdefaults__, "busy_seconds", 0.0)
    cli = Cli(tmp_path)
    ref = cli.submit()
    with closing(sqlite3.connect(store_of(cli), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        locked = cli("status", ref)
        message = cli("message", ref, "And the footer")
    later = cli("status", ref)

    assert (0, True, 0, 0, "") == (
        locked.code,
        "is locked; another program holds it" in locked.err,
        message.code,
        later.code,
        later.err,
    )


def test_a_wait_records_while_it_waits(tmp_path: Path) -> None:
    """What a wait has seen is in the history before the task ends, so that an end of the process loses nothing."""
    cli = Cli(tmp_path, ScriptedCloud(["pending", "in_progress", "completed"]))
    ref = cli.submit()
    seen = []
    handle = cli.cloud.handle

    def handle_and_look(request: Any) -> Any:
        with closing(History(str(store_of(cli).parent))) as history:
            seen.extend(entry.task.state.value for entry in history.list().items)
        return handle(request)

    cli.cloud.handle = handle_and_look  # type: ignore[method-assign]
    cli("wait", ref)

    assert ["queued", "running"] == [state for place, state in enumerate(seen) if state not in seen[:place]]


def test_several_tasks_are_recorded_as_a_batch_submits_them(tmp_path: Path) -> None:
    """Each line of a batch is in the history with its prompt."""
    cli = Cli(tmp_path)
    lines = b'"Add dark mode"\n{"prompt": "Fix the footer"}\n'
    cli("submit", "--environment", "owner/repo", "--batch", "-", stdin=lines)
    unplug(cli)

    assert ["Fix the footer"] == [
        task["prompt"] or task["title"] for task in cli("history", "--search", "footer", "--json").json["tasks"]
    ]


def test_a_submitted_task_is_printed_whatever_the_store_does(tmp_path: Path) -> None:
    """A store that becomes unusable while a task is submitted does not cost its ref."""
    cli = Cli(tmp_path)
    handle = cli.cloud.handle

    def handle_and_break(request: Any) -> Any:
        if request.method == "POST":
            newer(store_of(cli))
        return handle(request)

    cli.cloud.handle = handle_and_break  # type: ignore[method-assign]
    done = cli("submit", "--environment", "owner/repo", "Add dark mode")

    assert (0, True, True) == (
        done.code,
        done.out.startswith("codex:task_e_"),
        "the history is not recorded" in done.err,
    )


def test_two_processes_record_at_once(tmp_path: Path) -> None:
    """Tasks that several processes record at the same time are all in the history, each once."""
    code = (
        "import sys; from coatcheck import History, Task, TaskRef, TaskState\n"
        "history = History(sys.argv[1])\n"
        "for number in range(25):\n"
        "    history.record(Task(ref=TaskRef('toy', f'{sys.argv[2]}-{number}'), state=TaskState.RUNNING))\n"
        "    history.record(Task(ref=TaskRef('toy', f'both-{number}'), state=TaskState.RUNNING))\n"
    )
    state = tmp_path / "state"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(state), name], env={**os.environ}) for name in ("a", "b")
    ]
    codes = [process.wait() for process in running]
    cli = Cli(tmp_path, Unplugged(), COATCHECK_DATABASE=str(state))
    tasks = cli("history", "--limit", "100", "--json").json["tasks"]

    assert ([0, 0], 75) == (codes, len({task["ref"] for task in tasks}))


def test_the_database_setting_is_used_by_every_command(tmp_path: Path) -> None:
    """With COATCHECK_DATABASE nothing is stored in the state folder."""
    cli, ref = ended(tmp_path, COATCHECK_DATABASE=str(tmp_path / "elsewhere"))
    cli("show", ref)
    unplug(cli)
    shown, listed = cli("show", "@last"), cli("history")

    assert (0, True, True, False) == (
        shown.code,
        ref in listed.out,
        (tmp_path / "elsewhere/coatcheck.sqlite3").exists(),
        store_of(cli).exists(),
    )


def test_a_task_that_was_only_seen_is_named_by_its_beginning(tmp_path: Path) -> None:
    """A prefix names a task of a list as it names one that was submitted from here."""
    cli, ref = ended(tmp_path)
    other = Cli(tmp_path, cli.cloud, COATCHECK_STATE_HOME=str(tmp_path / "other"))
    other("list")
    done: Result = other("status", ref[:-3], "--json")

    assert ref == done.json["ref"]
