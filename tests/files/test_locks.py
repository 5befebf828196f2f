"""Lock files between threads and processes."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import pytest

from coatcheck._files.locks import LockSet, is_locked, lock_descriptor, try_lock
from coatcheck.testing.fake_clock import FakeClock


def test_a_lock_excludes_another_descriptor_until_it_is_closed(tmp_path: Path) -> None:
    """A second attempt fails while the first descriptor is open, and works afterwards."""
    path = str(tmp_path / "lock")
    first = try_lock(path)
    assert first is not None
    second = try_lock(path)
    os.close(first)
    third = try_lock(path)

    assert (True, True) == (second is None, third is not None)


def test_a_removed_lock_file_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that was removed meanwhile excludes nobody, so it does not count."""
    path = tmp_path / "lock"
    real_open = os.open

    def open_and_remove(*args: object, **options: object) -> int:
        descriptor: int = real_open(*args, **options)  # type: ignore[arg-type]
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_remove)

    assert None is try_lock(str(path))


def test_whether_a_file_is_locked_can_be_asked(tmp_path: Path) -> None:
    """The answer is True while another descriptor holds the lock and False afterwards."""
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as reader:
        with path.open("rb") as owner:
            lock_descriptor(owner.fileno())
            during = is_locked(reader.fileno())
        after = is_locked(reader.fileno())

    assert (True, False) == (during, after)


def test_a_set_that_times_out_releases_what_it_took(tmp_path: Path) -> None:
    """A second lock that stays taken ends in TimeoutError, and the first one is free after release."""
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    taken = try_lock(second)
    clock = FakeClock()
    locks = LockSet([first, second], timeout=1.0, monotonic=clock.monotonic)
    with pytest.raises(TimeoutError, match="second"):
        deque(map(clock.sleep, locks.pauses()))
    locks.release()
    free = try_lock(first)

    assert (True, True) == (taken is not None, free is not None)
