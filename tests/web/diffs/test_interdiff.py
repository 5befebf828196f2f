from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from tests.examples import examples
from tests.web.diffs.diff_support import Files, diff

from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.base_files import ResultFiles, content_with, split_lines
from coatcheck._web.diffs.interdiff import Method, interdiff


def result(base: bytes, patch: bytes) -> bytes:
    """Return the file after the first file of a patch."""
    return content_with(Patch(patch).files[0].hunks, split_lines(base)) if patch else base


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"-", b"+", b"\\", b"@@ -1 +1 @@"]), max_size=14).map(b"\n".join)
ENDS = st.sampled_from([b"", b"\n"])
CONTENT = st.builds(lambda lines, end: lines + end if lines else b"", LINES, ENDS)


@settings(max_examples=examples(60), deadline=None)
@given(base=CONTENT, left=CONTENT, right=CONTENT, context=st.sampled_from([0, 1, 3]), has_base=st.booleans())
def test_the_difference_leads_from_one_result_to_the_other(
    base: bytes, left: bytes, right: bytes, context: int, has_base: bool
) -> None:
    """Applied to base + left it makes base + right, with and without the base, for any context."""
    patches = [Patch(diff(base, side, context=context)) for side in (left, right)]
    reader = Files({"f": base}) if has_base else None

    differences = interdiff(*patches, reader)

    assert right == (result(left, differences[0].diff) if differences else left)
    if has_base and patches[0]:
        assert left == ResultFiles(patches[0], reader).read("f", None)


NUMBERS = b"".join(b"%d\n" % number for number in range(1, 31))
GIT = "diff --git a/{0} b/{1}\n"


def git_diff(header: str, old: bytes = b"", new: bytes = b"") -> bytes:
    """Return a diff with git's header, and the hunks from *old* to *new*."""
    body = diff(old, new).split(b"\n", 2)
    return header.encode() + (body[2] if len(body) > 2 else b"")


RENAMED = GIT.format("f", "g") + "similarity index 90%\nrename from f\nrename to g\n--- a/f\n+++ b/g\n"
PLAIN = GIT.format("f", "f") + "--- a/f\n+++ b/f\n"
DELETED = GIT.format("f", "f") + "deleted file mode 100644\n--- a/f\n+++ /dev/null\n"
ADDED = GIT.format("f", "f") + "new file mode 100644\n--- /dev/null\n+++ b/f\n"
MODE = GIT.format("f", "f") + "old mode 100644\nnew mode 100755\n"
BLOBS = GIT.format("f", "f") + "index {}..2222222 100644\n--- a/f\n+++ b/f\n"
BINARY = GIT.format("f", "f") + "index 1111111..{} 100644\nBinary files a/f and b/f differ\n"
ONE, TWO = NUMBERS.replace(b"5\n", b"five\n", 1), NUMBERS.replace(b"25\n", b"x\n", 1)

CASES = {
    "the same change": (git_diff(PLAIN, NUMBERS, ONE), git_diff(PLAIN, NUMBERS, ONE), None, b""),
    "another context": (diff(NUMBERS, ONE, context=0), diff(NUMBERS, ONE), None, b""),
    "a rename": (git_diff(PLAIN, NUMBERS, ONE), git_diff(RENAMED, NUMBERS, ONE), Method.HUNKS, b"rename from f\nrename to g"),
    "a mode": (git_diff(MODE), git_diff(PLAIN, NUMBERS, ONE), Method.HUNKS, b"old mode 100755"),
    "deleted": (git_diff(PLAIN, NUMBERS, ONE), git_diff(DELETED, NUMBERS), Method.HUNKS, b"deleted file mode"),
    "restored": (git_diff(DELETED, NUMBERS), git_diff(PLAIN, NUMBERS, ONE), Method.HUNKS, b"+five"),
    "both added": (git_diff(ADDED, b"", b"a\nb\n"), git_diff(ADDED, b"", b"a\nc\n"), Method.BASE, b" a\n-b\n+c\n"),
    "only left": (git_diff(PLAIN, NUMBERS, ONE), b"", Method.LEFT, b"-five\n+5\n"),
    "only right": (b"", git_diff(PLAIN, NUMBERS, ONE), Method.RIGHT, b"-5\n+five\n"),
    "other versions": (git_diff(BLOBS.format("1111111"), NUMBERS, ONE), git_diff(BLOBS.format("3333333"), NUMBERS, TWO), Method.DIFFS, b"--5"),
    "contradicting lines": (diff(NUMBERS, ONE), diff(NUMBERS.replace(b"6\n", b"six\n", 1), NUMBERS), Method.DIFFS, b"six"),
    "binary": (BINARY.format("2222222").encode(), BINARY.format("3333333").encode(), Method.HUNKS, b"Binary files"),
    "several steps": (diff(NUMBERS, ONE) + diff(ONE, NUMBERS), diff(NUMBERS, TWO), Method.DIFFS, b"five"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_differences_of_one_path(name: str) -> None:
    """What both do to a path is compared by its results where they are known, and by its diffs otherwise."""
    left, right, method, part = CASES[name]

    differences = interdiff(Patch(left), Patch(right))

    assert [method] * (method is not None) == [each.method for each in differences]
    assert part in b"".join(each.diff for each in differences)


def test_far_changes_are_far_apart() -> None:
    """Lines that neither side changes and no hunk contains are between hunks, whose numbers are those of both results."""
    [difference] = interdiff(Patch(diff(NUMBERS, b"0\n" + ONE)), Patch(diff(NUMBERS, TWO)))
    hunks = Patch(difference.diff).files[0].hunks

    assert [(1, 1), (23, 22)] == [(hunk.old_start, hunk.new_start) for hunk in hunks]
