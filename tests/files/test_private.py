"""Private files, replaced atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck._files import private


def mode_of(path: Path) -> int:
    """Return the permission bits of a file."""
    return path.stat().st_mode & 0o777


def test_a_file_is_replaced_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    """The new content is there, with mode 0600, and no temporary file stays."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    private.replace_file(str(path), b"new")

    assert (b"new", 0o600, ["file"]) == (path.read_bytes(), mode_of(path), os.listdir(tmp_path))


def test_a_folder_is_accessible_only_to_its_owner(tmp_path: Path) -> None:
    """A folder is created with mode 0700, and creating it again changes nothing."""
    folder = tmp_path / "folder"
    private.make_private_folder(str(folder))
    private.make_private_folder(str(folder))

    assert 0o700 == mode_of(folder)


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error before the rename keeps the old content, removes the temporary file, and names the file."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        private.replace_file(str(path), b"new")

    assert (b"old", ["file"], str(path)) == (path.read_bytes(), os.listdir(tmp_path), caught.value.filename)


def test_a_modification_time_can_be_set(tmp_path: Path) -> None:
    """The modification time is the one that was passed."""
    path = tmp_path / "file"
    private.replace_file(str(path), b"", modified=1_000.0)

    assert 1_000.0 == path.stat().st_mtime


@pytest.mark.parametrize("write", [private.write_new_file, private.fill_file])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_under_the_name_of_a_temporary_file_is_not_followed(
    tmp_path: Path, write: Callable[[str, bytes], None], link: Callable[[Path, Path], None]
) -> None:
    """A symbolic or hard link is removed, and the file that it names is not changed."""
    target = tmp_path / "target"
    target.write_text("kept")
    link(target, tmp_path / "file")
    write(str(tmp_path / "file"), b"data")

    assert ("kept", b"data") == (target.read_text(), (tmp_path / "file").read_bytes())


@pytest.mark.parametrize("size", [2, 4, 100])
def test_a_reserved_file_holds_exactly_what_fills_it(tmp_path: Path, size: int) -> None:
    """The reserved blanks are cut off, and data that is longer than the reserved size is whole."""
    path = str(tmp_path / "file")
    private.reserve_file(path, size)
    private.fill_file(path, b"data")

    assert b"data" == private.read_private(path)


def test_a_symbolic_link_is_not_read(tmp_path: Path) -> None:
    """A link in place of a private file counts as no file."""
    (tmp_path / "target").write_text("other")
    (tmp_path / "file").symlink_to(tmp_path / "target")

    assert None is private.read_private(str(tmp_path / "file"))


def test_the_parents_of_a_private_folder_are_private(tmp_path: Path) -> None:
    """Each folder that is created on the way has mode 0700, with any mask."""
    mask = os.umask(0o022)
    private.make_private_folder(str(tmp_path / "a/b/c"))
    os.umask(mask)

    assert [0o700] * 3 == [mode_of(tmp_path / path) for path in ("a", "a/b", "a/b/c")]
