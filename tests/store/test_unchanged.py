"""An observation that shows nothing new is recognized without opening the store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck import History, Task, TaskRef, TaskState
from coatcheck._app.task_history import TaskHistory
from coatcheck._runtime.config import Config
from coatcheck._store.sqlite import FILE
from coatcheck._store.unchanged import NAME, is_recorded, key_of
from coatcheck.testing import FakeClock

ONE = Task(ref=TaskRef("toy", "one"), state=TaskState.RUNNING, title="One")
TWO = Task(ref=TaskRef("toy", "two"), state=TaskState.SUCCEEDED, title="Two")


class Command:
    """Commands that record, each in a process of its own; `opened` counts those that opened the store."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.opened = folder, 0
        opened = TaskHistory._opened

        def count(history: TaskHistory) -> History:
            self.opened += 1
            return opened(history)

        monkeypatch.setattr(TaskHistory, "_opened", count)

    def record(self, *tasks: Task, level: str = "full") -> int:
        """Record *tasks* as a command does; return how often stores were opened until now."""
        config = Config(environ={"COATCHECK_STATE_HOME": str(self.folder), "COATCHECK_HISTORY": level})
        history = TaskHistory(config, clock=FakeClock())
        history.record_all(tasks)
        history.save()
        history.close()
        assert history.error is None
        return self.opened

    def age(self) -> None:
        """Let the last change of the store be a minute ago, without a change."""
        status = os.stat(self.folder / FILE)
        os.utime(self.folder / FILE, (status.st_atime - 60, status.st_mtime - 60))

    @property
    def states(self) -> dict[str, TaskState]:
        """The stored tasks."""
        history = History(str(self.folder))
        stored = {each.task.ref.id: each.task.state for each in history.list().items}
        history.close()
        return stored


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return commands whose store has two tasks, and is known to have them."""
    command = Command(tmp_path / "state", monkeypatch)
    command.record(ONE, TWO)
    command.age()
    command.record(ONE, TWO)
    return command


def test_a_list_that_is_repeated_opens_no_store(command: Command) -> None:
    """The second command found nothing new, the third does not open the store; other lists are known beside it."""
    opened = [command.record(ONE, TWO), command.record(TWO), command.record(TWO), command.record(ONE, TWO)]

    assert [2, 3, 3, 3] == opened


def change(field: str, value: object) -> Callable[[Command], object]:
    """Return a function that records a task that differs in one field."""
    import msgspec

    return lambda command: command.record(msgspec.structs.replace(ONE, **{field: value}), TWO)


def forget(command: Command) -> None:
    """Delete a task from the history in another process."""
    history = History(str(command.folder))
    history.forget([ONE.ref])
    history.close()


@pytest.mark.parametrize(
    "happen",
    [
        change("state", TaskState.SUCCEEDED),
        change("title", "Another"),
        change("is_unread", True),
        forget,
        lambda command: (command.folder / FILE).unlink(),
        lambda command: os.utime(command.folder / FILE),
        lambda command: (command.folder / NAME).unlink(),
        lambda command: (command.folder / NAME).write_bytes(b"\xff"),
        lambda command: (command.folder / f"{FILE}-wal").write_bytes(b"x" * 40),
        lambda command: command.record(ONE, TWO, level="metadata"),
    ],
)
def test_after_any_change_the_store_is_opened(command: Command, happen: Callable[[Command], object]) -> None:
    """Nothing is lost: both tasks are stored as they were observed last."""
    happen(command)
    before = command.opened
    command.record(ONE, TWO)

    assert before < command.opened
    assert {"one": TaskState.RUNNING, "two": TaskState.SUCCEEDED} == command.states


def test_a_state_that_was_written_just_now_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of files are coarse: a later change might have the same one."""
    command = Command(tmp_path / "state", monkeypatch)
    opened = [command.record(ONE) for _ in range(3)]

    assert [1, 2, 3] == opened


def test_the_file_has_no_text(command: Command) -> None:
    """It has digests, and only its owner may read it."""
    path = command.folder / NAME
    key = key_of([ONE, TWO], "full")

    assert key is not None
    assert is_recorded(str(command.folder), key)
    assert (False, 0o600) == (b"One" in path.read_bytes(), path.stat().st_mode & 0o777)


def test_a_text_that_has_no_digest_is_recorded() -> None:
    """A lone surrogate cannot be encoded, so such a task is never recognized."""
    assert key_of([Task(ref=ONE.ref, state=ONE.state, title="\ud800")], "full") is None
