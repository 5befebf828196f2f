from __future__ import annotations

import re

from tests.web.diffs.diff_support import diff

from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.candidate_files import candidate_files
from coatcheck._web.diffs.version_notes import note_html

BASE = b"".join(b"%d\n" % number for number in range(20))
SAME = BASE.replace(b"5\n", b"five\n", 1)
PATCHES = [
    Patch(diff(BASE, SAME, path="same") + diff(BASE, SAME, path="two") + diff(BASE, SAME, path="alone")),
    Patch(diff(BASE, SAME, path="same", context=1) + diff(BASE, BASE.replace(b"5\n", b"FIVE\n", 1), path="two")),
    Patch(diff(BASE, SAME, path="same", context=0) + diff(BASE, SAME, path="two")),
]


def test_the_same_change_has_the_same_version() -> None:
    """Changes are compared whatever their context is, and each file has as many versions as there are changes of it."""
    table = candidate_files(PATCHES)
    versions = {row.path: [cell and cell.version for cell in row.cells] for row in table.rows}

    assert {"alone": [1, None, None], "same": [1, 1, 1], "two": [1, 2, 1]} == versions
    assert (["alone", "two"], ["same"]) == ([row.path for row in table.differing], [row.path for row in table.same])


def test_a_file_names_who_else_changes_it() -> None:
    """The note of a file is about the candidate that is shown; with one candidate there is none."""
    rows = {row.path: row for row in candidate_files(PATCHES).rows}

    assert [
        "only candidate 1 changes this file",
        "the same in all 3 candidates",
        "the same in 3, different in 2",
        "different in 1 and 3",
        "",
    ] == [
        re.sub("<[^>]*>", "", note_html(row, number))
        for row, number in (
            (rows["alone"], 1),
            (rows["same"], 2),
            (rows["two"], 1),
            (rows["two"], 2),
            (candidate_files(PATCHES[:1]).rows[0], 1),
        )
    ]


def test_candidates_with_the_same_changes_are_found() -> None:
    """Two candidates are the same where each of their files is; sizes and files of one candidate are counted."""
    table = candidate_files([PATCHES[0], PATCHES[2], PATCHES[2], None, Patch(b"--- a/f\n+++ b/f\n@@ -1,9 +1 @@\n-a\n")])

    assert [(), (2,), (1,), (), ()] == [table.same_as(position) for position in range(5)]
    assert [(3, 3, 3), (2, 2, 2), (0, 0, 0)] == [table.size_of(position) for position in (0, 1, 3)]
    assert ({1: 4 / 6, 2: 4 / 6}, 1.0) == (table.shares[0], table.shares[1][2])
    assert (1, [4], (0, 1, 2)) == (table.alone(0), list(table.unreadable), table.rows[0].compared)


def test_binary_files_are_the_same_by_their_content() -> None:
    """Files that the diff does not contain are the same where their blobs are."""
    text = "diff --git a/f b/f\nindex 1111111..{} 100644\nBinary files a/f and b/f differ\n"
    table = candidate_files([Patch(text.format(blob).encode()) for blob in ("2222222", "3333333", "2222222")])

    assert [1, 2, 1] == [cell and cell.version for cell in table.rows[0].cells]
