"""patchutils and git am list, filter and apply as we do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from coatcheck._patches.compare import is_same_change
from coatcheck._patches.parse import Patch

pytestmark = pytest.mark.peer

DATA = Path(__file__).parent.parent / "patches" / "data"

WHO = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run(*command: str, stdin: bytes = b"", folder: Path | None = None) -> bytes:
    """Run a program and return what it wrote."""
    return subprocess.run(
        command, input=stdin, capture_output=True, cwd=folder, env=os.environ | WHO, check=True, timeout=60
    ).stdout


@pytest.fixture
def text_diff(tmp_path: Path) -> bytes:
    """Return a diff of many texts, without renames, modes and binaries, which patchutils cannot read."""
    for number in range(40):
        (tmp_path / f"f{number}.txt").write_text("".join(f"line {line}\n" for line in range(30)))
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=x"]):
        run("git", *command, folder=tmp_path)
    for number in range(0, 40, 2):
        path = tmp_path / f"f{number}.txt"
        path.write_text(path.read_text().replace("line 4\n", f"line four of {number}\n").replace("line 25\n", ""))
    (tmp_path / "f1.txt").unlink()
    return run("git", "diff", folder=tmp_path)


def test_lsdiff_lists_the_same(text_diff: bytes) -> None:
    """Lsdiff lists the same files with the same status and the same first lines of hunks."""
    listed = run("lsdiff", "--strip=1", "--status", "--line-number", stdin=text_diff).decode().splitlines()
    letters = {"modified": "!", "added": "+", "deleted": "-"}

    assert [(line.split()[1], line.split()[2]) for line in listed] == [
        (letters[change.status.value], change.path) for change in Patch.parse(text_diff).files
    ]


def test_filterdiff_chooses_the_same(text_diff: bytes) -> None:
    """Filterdiff keeps the same changes of the same files."""
    theirs = run("filterdiff", "--strip-match=1", "--include=f2*.txt", "--exclude=f22.txt", stdin=text_diff)

    assert is_same_change(Patch.parse(theirs), Patch.parse(text_diff).select(include=["f2*.txt"], exclude=["f22.txt"]))


def test_interdiff_agrees_about_equal_changes(text_diff: bytes, tmp_path: Path) -> None:
    """Interdiff finds no difference exactly where we report the same change."""
    original = Patch.parse(text_diff)
    other = Patch(text_diff.replace(b"+line four of 2\n", b"+line IV of 2\n"))
    written = Patch(bytes(original.reverse().reverse()))
    for name, patch in (("a", original), ("b", written), ("c", other)):
        (tmp_path / name).write_bytes(bytes(patch))

    assert (True, b"", False, True) == (
        is_same_change(original, written),
        run("interdiff", str(tmp_path / "a"), str(tmp_path / "b")),
        is_same_change(original, other),
        b"+line IV of 2\n" in run("interdiff", str(tmp_path / "a"), str(tmp_path / "c")),
    )


def test_git_counts_the_same() -> None:
    """``git apply --numstat`` counts the same lines in a patch of every kind of change."""
    data = (DATA / "dark_mode.patch").read_bytes()
    theirs = run("git", "apply", "--numstat", "-z", stdin=data).decode().split("\0")[:-1]

    assert theirs == [
        f"-\t-\t{change.path}" if change.is_binary else f"{change.added}\t{change.removed}\t{change.path}"
        for change in Patch.parse(data).files
    ]
