from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests.examples import examples

from coatcheck._fleet.merge_order import Change, merge_order
from coatcheck._fleet.merge_trial import MergeConflictError, MergeTrial
from coatcheck._fleet.overlap import OverlapIndex, widened
from coatcheck._patches.changed_lines import LAST_LINE, ChangedLines, changed_lines
from coatcheck._patches.git import git
from coatcheck._patches.parse import Patch

IDENTITY = ("user.name=A", "user.email=a@example.com")


def head(folder: Path) -> str:
    """Return the commit that is checked out."""
    return git("rev-parse", "HEAD", folder=folder).decode().strip()


def commit(folder: Path, files: dict[str, str | None]) -> str:
    """Commit files, None for one that is deleted; return the commit."""
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git("add", "--all", folder=folder)
    git("commit", "-q", "--allow-empty", "-m", "change", folder=folder, settings=IDENTITY)
    return head(folder)


class Repository:
    """A repository with a base, on which each change is made."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        git("init", "-q", "-b", "main", folder=folder)
        self.base = commit(folder, dict(files))

    def change(self, files: dict[str, str | None]) -> Patch:
        """Return the diff of a change to the base, as git writes it."""
        made = commit(self.folder, files)
        diff = git("diff", "--no-ext-diff", "--binary", "-M", self.base, made, folder=self.folder)
        git("reset", "-q", "--hard", self.base, folder=self.folder)
        return Patch.parse(diff)


def in_order(repository: Repository, patches: Sequence[Patch]) -> tuple[list[int], list[int], str]:
    """Merge patches in their order; return which were merged, which conflict, and the result."""
    ordered = merge_order(Change(number, changed_lines(patch), (number,)) for number, patch in enumerate(patches))
    trial, merged, conflicts = MergeTrial(repository.folder, repository.base), [], []
    for number in (each.item for each in ordered):
        try:
            trial.merge(repository.base, trial.commit(patches[number], repository.base))
        except MergeConflictError:
            conflicts.append(number)
        else:
            merged.append(number)
    return merged, conflicts, trial.result


def by_git(repository: Repository, patches: Sequence[Patch], order: Sequence[int]) -> str:
    """Cherry-pick commits of patches in this order, which fails where one conflicts; return the tree."""
    folder = repository.folder
    commits = {}
    for number in order:
        git("apply", "--index", "-", folder=folder, stdin=bytes(patches[number]))
        git("commit", "-q", "-m", "change", folder=folder, settings=IDENTITY)
        commits[number] = head(folder)
        git("reset", "-q", "--hard", repository.base, folder=folder)
    for number in order:
        git(
            "cherry-pick",
            "--allow-empty",
            "--keep-redundant-commits",
            commits[number],
            folder=folder,
            settings=IDENTITY,
        )
    tree = git("rev-parse", "HEAD^{tree}", folder=folder).decode().strip()
    git("reset", "-q", "--hard", repository.base, folder=folder)
    return tree


EDITS = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 59), st.sampled_from("+-~")), min_size=1, max_size=3),
    min_size=2,
    max_size=3,
)


def edited(lines: list[str], at: int, kind: str, name: str) -> list[str]:
    """Return lines with one inserted, deleted or changed."""
    new = [] if kind == "-" else [f"{name} {at}\n"]
    return [*lines[:at], *new, *lines[at if kind == "+" else at + 1 :]]


def trees_of(folder: Path, edits: list[list[tuple[str, int, str]]]) -> tuple[list[int], str, str]:
    """Merge edits of a base; return those that were merged or conflict, and the trees of the trial and of git."""
    base = {name: [f"{name}{number}\n" for number in range(60)] for name in "ab"}
    repository = Repository(folder, {name: "".join(lines) for name, lines in base.items()})
    patches = []
    for number, changes in enumerate(edits):
        files = {name: [*lines] for name, lines in base.items()}
        for name, at, kind in sorted(changes, key=lambda each: -each[1]):
            files[name] = edited(files[name], at, kind, f"change {number}")
        patches.append(repository.change({name: "".join(lines) for name, lines in files.items()}))
    merged, conflicts, result = in_order(repository, patches)
    tree = git("rev-parse", f"{result}^{{tree}}", folder=folder).decode().strip()
    return sorted([*merged, *conflicts]), tree, by_git(repository, patches, merged)


@given(EDITS)
@settings(max_examples=examples(4), deadline=None)
def test_each_patch_in_the_order_applies_on_those_before_it(
    tmp_path_factory: pytest.TempPathFactory, edits: list[list[tuple[str, int, str]]]
) -> None:
    """Git merges every change that the order has, one after another, to the tree that the trial has made."""
    merged, ours, gits = trees_of(tmp_path_factory.mktemp("r") / "api", edits)

    assert ([*range(len(edits))], gits) == (merged, ours)


@pytest.mark.slow
def test_conflicts_renames_and_deletions_are_what_git_finds(tmp_path: Path) -> None:
    """Two changes of a line conflict, as a deletion, a rename and an edit of one file do; all others are merged."""
    lines = [f"{number}\n" for number in range(40)]
    text = "".join(lines)
    repository = Repository(tmp_path / "api", {"a": text, "b": text, "c": text, "d": text})
    last = text.replace("39", "last")
    patches = [
        repository.change({"a": text.replace("20", "twenty")}),
        repository.change({"a": text.replace("20", "XX")}),
        repository.change({"a": last}),
        repository.change({"b": None}),
        repository.change({"b": last}),
        repository.change({"c": None, "moved/c": text}),
        repository.change({"c": last}),
        repository.change({"new": "one\n"}),
        repository.change({"new": "two\n"}),
        repository.change({"d": None, "d/file": "a folder\n"}),
    ]
    merged, conflicts, _ = in_order(repository, patches)

    assert ([0, 2, 3, 5, 7, 9], [1, 4, 6, 8]) == (merged, conflicts)


def test_equal_changes_are_merged_once(tmp_path: Path) -> None:
    """What two changes make alike (a file, a deletion, a line) is no conflict, and the rest of each is merged."""
    repository = Repository(tmp_path / "api", {"a": "one\n", "b": "one\n"})
    alike: dict[str, str | None] = {"a": "two\n", "b": None, "c": "new\n"}
    patches = [repository.change({**alike, f"own{number}": "mine\n"}) for number in range(3)]
    merged, conflicts, result = in_order(repository, patches)
    names = git("ls-tree", "--name-only", result, folder=repository.folder).split()

    assert ([0, 1, 2], []) == (merged, conflicts)
    assert [b"a", b"c", b"own0", b"own1", b"own2"] == names


def test_a_change_of_lines_nearby_waits_and_is_merged(tmp_path: Path) -> None:
    """A change close to another one is behind those that are far away, and is merged by 3-way."""
    text = "".join(f"{number}\n" for number in range(60))
    repository = Repository(tmp_path / "api", {"a": text})
    patches = [repository.change({"a": text.replace(f"\n{number}\n", f"\nX{number}\n")}) for number in (10, 12, 40)]
    merged, conflicts, _ = in_order(repository, patches)

    assert ([0, 2, 1], []) == (merged, conflicts)


def test_a_conflict_has_the_lines_of_both_sides(tmp_path: Path) -> None:
    """The error of a conflict names the files and shows what each side has."""
    repository = Repository(tmp_path / "api", {"a": "one\n"})
    trial = MergeTrial(repository.folder, repository.base)
    trial.merge(repository.base, trial.commit(repository.change({"a": "first\n"}), repository.base))
    with pytest.raises(MergeConflictError) as caught:
        trial.merge(repository.base, trial.commit(repository.change({"a": "second\n"}), repository.base))

    assert ("a",) == tuple(caught.value.files)
    assert all(text in caught.value.conflict for text in ("<<<<<<< changes before it\nfirst", "second\n>>>>>>> this"))


def test_ten_thousand_changes_are_ordered_by_an_index(tmp_path: Path) -> None:
    """The order of 10,000 changes with hot files is that of a comparison with each change before it."""
    source = random.Random(7)
    changes = [
        Change(number, [ChangedLines(f"f{int(source.paretovariate(1)) % 800}", first, first + 6)], (number,))
        for number, first in enumerate(source.choices(range(1, 4000), k=10_000))
    ]
    ordered = [each.item for each in merge_order(changes) if each.overlaps is None]
    by_file: dict[str, list[tuple[int, int]]] = {}
    expected = []
    for number, ((path, first, last),), _ in changes[:2000]:
        spans = by_file.setdefault(path, [])
        if all(last + 3 < other or rest < first - 3 for other, rest in spans):
            spans.append((max(0, first - 3), last + 3))
            expected.append(number)

    assert [] == [1 for first, last in by_file.get("", [])]
    assert expected == [number for number in ordered if number < 2000]


def test_what_is_no_change_of_lines_changes_the_whole_file() -> None:
    """New, deleted, renamed and binary files and modes overlap with any change of the same path."""
    diffs = {
        "mode": b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n",
        "rename": b"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n",
        "new": b"--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
        "deleted": b"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
    }
    whole = {kind: changed_lines(Patch.parse(diff))[0] for kind, diff in diffs.items()}

    assert dict.fromkeys(diffs, ChangedLines("x", 0, LAST_LINE)) == whole


def test_intervals_that_meet_are_one() -> None:
    """Hunks of one change that overlap once they are widened are one interval, and do not overlap with their own change."""
    lines = widened([ChangedLines("a", 20, 22), ChangedLines("a", 10, 15), ChangedLines("b", 1, 1)])
    index = OverlapIndex()
    index.add(lines, 1)

    assert [("a", 7, 25), ("b", 0, 4)] == lines
    assert [1, None] == [index.find([ChangedLines("a", at, at)]) for at in (25, 26)]
