from __future__ import annotations

import difflib
from collections.abc import Sequence

from hypothesis import given, settings, strategies as st

from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.base_files import content_with, split_lines
from coatcheck._web.diffs.interdiff import Method, interdiff


class Files:
    """A base of files in memory."""

    def __init__(self, **files: bytes) -> None:
        self._files = files

    def read(self, path: str, blob: str | None) -> bytes | None:
        """Return the file at *path*."""
        return self._files.get(path)


def diff(old: bytes, new: bytes, *, context: int = 3, path: str = "f") -> bytes:
    """Return the unified diff of one file, with git's notes."""
    sides = [[line.decode("latin-1") for line in split_lines(side)] for side in (old, new)]
    lines = difflib.unified_diff(*sides, f"a/{path}", f"b/{path}", n=context)
    return b"".join(
        line.encode("latin-1") + (b"" if line.endswith("\n") else b"\n\\ No newline at end of file\n") for line in lines
    )


def result(base: bytes, patch: bytes) -> bytes:
    """Return the file after the first file of a patch."""
    return content_with(Patch(patch).files[0].hunks, split_lines(base)) if patch else base


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"-", b"+", b"\\", b"@@ -1 +1 @@"]), max_size=14).map(b"\n".join)
ENDS = st.sampled_from([b"", b"\n"])
CONTENT = st.builds(lambda lines, end: lines + end if lines else b"", LINES, ENDS)


@settings(max_examples=60, deadline=None)
@given(base=CONTENT, left=CONTENT, right=CONTENT, context=st.sampled_from([0, 1, 3]), has_base=st.booleans())
def test_the_difference_leads_from_one_result_to_the_other(
    base: bytes, left: bytes, right: bytes, context: int, has_base: bool
) -> None:
    """Applied to base + left it makes base + right, with and without the base, for any context."""
    patches = [Patch(diff(base, side, context=context)) for side in (left, right)]

    differences = interdiff(*patches, Files(f=base) if has_base else None)

    assert right == (result(left, differences[0].diff) if differences else left)


CASES: Sequence[tuple[str, bytes, bytes, Method, bytes]] = []
