from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._runtime.config import state_dir
from coatcheck._store.journal import SubmissionJournal
from coatcheck.cloud.scripted_cloud import ScriptedCloud


def renamed(cli: Cli, ref: str, name: str) -> None:
    """Give a task another id in the journal, and remove it from the history."""
    path = Path(state_dir(cli.environ)) / "coatcheck.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE submission SET task = ? WHERE task = ?", (name, ref.partition(":")[2]))
        db.execute("DELETE FROM task WHERE id = ?", (ref.partition(":")[2],))
    db.close()


@pytest.mark.parametrize(("text", "place"), [("@last", 2), ("@1", 2), ("@2", 1), ("@3", 0)])
def test_latest_tasks_are_named_by_number(cli: Cli, text: str, place: int) -> None:
    """``@last`` is the task that was submitted last, ``@2`` the one before it."""
    refs = [cli.submit() for _ in range(3)]

    assert refs[place] == cli("status", "--json", text).json["ref"]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("@last names no task: no task was submitted from this machine", "@last"),
        ("'@0' names no task", "@0"),
        ("'@x' names no task", "@x"),
        ("'@-1' names no task", "@-1"),
        ("'@²' names no task", "@²"),
        ("'@99999999999' names no task", "@99999999999"),
    ],
)
def test_a_number_without_a_task_is_refused(cli: Cli, expected: str, text: str) -> None:
    """A number that names no task is bad usage, and names the remedy."""
    done = cli("status", text)

    assert (2, True, True) == (done.code, done.line.startswith(expected), "; " in done.line)


def test_the_last_of_another_provider(cli: Cli) -> None:
    """With --provider only tasks of that provider are counted."""
    cli.submit()

    assert (
        "@last names no task: no task was submitted to jules from this machine"
        in cli("status", "--provider", "jules", "@last").err
    )


def test_the_beginning_of_an_id_names_its_task(cli: Cli) -> None:
    """The beginning of an id is enough where one task that was submitted from here has it."""
    ref = cli.submit()
    renamed(cli, cli.submit(), "other")

    assert [ref] * 2 == [cli("status", "--json", text).json["ref"] for text in (ref[:20], ref.partition(":")[2][:15])]


def test_the_beginning_of_several_ids_lists_them(cli: Cli) -> None:
    """A beginning that several tasks share is refused, and the tasks are named with their prompts."""
    one, other = cli.submit(prompt="first"), cli.submit(prompt="second")
    done = cli("cancel", "task_e_")
    error = cli("cancel", "task_e_", "--json").error

    assert (2, True, [other, one], []) == (
        done.code,
        f"{other} (second), {one} (first); pass more of the id" in done.line,
        error["candidates"],
        cli.cloud.seen("cancel_task"),
    )


def test_a_whole_id_is_not_a_beginning(cli: Cli) -> None:
    """An id that is the beginning of another one names its own task."""
    one, other = cli.submit(), cli.submit()
    renamed(cli, other, f"{one.partition(':')[2]}0")

    assert one == cli("status", "--json", one).json["ref"]


def test_an_id_that_is_not_known_is_sent_as_it_is(cli: Cli) -> None:
    """A whole id of a task that was submitted elsewhere needs no journal, and none is created."""
    done = cli("status", "task_e_nobody")

    assert (1, False) == (done.code, (Path(state_dir(cli.environ)) / "coatcheck.sqlite3").exists())


def test_the_journal_escapes_nothing_of_a_prefix(cli: Cli) -> None:
    """Wild cards of SQL in a prefix are plain characters."""
    cli.submit()

    assert [] == SubmissionJournal.at(state_dir(cli.environ)).latest(5, prefix="task%")


@pytest.mark.parametrize("verb", ["status", "show", "wait"])
def test_several_tasks_are_one_document(cli: Cli, verb: str) -> None:
    """Several tasks are printed in the order given, each once."""
    one, other = cli.submit(), cli.submit()
    done = cli(verb, "--json", other, one, other)

    assert (0, [other, one]) == (done.code, [task["ref"] for task in done.json["tasks"]])


@pytest.mark.parametrize("verb", ["cancel", "archive", "unarchive"])
def test_an_action_is_performed_on_every_task(cli: Cli, verb: str) -> None:
    """A task that the service does not have does not stop the others; the exit code is that of the first error."""
    one, other = cli.submit(), cli.submit()
    done = cli(verb, "--json", one, "codex:task_e_nobody", other)
    results = done.json["tasks"]

    assert (1, [verb, None, verb], "not_found" in str(results[1]) or "error" in results[1]) == (
        done.code,
        [each.get("action") for each in results],
        True,
    )


def test_errors_of_several_tasks_are_lines(cli: Cli) -> None:
    """In text the results are on stdout, and each error is a line on stderr that names its task."""
    done = cli("status", cli.submit(), "codex:task_e_nobody")

    assert (1, 1, True) == (done.code, done.err.count("\n"), "codex:task_e_nobody" in done.err)


@pytest.mark.parametrize(("code", "word"), [(0, "completed"), (3, "failed")])
def test_a_wait_for_several_ends_with_the_worst(tmp_path: Path, code: int, word: str) -> None:
    """The exit code of a wait for several tasks is that of a task that failed."""
    cli = Cli(tmp_path, ScriptedCloud(["pending", word]))
    one, other = cli.submit(), cli.submit()
    done = cli("wait", one, other)

    assert (code, True, True) == (done.code, one in done.out, other in done.out)


def test_a_deadline_is_for_all_tasks(tmp_path: Path) -> None:
    """At the deadline the tasks that have not ended are named, with the exit code of a deadline."""
    cli = Cli(tmp_path, ScriptedCloud(["pending"]))
    one, other = cli.submit(), cli.submit()
    done = cli("wait", "-q", "--timeout", "90s", one, other)

    assert (4, True) == (done.code, "has not ended within 90 seconds" in done.err)
