from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches import undo_journal as journals
from coatcheck._patches.disk_errors import git_could_not_write, refused
from coatcheck._patches.git import GitError
from coatcheck._patches.parse import Patch
from coatcheck._patches.undo_journal import undo
from coatcheck.errors import PatchConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Repository

LONG = b"".join(b"line %d\n" % number for number in range(3000))
CHANGED = LONG.replace(b"line 100\n", b"line one hundred\n")

# RLIMIT_FSIZE simulates a full disk: files of more than 4 KB cannot be written, also by git.
LIMITED = """
import resource, sys
from coatcheck import Patch
from coatcheck.errors import PatchConflictError
verified = Patch(sys.stdin.buffer.read()).verify(base=sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    if sys.argv[2] == "commit":
        verified.commit(sys.argv[1], branch="b", message="m")
    else:
        verified.apply(sys.argv[1], index=sys.argv[2] == "index", partial=True)
except PatchConflictError as error:
    print(error)
"""


@pytest.fixture
def patch(repository: Repository) -> bytes:
    """Return a patch of a file that is larger than the limit; the repository is at the commit before it."""
    made = repository.diff({"x": LONG}, {"x": CHANGED, "y": LONG})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    return made


def state(repository: Repository) -> tuple[object, bytes, list[str]]:
    """Return files, index, and what of ours or of locks is in the git directory."""
    left = {"coatcheck", "index.lock"} & {path.name for path in (repository.folder / ".git").iterdir()}
    return repository.tree(), repository.git("ls-files", "--stage"), sorted(left)


@pytest.mark.parametrize("how", ["files", "index"])
def test_a_full_disk_is_not_a_conflict(how: str, patch: bytes, repository: Repository) -> None:
    """Where git cannot write a file the error reports it, and everything is as it was."""
    before = state(repository)
    arguments = [sys.executable, "-c", LIMITED, str(repository.folder), how]
    done = subprocess.run(arguments, input=patch, capture_output=True, check=False, timeout=240)

    assert (True, b"", before) == (
        b"could not be written: git apply was ended by signal" in done.stdout,
        done.stderr,
        state(repository),
    )


@pytest.fixture
def read_only(repository: Repository) -> Iterator[Repository]:
    """Make every folder of the repository read-only."""
    folders = [folder for folder, _, _ in os.walk(repository.folder)]
    for folder in folders:
        os.chmod(folder, 0o500)
    yield repository
    for folder in folders:
        os.chmod(folder, 0o700)


@pytest.mark.parametrize("index", [False, True])
def test_a_preview_needs_no_place_in_the_checkout(index: bool, patch: bytes, read_only: Repository) -> None:
    """A preview of a tree that cannot be written returns the result."""
    done = Patch(patch).verify(base=read_only.folder).apply(read_only.folder, check=True, index=index)

    assert (True, True) == (done.is_check, done.is_complete)


def test_a_preview_writes_nothing_into_the_checkout(patch: bytes, repository: Repository) -> None:
    """Not even for a moment is there a file of a preview in the work tree or in the git directory."""
    times = folder_times(repository)
    Patch(patch).verify(base=repository.folder).apply(repository.folder, check=True, index=True)

    assert times == folder_times(repository)


def folder_times(repository: Repository) -> dict[str, int]:
    """Return when something was last added to or removed from each folder."""
    return {folder: os.stat(folder).st_mtime_ns for folder, _, _ in os.walk(repository.folder)}


def test_a_preview_merges_too(repository: Repository) -> None:
    """A preview reports merges, without writing an object into the repository."""
    made = repository.diff({"x": LONG}, {"x": CHANGED})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.commit({"x": LONG.replace(b"line 98\n", b"line ninety-eight\n")})
    times = folder_times(repository)
    done = Patch(made).verify(base=repository.folder).apply(repository.folder, check=True, index=True)

    assert (["merged"], times) == ([each.status for each in done.files], folder_times(repository))


def test_a_read_only_checkout_is_a_plain_error(patch: bytes, read_only: Repository) -> None:
    """Where nothing can be written the error names the place and the reason."""
    if os.access(read_only.folder, os.W_OK):
        pytest.skip("root writes everywhere")
    resolve_snapshot = Patch(patch).verify(base=read_only.folder)
    with pytest.raises(PatchConflictError, match=r"\.git/coatcheck.*Permission denied"):
        resolve_snapshot.apply(read_only.folder)
    with pytest.raises(PatchConflictError, match=r"\.git/coatcheck.*Permission denied"):
        resolve_snapshot.commit(read_only.folder, branch="b", message="m")


def test_a_folder_in_the_way_of_the_journal_is_a_plain_error(patch: bytes, repository: Repository) -> None:
    """An obstacle in the folder of coatcheck is named, by applications, commits and undo."""
    (repository.folder / ".git/coatcheck").write_bytes(b"")
    resolve_snapshot = Patch(patch).verify(base=repository.folder)
    for attempt in (
        lambda: resolve_snapshot.apply(repository.folder),
        lambda: resolve_snapshot.commit(repository.folder, branch="b", message="m"),
        lambda: undo(repository.folder),
    ):
        with pytest.raises(PatchConflictError, match=r"\.git/coatcheck"):
            attempt()


def test_a_journal_that_cannot_be_written_changes_nothing(
    patch: bytes, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when the journal is written leaves everything as it was."""
    before = state(repository)

    def full(_: object) -> None:
        raise OSError(28, os.strerror(28), "journal.json")

    monkeypatch.setattr(journals.Journal, "write", full)
    with pytest.raises(PatchConflictError, match=r"journal\.json: No space left"):
        Patch(patch).verify(base=repository.folder).apply(repository.folder)

    assert before == state(repository)


def test_no_place_for_a_preview_is_a_plain_error(
    patch: bytes, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview without a temporary folder is an error that names the reason."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(PatchConflictError, match="No such file"):
        Patch(patch).verify(base=repository.folder).apply(repository.folder, check=True)


def test_another_file_system_will_do(patch: bytes, repository: Repository, tmp_path: Path) -> None:
    """Files are copied where they cannot be linked."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is one file system")
    elsewhere = tempfile.mkdtemp(dir="/dev/shm")
    try:
        shutil.move(repository.folder / ".git", f"{elsewhere}/git")
        (repository.folder / ".git").write_text(f"gitdir: {elsewhere}/git\n")
        before = repository.tree(), repository.git("ls-files", "--stage")
        Patch(patch).verify(base=repository.folder).apply(repository.folder, index=True)
        status = repository.git("status", "--porcelain")
        undo(repository.folder)
    finally:
        now = repository.tree(), repository.git("ls-files", "--stage")
        shutil.rmtree(elsewhere)

    assert (b"M  x\nA  y\n", before) == (status, now)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("error: x: patch does not apply", None),
        ("fatal: unable to write file 'x' mode 100644: No space left on device", True),
        ("fatal: sha1 file '.git/index.lock' write error. Out of diskspace", True),
        ("error: unable to create file x: Permission denied\nerror: x", True),
        ("error: insufficient permission for adding an object to repository database .git/objects", True),
        ('error: open("x"): Permission denied', None),
    ],
)
def test_disk_errors_of_git_are_recognized(message: str, expected: bool | None) -> None:
    """Messages about the disk are distinguished from those about the patch."""
    assert expected == (git_could_not_write(GitError("git failed", stderr=message)) and True)


def test_a_move_that_fails_names_where_it_went() -> None:
    """The error of a rename names its target: the file of the checkout, and none of ours."""
    error = refused("not written", PermissionError(13, "Permission denied", "ours/f", None, "checkout/f"))

    assert str(error).startswith("not written: checkout/f: Permission denied")
