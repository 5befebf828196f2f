"""Random trees and random options: facts and results are those of git."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from tests.examples import examples

from coatcheck._patches.parse import Patch
from coatcheck._patches.undo_journal import undo
from coatcheck.errors import PatchError

from .conftest import Repository, Tree, make_repository

# git is a process: thirty examples are some two hundred of them.
PROCESSES = settings(
    max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

NAMES = ("a", "b", "a b", "ä", 'q"\\t', "b a", "x.sql", "tab\there", "-", "d")
PATHS = st.sampled_from([*NAMES, *(f"{folder}/{name}" for folder in ("sub", "s u b", "a.d") for name in NAMES[:6])])

LINES = (
    b"", b"a", b"b", b"-- a/x", b"++ b/x", b"@@ -1 +1 @@", b"diff --git a/x b/x", b"\x0c", b"caf\xe9", b"\xe2\x80\xa8", b"x\r", b" ", b"\\ No newline", b"-- ", b"From 0"
)  # fmt: skip
TEXTS = st.builds(
    lambda lines, end: b"\n".join(lines) + (end if lines else b""),
    st.lists(st.sampled_from(LINES), max_size=12),
    st.sampled_from([b"\n", b"\n", b""]),
)
CONTENTS = st.one_of(TEXTS, TEXTS, TEXTS, st.binary(max_size=40).map(lambda data: b"\0" + data))
ENTRIES = st.one_of(CONTENTS, CONTENTS.map(lambda data: (data, 0o755)), st.sampled_from(["-> a", "-> sub"]))


def is_possible(tree: Tree) -> bool:
    """Whether no path is a folder of another."""
    return not any(other.startswith(f"{path}/") for path, other in itertools.permutations(tree, 2))


TREES = st.dictionaries(PATHS, ENTRIES, max_size=5).filter(is_possible)
OPTIONS = st.tuples(
    st.sampled_from(["--unified=0", "--unified=1", "--unified=3", "--unified=9"]),
    st.sampled_from(["--no-renames", "--find-renames=40%", "--find-copies-harder"]),
    st.sampled_from(["--no-prefix", "--src-prefix=i/", "--default-prefix", "--full-index"]),
    st.sampled_from(["--minimal", "--patience", "--histogram"]),
    st.sampled_from(["--binary", "--no-ext-diff"]),
)


def known(options: tuple[str, ...]) -> list[str]:
    """Leave out what is only there to make the others rarer, or what older versions of git do not have."""
    return [option for option in options if option not in ("--default-prefix", "--no-ext-diff")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the repositories of the examples."""
    return tmp_path_factory.mktemp("properties")


COUNTER = itertools.count()


def repository_in(folder: Path) -> Repository:
    """Start another repository."""
    return make_repository(folder / str(next(COUNTER)))


Row: TypeAlias = tuple[str, str, str]


def raw(repository: Repository, *options: str) -> dict[Row, tuple[str, str]]:
    """Read ``git diff --raw --numstat -z``: status and both paths, to added and removed lines as git prints them."""
    options = tuple(
        option for option in options if not option.startswith(("--unified", "--binary"))
    )  # they request text
    fields = iter(
        repository.git("diff", "--raw", "--numstat", "-z", *options, "HEAD~1", "HEAD")
        .decode("utf-8", "surrogateescape")
        .split("\0")
    )
    rows: dict[tuple[str, str], str] = {}
    counts: dict[tuple[str, str], tuple[str, str]] = {}
    for field in fields:
        if field.startswith(":"):
            status = field.split(" ")[4][0]
            old = next(fields)
            rows[old, next(fields) if status in "RC" else old] = status
        elif field:
            added, removed, path = field.split("\t", 2)
            pair = (path, path) if path else (next(fields), next(fields))
            counts[pair] = (added, removed)
    return {(status, *pair): counts[pair] for pair, status in rows.items()}


LETTERS = {
    "added": "A",
    "deleted": "D",
    "modified": "M",
    "renamed": "R",
    "copied": "C",
    "mode changed": "M",
    "type changed": "T",
}


def ours(patch: Patch) -> dict[Row, tuple[str, str]]:
    """Say the same of *patch*. A type change is two entries of the diff and one of git's list."""
    rows: dict[Row, tuple[str, str]] = {}
    for change in patch.files:
        old, new = change.old_path or change.path, change.new_path or change.path
        counts = ("-", "-") if change.is_binary else (str(change.added), str(change.removed))
        removed = rows.pop(("D", new, new), None)
        if removed is not None:
            both = (counts[0], removed[1]) if "-" not in (counts[0], removed[1]) else ("-", "-")
            rows["T", new, new] = both
        else:
            rows[LETTERS[change.status.value], old, new] = counts
    return rows


def growth(counts: tuple[str, str]) -> int | None:
    """Return by how many lines a file grows, None for a binary one."""
    return None if "-" in counts else int(counts[0]) - int(counts[1])


@PROCESSES
@given(before=TREES, after=TREES, options=OPTIONS)
@example(before={"a": b"a"}, after={"a": "-> a"}, options=("--no-renames",))
@example(before={"a": b"\na"}, after={"a": "-> a"}, options=("--no-renames",))
def test_it_says_what_git_says(before: Tree, after: Tree, options: tuple[str, ...], shared: Path) -> None:
    """Statuses, paths and counts agree with git's own lists, proved or not, and the bytes come back."""
    repository = repository_in(shared)
    diff = repository.diff(before, after, *known(options))
    theirs = raw(repository, *known(options))
    for row, counts in ours(Patch(diff)).items():
        if counts == ("0", "0") and row[0] in "RCM" and theirs[row] == ("-", "-"):
            theirs[row] = counts  # a binary file that only moved: the diff does not show that it is binary
        if row[0] == "T" and growth(theirs[row]) == growth(counts):
            theirs[row] = counts  # git's list compares the file with the target of the link, its diff has both whole

    assert (theirs, theirs, diff) == (ours(Patch.parse(diff)), ours(Patch(diff)), bytes(Patch.parse(diff)))


@PROCESSES
@given(before=TREES, after=TREES, options=OPTIONS)
def test_it_makes_what_git_makes(before: Tree, after: Tree, options: tuple[str, ...], shared: Path) -> None:
    """Where git applies its diff, the result is the same tree; undo restores the one before; so does the reverse."""
    repository = repository_in(shared)
    diff = repository.diff(before, after, *known(options), "--binary", "--full-index")
    expected = repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    start = repository.tree()
    if not diff:
        return
    patch = Patch(diff).verify(base=repository.folder)
    done = patch.apply(repository.folder)
    made = repository.tree()
    undo(repository.folder)

    assert (expected, True, start, b"") == (
        made,
        done.is_complete,
        repository.tree(),
        repository.git("status", "--porcelain"),
    )


@PROCESSES
@given(before=TREES, after=TREES)
def test_the_reverse_takes_back(before: Tree, after: Tree, shared: Path) -> None:
    """What a patch did, its reverse undoes."""
    repository = repository_in(shared)
    diff = repository.diff(before, after, "--binary", "--full-index", "-M")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    start = repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD@{1}")
    back = Patch(diff).reverse()
    if diff:
        back.verify(base=repository.folder).apply(repository.folder)

    assert (start, diff) == (repository.tree(), bytes(back.reverse()) if diff else diff)


SNIPPETS = st.sampled_from(
    [
        b"diff --git a/x b/x\n", b"--- a/x\n", b"+++ b/x\n", b"@@ -1 +1 @@\n", b"@@ -1,2 +1,2 @@ f\n", b"-a\n", b"+b\n", b" c\n", b"\n", b"\\ No newline at end of file\n",
        b"rename from x\n", b"rename to y\n", b"new file mode 100644\n", b"index 1111111..2222222 100644\n", b"GIT binary patch\n", b"literal 3\nKcmZQzWMT#Y01f~L\n\n",
        b"diff --cc x\n", b"index 1111111,2222222..3333333\n", b"@@@ -1 -1 +1 @@@\n", b"++b\n", b"Binary files a/x and b/x differ\n",
        b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n", b"---\n", b"-- \n2.39.5\n", b"--- /dev/null\n", b'--- "a/\\303\\266"\n',
    ]
)  # fmt: skip


@settings(max_examples=examples(400))
@given(pieces=st.lists(st.one_of(SNIPPETS, SNIPPETS, SNIPPETS, st.binary(max_size=8)), max_size=25))
def test_anything_is_read_or_refused(pieces: list[bytes]) -> None:
    """Whatever the text, it is a patch whose every fact can be read, or a `PatchError` with a line."""
    data = b"".join(pieces)
    try:
        patch = Patch.parse(data)
    except PatchError as error:
        line = error.line
    else:
        line = None
        assert_every_fact_is_there(data, patch)

    assert line is None or 1 <= line <= data.count(b"\n") + 1


def assert_every_fact_is_there(data: bytes, patch: Patch) -> None:
    """Read every fact."""
    for change in patch.files:
        counted = [(line.sign.count("+") > 0, line.sign.count("-") > 0) for hunk in change.hunks for line in hunk.lines]
        repr(change)

        assert (change.added, change.removed) == (
            sum(plus and not minus for plus, minus in counted),
            sum(minus for _, minus in counted),
        )
    assert data == bytes(patch)
