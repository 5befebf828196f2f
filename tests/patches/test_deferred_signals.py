"""A signal that arrives while a process starts leaves no child."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coatcheck._patches.deferred_signals import DeferredSignals
from coatcheck._patches.git import git


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The signals that a handler of SIGTERM got."""
    numbers: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, previous)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_git_is_killed_when_a_signal_arrives_as_it_starts(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C is raised once the child is known, which is then killed and waited for."""
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            if moment == "before":
                signal.raise_signal(signal.SIGINT)
            super().__init__(*arguments, **options)
            started.append(self)
            if moment == "after":
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        git("hash-object", "--stdin", folder=tmp_path)

    assert [-signal.SIGKILL] == [process.returncode for process in started]


def test_each_signal_is_handled_once(received: list[int]) -> None:
    """A deferred signal is handled when the handlers are restored, and later ones at once."""
    with DeferredSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        during = list(received)
        signals.release()
        after = list(received)
    signal.raise_signal(signal.SIGTERM)

    assert ([], [signal.SIGTERM], [signal.SIGTERM] * 2) == (during, after, received)


def test_another_thread_defers_nothing(received: list[int]) -> None:
    """Only the main thread may set handlers, and only it runs them."""
    handler = signal.getsignal(signal.SIGTERM)
    inside = []

    def defer() -> None:
        with DeferredSignals():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=defer)
    thread.start()
    thread.join()

    assert ([handler], []) == (inside, received)
