from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.compare import Overlap, diff_of_diffs, is_same_change, only_one_touches, overlap, same_changes
from coatcheck._patches.parse import Patch

if TYPE_CHECKING:
    from .conftest import Repository, Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))
FOUR = TEN.replace(b"line 4\n", b"line four\n")


@pytest.fixture
def make(repository: Repository):  # noqa: ANN201 - a closure; its users show how it is called
    """Return a maker of patches that all start from the same tree."""

    def make(after: Tree, *options: str) -> Patch:
        return Patch.parse(repository.diff({"x": TEN, "y": TEN}, after, *options))

    return make


def test_the_same_change_differently_written(make) -> None:  # noqa: ANN001
    """Context, ids, prefixes and the order of the files are no difference; one character of a line is."""
    after = {"x": FOUR, "y": b"new\n", "z": b"1\n"}
    plain, other = make(after), make(after, "--unified=0", "--no-prefix", "--full-index", "--patience")
    backward = Patch(b"".join(bytes(change) for change in reversed(plain.files)))
    different = make({**after, "z": b"2\n"})

    assert ([True, True, False], ((0, 1, 3), (2,))) == (
        [is_same_change(plain, each) for each in (other, backward, different)],
        same_changes([plain, other, different, backward]),
    )


def test_overlap(make) -> None:  # noqa: ANN001
    """Shared lines are counted over all lines; a file without lines counts as one."""
    left = make({"x": FOUR, "y": TEN})
    right = make({"x": FOUR, "y": FOUR})
    mode = make({"x": (TEN, 0o755), "y": TEN})

    assert (Overlap(share=0.5, both=("x",), right_only=("y",)), 1.0, 0.0, 1.0) == (
        overlap(left, right),
        overlap(right, right).share,
        overlap(left, mode).share,
        overlap(Patch(b""), Patch(b"")).share,
    )


def test_files_only_one_touches(make) -> None:  # noqa: ANN001
    """The paths that only one patch touches are returned for each."""
    patches = [make({"x": FOUR, "y": TEN}), make({"x": FOUR, "y": FOUR}), make({"x": FOUR, "y": TEN, "z": b""})]

    assert ((), ("y",), ("z",)) == only_one_touches(patches)


def test_diff_of_diffs(make) -> None:  # noqa: ANN001
    """The difference of two patches is a diff with two signs; equal files are left out."""
    left = make({"x": FOUR, "y": FOUR})
    right = make({"x": FOUR, "y": TEN.replace(b"line 4\n", b"line IV\n"), "z": b""})
    shown = diff_of_diffs(left, right, names=("1", "3"))

    assert ("", True, True, True, False) == (
        diff_of_diffs(left, make({"x": FOUR, "y": FOUR}, "--unified=1")),
        "--- 1/y\n+++ 3/y\n" in shown,
        "-+line four\n++line IV\n" in shown,
        "+ [added]\n" in shown,
        "1/x" in shown,
    )


def test_very_different_patches_are_shown_whole() -> None:
    """Two patches of thousands of different lines are not compared, which would take minutes: each is shown whole."""
    head = b"diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,5000 @@\n"
    left, right = (
        Patch(head + b"".join(b"+%d%s\n" % (number, name) for number in range(5000))) for name in (b"a", b"b")
    )
    shown = diff_of_diffs(left, right)

    assert [5000, 5000] == [sum(line[:2] == sign for line in shown.splitlines()[2:]) for sign in ("-+", "++")]
