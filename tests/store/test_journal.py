"""Submissions are recorded durably and privately, with the rules of the journals before the store."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck import TaskRef, TaskSpec
from coatcheck._files.processes import boot_id, host_id, start_time
from coatcheck._protocol.intents import Intent, intent_of
from coatcheck._store.database import Database
from coatcheck._store.journal import SubmissionJournal
from coatcheck.testing.memory_journal import MemoryJournal

SPEC = TaskSpec(prompt="secret plan " * 20, environment="e", branch="main")


def intent(id: str = "i1", at: float = 1.0) -> Intent:
    """Return an intent."""
    return intent_of(SPEC, id=id, provider="toy", at=at, pid=1)


@pytest.fixture(params=["store", "memory"])
def journal(request: pytest.FixtureRequest, database: Database) -> SubmissionJournal | MemoryJournal:
    """A journal."""
    return SubmissionJournal(database) if request.param == "store" else MemoryJournal()


def test_an_intent_is_open_until_it_is_settled(journal: SubmissionJournal) -> None:
    """begin, then settle: nothing is open and the ref is claimed."""
    journal.begin(intent())

    assert [intent()] == list(journal.open_intents("toy"))
    assert journal.settle(intent(), TaskRef("toy", "t1"))
    assert [] == list(journal.open_intents("toy"))
    assert {TaskRef("toy", "t1")} == journal.claimed([TaskRef("toy", "t1"), TaskRef("toy", "t2"), TaskRef("x", "t1")])


def test_submissions_that_may_have_created_a_task_are_counted(journal: SubmissionJournal) -> None:
    """Open and settled submissions of one provider since a moment; abandoned ones created nothing."""
    for id, at in (("old", 1.0), ("open", 5.0), ("settled", 6.0), ("abandoned", 7.0)):
        journal.begin(intent(id, at))
    journal.settle(intent("settled"), TaskRef("toy", "t1"))
    journal.abandon(intent("abandoned"))

    assert (2, 3, 0) == (
        journal.count_since("toy", 5.0),
        journal.count_since("toy", 0.0),
        journal.count_since("x", 0.0),
    )


def test_a_submission_with_the_same_key_is_opened_again(journal: SubmissionJournal) -> None:
    """The same key is the same submission: it has one task in the end."""
    ref = TaskRef("toy", "t1")
    for _ in range(2):
        journal.begin(intent("one"))
        assert ["one"] == [each.id for each in journal.open_intents("toy")]
        assert journal.settle(intent("one"), ref)

    assert [] == journal.open_intents("toy")


def test_an_abandoned_intent_is_closed(journal: SubmissionJournal) -> None:
    """An intent that certainly created nothing is not searched for."""
    journal.begin(intent())
    journal.abandon(intent())

    assert [] == list(journal.open_intents("toy"))


def test_a_task_belongs_to_one_intent(journal: SubmissionJournal) -> None:
    """The second intent gets an error, and stays open."""
    journal.begin(intent("i1"))
    journal.begin(intent("i2", at=2.0))

    assert journal.settle(intent("i1"), TaskRef("toy", "t"))
    assert not journal.settle(intent("i2", at=2.0), TaskRef("toy", "t"))
    assert ["i2"] == [i.id for i in journal.open_intents("toy")]


def test_open_intents_are_per_provider_and_oldest_first(journal: SubmissionJournal) -> None:
    """Another provider's crash is none of ours."""
    for id, at in (("b", 2.0), ("a", 1.0)):
        journal.begin(intent(id, at))

    assert {"a", "b"} == {i.id for i in journal.open_intents("toy")}
    assert [] == list(journal.open_intents("codex"))


def test_the_prompt_is_not_in_the_file(tmp_path: Path) -> None:
    """Only a digest and the first words are kept, for the owner alone."""
    SubmissionJournal.at(str(tmp_path / "state")).begin(intent())
    file = tmp_path / "state" / "coatcheck.sqlite3"

    assert SPEC.prompt.encode() not in file.read_bytes()
    assert (0o600, 0o700) == (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode))


def test_processes_share_a_journal(tmp_path: Path) -> None:
    """Of four processes that adopt one task at once, one has it."""
    code = (
        "import sys; from coatcheck import TaskRef, TaskSpec; from coatcheck._store.journal import SubmissionJournal\n"
        "from coatcheck._protocol.intents import intent_of\n"
        "journal = SubmissionJournal.at(sys.argv[1])\n"
        "intent = intent_of(TaskSpec(prompt='p'), id=sys.argv[2], provider='toy', at=1.0, pid=1)\n"
        "journal.begin(intent); print(journal.settle(intent, TaskRef('toy', 't')))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"i{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]

    assert ["False", "False", "False", "True"] == sorted(process.communicate()[0].strip() for process in running)


def test_a_settled_submission_is_not_abandoned(journal: SubmissionJournal) -> None:
    """A process that continues after another one abandoned its intent still records the task, which is kept."""
    journal.begin(intent())
    journal.abandon(intent())
    is_first = journal.settle(intent(), TaskRef("toy", "t1"))
    journal.abandon(intent())

    assert (True, {TaskRef("toy", "t1")}) == (is_first, journal.claimed([TaskRef("toy", "t1")]))


def test_an_intent_names_its_process(database: Database) -> None:
    """An intent of this process has its host, boot and start time; one of another process is stored as it is."""
    journal = SubmissionJournal(database)
    for id, pid in (("ours", os.getpid()), ("other", 1)):
        journal.begin(intent_of(SPEC, id=id, provider="toy", at=1.0, pid=pid))
    ours, other = sorted(journal.open_intents("toy"), key=lambda each: each.id, reverse=True)

    assert (host_id(), boot_id(), start_time(os.getpid()), None, None, None) == (
        ours.host,
        ours.boot,
        ours.started,
        other.host,
        other.boot,
        other.started,
    )
