"""Writers that are killed at any moment: what was acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck import TaskRef
from coatcheck._store.events import EventLog
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.location import open_database

ROUNDS = 200
# Acknowledges each event on standard output after it was stored, and each submission after it was settled.
WRITER = """
import sys
from coatcheck import TaskProgress, TaskRef, TaskSpec
from coatcheck._protocol.intents import intent_of
from coatcheck._store.events import EventLog
from coatcheck._store.journal import SubmissionJournal
from coatcheck._store.location import open_database
database = open_database(sys.argv[1])
log, journal = EventLog(database, time=lambda: 1.0), SubmissionJournal(database)
for number in range(10**6):
    name = f"{sys.argv[2]}-{number}"
    print("event", log.append([TaskProgress(ref=TaskRef("toy", name), text=name)])[0], name, flush=True)
    intent = intent_of(TaskSpec(prompt=name), id=name, provider="toy", at=1.0, pid=1)
    journal.begin(intent)
    journal.settle(intent, TaskRef("toy", name))
    print("task", 0, name, flush=True)
"""


def acknowledged(folder: Path, name: str, lines: int) -> list[list[str]]:
    """Run a writer until it has printed so many lines, kill it, and return all that it printed."""
    command = [sys.executable, "-c", WRITER, str(folder), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        printed = [writer.stdout.readline() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        printed += writer.stdout.readlines()
    return [line.split() for line in printed if line.endswith("\n")]


def check(folder: Path, rounds: int) -> None:
    """Kill writers one after the other; all that they acknowledged is stored, with the id that was returned."""
    source = random.Random(rounds)
    printed = [line for name in range(rounds) for line in acknowledged(folder, str(name), source.randrange(1, 40))]
    database = open_database(str(folder))
    log, journal = EventLog(database, time=lambda: 1.0), SubmissionJournal(database)
    stored, last = {}, 0
    while events := log.read(after=last):
        stored |= {event.id: event.event.text for event in events}
        last = events[-1].id
    tasks = [TaskRef("toy", name) for kind, _, name in printed if kind == "task"]
    claimed = journal.claimed(tasks)
    with database.reading() as transaction:
        health = transaction.rows("PRAGMA integrity_check")
    database.close()

    assert {int(id): name for kind, id, name in printed if kind == "event"}.items() <= stored.items()
    assert (set(tasks), [("ok",)]) == (claimed, health)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """Three killed writers; `make crash` kills two hundred."""
    check(tmp_path, 3)


@pytest.mark.crash
def test_nothing_acknowledged_is_lost_by_two_hundred_kills(tmp_path: Path) -> None:
    """Every event has its id and every task its intent, and the file is whole."""
    check(tmp_path, ROUNDS)
