from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.diffstat import diffstat, stat_text
from coatcheck._patches.parse import Patch

if TYPE_CHECKING:
    from .conftest import Repository, Tree

LINES = b"".join(b"line %d\n" % number for number in range(200))
HALF = b"".join(b"line %d\n" % number for number in range(0, 200, 2))
DEEP = "a/rather/long/way/down/into/the/folders/of/a/project/that/somebody/has/sorted/by/hand"

CASES: dict[str, tuple[Tree, Tree]] = {
    "one line": ({"x": b"1\n"}, {"x": b"2\n"}),
    "only added": ({}, {"x": b"1\n2\n"}),
    "only removed": ({"x": b"1\n", "y": b""}, {"y": b""}),
    "empty files": ({"gone": b""}, {"new": b"", "other": b"x\n"}),
    "scaled": ({"big": LINES, "small": b"1\n"}, {"big": HALF, "small": b"2\n", "tiny": b"x\n"}),
    "scaled hard": ({"big": LINES * 20, "y": LINES}, {"big": HALF, "y": LINES + b"x\n"}),
    "long names": ({f"{DEEP}/file.py": LINES}, {f"{DEEP}/file.py": HALF, "short": b"x\n"}),
    "a long name without folders": ({"n" * 120: LINES}, {"n" * 120: HALF}),
    "mode": ({"x": b"1\n"}, {"x": (b"1\n", 0o755)}),
    "renames": (
        {"a/b/c.py": LINES, "top.py": LINES + b"2", "x/y.txt": LINES * 2},
        {"a/d/c.py": LINES, "moved.py": LINES + b"2", "x/z/y.txt": LINES * 2 + b"1\n"},
    ),
    "one folder more": ({"a/c.py": LINES}, {"a/a/c.py": LINES}),
    "names that are quoted": ({"ä b": b"1\n", 'q"': LINES}, {"ä b": b"2\n", "other": LINES}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_git_prints(name: str, repository: Repository) -> None:
    """The summary is git's, to the last sign."""
    old, new = repository.commit(CASES[name][0]), repository.commit(CASES[name][1])
    patch = Patch.parse(repository.git("diff", "--find-renames", old, new))

    assert repository.git("diff", "--stat", "--find-renames", old, new).decode() == stat_text(patch.files)


@pytest.mark.parametrize("width", [1, 22, 40, 120, 400])
def test_it_fits_as_git_makes_it_fit(width: int, repository: Repository) -> None:
    """The same holds for terminals of any width."""
    before, after = CASES["long names"]
    old, new = repository.commit({**before, "x": LINES * 9}), repository.commit({**after, "x": HALF})
    lines = diffstat(Patch.parse(repository.git("diff", old, new)).files, width=width)

    assert repository.git("diff", f"--stat={width}", old, new).decode().splitlines()[:-1] == [
        str(line) for line in lines
    ]


def test_binary_files_say_so(repository: Repository) -> None:
    """A diff has no sizes of binary files, so their line is that of git apply."""
    patch = repository.diff({"x": b"\0\1"}, {"x": b"\0\2" * 99, "y": b"1\n"}, "--binary")

    assert " x | Bin\n y |   1 +\n 2 files changed, 1 insertion(+)\n" == stat_text(Patch.parse(patch).files)


def test_nothing_is_nothing() -> None:
    """A patch of no files has no line but the last."""
    assert " 0 files changed\n" == stat_text(())
