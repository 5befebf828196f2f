"""The journal of versions before the store is read without losing anything."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from coatcheck import TaskRef, errors
from coatcheck._store.database import Database
from coatcheck._store.journal import SubmissionJournal

# As the last version before the store created it.
SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
  id TEXT PRIMARY KEY, provider TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL, summary TEXT NOT NULL,
  environment TEXT, branch TEXT, pid INTEGER NOT NULL, task TEXT, abandoned INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS one_intent_per_task ON intents (provider, task) WHERE task IS NOT NULL;
CREATE INDEX IF NOT EXISTS open_intents ON intents (provider, at) WHERE task IS NULL AND NOT abandoned;
"""
INSERT = "INSERT INTO intents VALUES (?, 'toy', 'd', ?, 'summary', NULL, 'main', 1, ?, ?)"


class OldVersion:
    """An older version that works in a folder: each change opens the file, as it did."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "submissions.sqlite3"
        self.run()

    def run(self, statement: str = "SELECT 1", parameters: Sequence[object] = ()) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript(SCHEMA)
            connection.execute(statement, parameters)


@pytest.fixture
def old(tmp_path: Path) -> OldVersion:
    """A database of the old version."""
    old = OldVersion(tmp_path / "old")
    for id, at, task, is_abandoned in (("open", 1.0, None, 0), ("settled", 2.0, "t1", 0), ("abandoned", 3.0, None, 1)):
        old.run(INSERT, (id, at, task, is_abandoned))
    return old


@pytest.fixture
def journal(database: Database, old: OldVersion) -> SubmissionJournal:
    """A journal."""
    return SubmissionJournal(database, old_folder=str(old.path.parent))


def ids(journal: SubmissionJournal) -> list[str]:
    """Return the ids."""
    return [intent.id for intent in journal.open_intents("toy")]


def test_every_submission_is_read(journal: SubmissionJournal) -> None:
    """Open ones are open, settled ones have their task, abandoned ones are not counted."""
    tasks = journal.claimed([TaskRef("toy", "t1"), TaskRef("toy", "t2")])

    assert (["open"], {TaskRef("toy", "t1")}, 2) == (ids(journal), tasks, journal.count_since("toy", 0.0))


def test_the_file_stays_as_it_was(journal: SubmissionJournal, old: OldVersion) -> None:
    """An older version finds everything that it wrote."""
    before = old.path.read_bytes()
    ids(journal)

    assert before == old.path.read_bytes()


def test_what_an_older_version_writes_meanwhile_is_read(journal: SubmissionJournal, old: OldVersion) -> None:
    """Submissions that it begins, settles and abandons after the first reading are known to the next call."""
    known = [ids(journal)]
    old.run(INSERT, ("new", 4.0, None, 0))
    known.append(ids(journal))
    old.run("UPDATE intents SET task = 't2' WHERE id = 'new'")
    known.append(ids(journal))
    old.run("UPDATE intents SET abandoned = 1 WHERE id = 'open'")
    known.append(ids(journal))

    assert [["open"], ["open", "new"], ["open"], []] == known


def test_a_submission_that_was_settled_here_stays_settled(journal: SubmissionJournal, old: OldVersion) -> None:
    """The file does not open again what a newer version has ended."""
    (intent,) = journal.open_intents("toy")
    journal.settle(intent, TaskRef("toy", "t3"))
    old.run(INSERT, ("new", 4.0, None, 0))

    assert (["new"], {TaskRef("toy", "t3")}) == (ids(journal), journal.claimed([TaskRef("toy", "t3")]))


def test_a_task_that_both_versions_recorded_belongs_to_the_first(journal: SubmissionJournal, old: OldVersion) -> None:
    """The other intent is closed."""
    (intent,) = journal.open_intents("toy")
    journal.settle(intent, TaskRef("toy", "t2"))
    old.run(INSERT, ("second", 4.0, "t2", 0))

    assert ([], 2) == (ids(journal), journal.count_since("toy", 0.0))


def test_two_readers_read_the_same(database: Database, old: OldVersion) -> None:
    """Each process reads the file, and every submission is there once."""
    journals = [SubmissionJournal(database, old_folder=str(old.path.parent)) for _ in range(2)]

    assert [["open"], ["open"]] == [ids(each) for each in journals]
    assert 2 == journals[0].count_since("toy", 0.0)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0"])
def test_a_file_that_was_never_written_is_empty(database: Database, tmp_path: Path, content: bytes) -> None:
    """A process that was killed before it wrote anything leaves nothing to read."""
    path = tmp_path / "submissions.sqlite3"
    if content:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (id)")
    path.touch()

    assert [] == ids(SubmissionJournal(database, old_folder=str(tmp_path)))


def test_a_corrupt_file_is_one_clear_error(database: Database, tmp_path: Path) -> None:
    """The message names the file, and the remedy moves it away; nothing is submitted without it."""
    path = tmp_path / "submissions.sqlite3"
    path.write_bytes(b"no database" * 100)

    with pytest.raises(errors.StoreError) as caught:
        ids(SubmissionJournal(database, old_folder=str(tmp_path)))

    assert (str(path), True) == (caught.value.location, f"mv {path} " in (caught.value.remedy or ""))


@pytest.mark.skipif(os.name == "nt", reason="the journal's own rules of locking")
def test_a_transaction_that_is_not_committed_is_not_read(journal: SubmissionJournal, old: OldVersion) -> None:
    """What an older version is about to write is read once it is committed."""
    with closing(sqlite3.connect(old.path)) as connection:
        connection.execute(INSERT, ("new", 4.0, None, 0))
        during = ids(journal)
        connection.commit()

    assert (["open"], ["open", "new"]) == (during, ids(journal))
