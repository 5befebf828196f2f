"""Submissions are written down, durably and privately."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck import TaskRef, TaskSpec, errors
from coatcheck._protocol.intents import Intent, intent_of
from coatcheck._runtime.submission_journal import FileJournal, is_alive
from coatcheck.testing.memory_journal import MemoryJournal

SPEC = TaskSpec(prompt="secret plan " * 20, environment="e", branch="main")


def intent(id: str = "i1", at: float = 1.0) -> Intent:
    return intent_of(SPEC, id=id, provider="toy", at=at, pid=1)


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> FileJournal | MemoryJournal:
    return FileJournal(str(tmp_path / "state")) if request.param == "file" else MemoryJournal()


def test_an_intent_is_open_until_it_is_settled(journal: FileJournal) -> None:
    """begin, then settle: nothing is open and the ref is claimed."""
    journal.begin(intent())

    assert [intent()] == list(journal.open_intents("toy"))
    assert journal.settle(intent(), TaskRef("toy", "t1"))
    assert [] == list(journal.open_intents("toy"))
    assert {TaskRef("toy", "t1")} == journal.claimed([TaskRef("toy", "t1"), TaskRef("toy", "t2"), TaskRef("x", "t1")])


def test_what_may_have_made_a_task_is_counted(journal: FileJournal) -> None:
    """Open and settled submissions of one provider since a moment; abandoned ones made nothing."""
    for id, at in (("old", 1.0), ("open", 5.0), ("settled", 6.0), ("abandoned", 7.0)):
        journal.begin(intent(id, at))
    journal.settle(intent("settled"), TaskRef("toy", "t1"))
    journal.abandon(intent("abandoned"))

    assert (2, 3, 0) == (
        journal.count_since("toy", 5.0),
        journal.count_since("toy", 0.0),
        journal.count_since("x", 0.0),
    )


def test_a_submission_under_the_same_key_goes_on(journal: FileJournal) -> None:
    """The same key is the same submission: it is open again, and has one task in the end."""
    ref = TaskRef("toy", "t1")
    for _ in range(2):
        journal.begin(intent("one"))
        assert ["one"] == [each.id for each in journal.open_intents("toy")]
        assert journal.settle(intent("one"), ref)

    assert [] == journal.open_intents("toy")


def test_an_abandoned_intent_is_closed(journal: FileJournal) -> None:
    """What certainly made nothing is not looked for."""
    journal.begin(intent())
    journal.abandon(intent())

    assert [] == list(journal.open_intents("toy"))


def test_a_task_belongs_to_one_intent(journal: FileJournal) -> None:
    """Whoever is second is told so, and stays open."""
    journal.begin(intent("i1"))
    journal.begin(intent("i2", at=2.0))

    assert journal.settle(intent("i1"), TaskRef("toy", "t"))
    assert not journal.settle(intent("i2", at=2.0), TaskRef("toy", "t"))
    assert ["i2"] == [i.id for i in journal.open_intents("toy")]


def test_open_intents_are_per_provider_and_oldest_first(journal: FileJournal) -> None:
    """Another provider's crash is none of ours."""
    for id, at in (("b", 2.0), ("a", 1.0)):
        journal.begin(intent(id, at))

    assert {"a", "b"} == {i.id for i in journal.open_intents("toy")}
    assert [] == list(journal.open_intents("codex"))


def test_the_prompt_is_not_in_the_file(tmp_path: Path) -> None:
    """Only a digest and the first words are kept, for the owner alone."""
    FileJournal(str(tmp_path / "state")).begin(intent())
    file = tmp_path / "state" / "submissions.sqlite3"

    assert SPEC.prompt.encode() not in file.read_bytes()
    assert (0o600, 0o700) == (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode))


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """The remedy names the variable that moves the journal."""
    (tmp_path / "file").write_text("")

    with pytest.raises(errors.ConfigurationError) as caught:
        FileJournal(str(tmp_path / "file" / "state")).begin(intent())

    assert "COATCHECK_STATE_HOME" in (caught.value.remedy or "")


def test_processes_share_a_journal(tmp_path: Path) -> None:
    """Four processes adopting one task at once: one has it."""
    code = (
        "import sys; from coatcheck import TaskRef, TaskSpec; from coatcheck._runtime.submission_journal import FileJournal\n"
        "from coatcheck._protocol.intents import intent_of\n"
        "j, i = FileJournal(sys.argv[1]), intent_of(TaskSpec(prompt='p'), id=sys.argv[2], provider='toy', at=1.0, pid=1)\n"
        "j.begin(i); print(j.settle(i, TaskRef('toy', 't')))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"i{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]

    assert ["False", "False", "False", "True"] == sorted(process.communicate()[0].strip() for process in running)


def test_a_process_is_known_to_live_or_not() -> None:
    """A finished child is dead; init is alive; we ourselves are not waiting for ourselves."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert (False, True, False) == (is_alive(child.pid), is_alive(1), is_alive(os.getpid()))
