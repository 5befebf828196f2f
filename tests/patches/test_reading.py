from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from tests.examples import examples

from coatcheck._patches.file_change import FileChange
from coatcheck._patches.hunk_match import misfits
from coatcheck._patches.parse import Patch
from coatcheck.errors import ConfigurationError, PatchError

from .conftest import Repository, make_repository

HUNK = b"@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
NEW = b"@@ -0,0 +1 @@\n+x\n"
FIRST = b"--- a/g\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n"


def paths(diff: bytes, *, strip: int | None = None, directory: str | None = None) -> list[tuple[str | None, ...]]:
    """Return the old and the new path of every file."""
    return [(each.old_path, each.new_path) for each in Patch.parse(diff, strip=strip, directory=directory).files]


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        (b"diff --git a/pkg/t/f b/t/f\nnew file mode 100644\n--- /dev/null\n+++ b/pkg/t/f\n" + NEW, [(None, "pkg/t/f")]),
        (b"diff --git /dev/null b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n" + NEW, [(None, "n")]),
        (b"diff --git /dev/null b/n\nnew file mode 100644\n", [(None, "n")]),
        (b"diff --git a/n /dev/null\ndeleted file mode 100644\n", [("n", None)]),
        (b"diff --git a/f b/f\nindex abc1234..def567g 100644\n--- a/f\n+++ b/f\n" + HUNK, [("f", "f")]),
        (b"diff --git a/f b/f\nindex 0000000..\nindex 1..2\n--- a/f\n+++ b/f\n" + HUNK, [("f", "f")]),
        (b"--- a/f 2020-01-01 12:00:00.000000000 +0000\n+++ b/f 2020-01-02 12:00:00 +0000\n" + HUNK, [("f", "f")]),
        (b"--- a/f.txt\n+++ a/f.txt.new\n" + HUNK, [("f.txt", "f.txt")]),
        (b"--- f.orig\n+++ f\n" + HUNK, [("f", "f")]),
        (b"--- f\n+++ f~\n" + HUNK, [("f", "f")]),
        (b"--- ./src/f\n+++ ./src/f\n" + HUNK, [("src/f", "src/f")]),
        (b"--- i/f\n+++ w/f\n" + HUNK + b"--- /dev/null\n+++ w/n\n" + NEW, [("f", "f"), (None, "n")]),
        (b"--- pkg.orig/c/m\n+++ pkg/c/m\n" + HUNK + b"--- /dev/null\n+++ pkg/c/n\n" + NEW, [("c/m", "c/m"), (None, "c/n")]),
        (b"--- /dev/null\n+++ pkg/n\n" + NEW + b"--- old/m\n+++ pkg/m\n" + HUNK, [(None, "n"), ("m", "m")]),
        (b'--- "p.o/\\303\\244"\n+++ "p/\\303\\244"\n' + HUNK + b"--- /dev/null\n+++ p/n\n" + NEW, [("ä", "ä"), (None, "n")]),
        (b"diff --git is discussed here\n\ndiff --git a/x b/x\n" + FIRST, [("g", "g")]),
        (FIRST + b"\n- a list\n- below the diff\n" + FIRST, [("g", "g")] * 2),
    ],
)  # fmt: skip
def test_names_are_read_as_git_reads_them(diff: bytes, expected: list[tuple[str | None, ...]]) -> None:
    """Prefixes of other files, times, suffixes and decoration do not change a path."""
    assert expected == paths(diff)


@pytest.mark.parametrize(
    ("strip", "directory", "expected"),
    [(0, None, "a/b/f"), (1, None, "b/f"), (2, None, "f"), (1, "top", "top/b/f"), (None, "top/in/", "top/in/a/b/f")],
)
def test_strip_and_directory_decide(strip: int | None, directory: str | None, expected: str) -> None:
    """A strip level and a directory do to names what git apply -p and --directory do."""
    assert [(expected, expected)] == paths(b"--- a/b/f\n+++ a/b/f\n" + HUNK, strip=strip, directory=directory)


def test_renames_are_stripped_by_one_less() -> None:
    """The names of a rename have no prefix, so git takes one component less off them."""
    diff = b"diff --git a/p/x b/p/y\nsimilarity index 100%\nrename from p/x\nrename to p/y\n"

    assert [("x", "y")] == paths(diff, strip=2)


@pytest.mark.parametrize(("strip", "directory"), [(-1, None), (None, "/etc"), (None, "../up")])
def test_bad_strip_and_directory_are_settings(strip: int | None, directory: str | None) -> None:
    """What is no strip level and no directory inside the tree is a configuration error."""
    with pytest.raises(ConfigurationError) as caught:
        Patch.parse(FIRST, strip=strip, directory=directory)

    assert caught.value.remedy


def test_too_high_a_strip_level_says_the_line() -> None:
    """A name with too few components is an error with the line of the header."""
    with pytest.raises(PatchError, match="fewer than 4 components") as caught:
        Patch.parse(FIRST + FIRST, strip=3)

    assert caught.value.line == 1


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "part",
    [
        b"diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n",
        b"diff --git a/n b/n\nold mode 100644\nnew mode 100755\n",
        b"diff --git a/n b/n\nnew file mode 100644\nindex 0000000..e69de29\n",
        b"diff --git a/n b/n\ndeleted file mode 100644\nindex e69de29..0000000\n",
        FIRST,
        b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\nSubject: x\n\n+ text\n---\n" + FIRST,
    ],
)  # fmt: skip
def test_a_byte_order_mark_before_a_part_changes_nothing(part: bytes) -> None:
    """Each part of a diff may begin with a byte order mark, as joined files of PowerShell do."""
    marked = Patch.parse((BYTE_ORDER_MARK + part) * 2)
    files = [bytes(each) for each in marked.files]

    assert [bytes(each) for each in Patch.parse(part * 2).files] == files


def test_choices_survive_copies_and_selections() -> None:
    """A selected, verified or pickled patch reads its names as the whole did."""
    diff = b"--- i/old/f\n+++ i/new/f\n" + HUNK + b"--- /dev/null\n+++ zz/n\n" + NEW + b"--- z/m\n+++ zz/m\n" + HUNK
    patch = Patch.parse(diff, directory="top")
    copies: list[FileChange] = [
        patch.select(include=["**/n"]).files[0],
        pickle.loads(pickle.dumps(patch)).files[1],
        pickle.loads(pickle.dumps(patch.files[1])),
        patch.verify().changes[1],
    ]

    assert ["top/n"] * 4 == [change.path for change in copies]


@pytest.mark.parametrize("name", ["work tree", "verify", "branch"])
def test_the_checkout_decides_between_strip_levels(name: str, repository: Repository) -> None:
    """Where the diff does not show it, the names are those that exist."""
    repository.commit({"src/f": b"one\ntwo\nthree\n", "src/g": b"one\ntwo\nthree\n"})
    diff = b"--- pkg/src/f\n+++ pkg/src/f\n" + HUNK + b"--- /dev/null\n+++ pkg/src/n\n" + NEW
    verified = Patch(diff).verify(base=repository.folder if name == "verify" else None)
    if name == "branch":
        verified.commit(repository.folder, branch="made", message="m")
        repository.git("checkout", "--quiet", "made")
    else:
        verified.apply(repository.folder)

    assert {"src/f": b"one\nTWO\nthree\n", "src/g": b"one\ntwo\nthree\n", "src/n": b"x\n"} == {
        path: content for path, (_, content) in repository.tree().items()
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pkg/new"], ["new"]),
        (["pkg/new", "pkg/sub/new"], ["new", "sub/new"]),
        (["new"], ["new"]),
        (["pkg/one", "two", "pkg/three"], ["one", "two", "pkg/three"]),
        (["b/new"], ["new"]),
        (["./pkg/new"], ["pkg/new"]),
    ],
)
def test_new_files_alone_are_named_as_git_names_them(
    names: list[str], expected: list[str], repository: Repository
) -> None:
    """In a plain diff that only adds files, one component is a prefix until a name has none."""
    repository.commit({"pkg/old": b"x\n"})
    diff = b"".join(b"--- /dev/null\n+++ %s\n%s" % (name.encode(), NEW) for name in names)
    repository.git("apply", stdin=diff)
    by_git = [name for name in expected if Path(repository.folder, name).exists()]
    repository.git("clean", "-fdq")
    Patch(diff).verify(base=repository.folder).apply(repository.folder)

    assert (expected, expected) == (by_git, [name for name in expected if Path(repository.folder, name).exists()])


@pytest.mark.parametrize(
    ("present", "name", "gone"),
    [
        ({"b/x", "y"}, "b/x", "b/x"),
        ({"a/x", "y"}, "a/x", "a/x"),
        ({"b/x", "x"}, "b/x", "x"),
        ({"x", "y"}, "a/x", "x"),
        ({"w/in/x", "y"}, "w/in/x", "w/in/x"),
        ({"in/x", "y"}, "old/in/x", "in/x"),
    ],
)
def test_a_deleted_file_is_the_one_that_exists(present: set[str], name: str, gone: str, repository: Repository) -> None:
    """A name beside /dev/null has a prefix only where the checkout has no file of the whole name."""
    repository.commit(dict.fromkeys(present, b"x\n"))
    Patch(b"--- %s\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" % name.encode()).verify().apply(repository.folder)

    assert present - {gone} == repository.tree().keys()


@pytest.mark.parametrize(
    "header",
    [
        "diff --git a/in//f b/in//f\nindex 1234567..7654321 100644\n--- a/in//f\n+++ b/in//f\n",
        "diff --git a/in//f b/in//f\n--- a/in//f\n+++ b/in//f\n",
        "--- a/in///f\n+++ b/in///f\n",
        "--- i/in//f\n+++ w/in//f\n",
    ],
)
def test_several_slashes_are_one(header: str) -> None:
    """Several slashes in a name are one, as git apply reads it (apply.c, ``squash_slash``)."""
    assert [("in/f", "in/f")] == paths(header.encode() + HUNK)


@pytest.mark.parametrize(
    ("second", "line", "reason"),
    [
        (b"--- a/f\n+++ b/f\n@@ ... @@\n-x\n+y\n", 8, "START,LINES"),
        (b"--- a/f\n+++ b/f\n-x\n+y\n", 6, "missing"),
        (b"diff --git a/f b/f\n-x\n+y\n", 6, "missing"),
        (b"@@ -1 +1 @@\nx\n", 7, "too early"),
        (b"*** f\t1\n--- f\t2\n***************\n*** 1 ****\n! x\n--- 1 ----\n! y\n", 8, "context diff"),
        (b"*** Begin Patch\n*** Update File: f\n@@\n-x\n+y\n*** End Patch\n", 6, "Codex patch"),
        (b"*** Update File: f\n@@\n-x\n+y\n", 6, "Codex patch"),
        (b"f\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n", 7, "search/replace"),
        (b"\x1b[1mdiff --git a/f b/f\x1b[m\n\x1b[1m--- a/f\x1b[m\n", 6, "colour"),
        (b"diff old/f new/f\n1c1\n< x\n---\n> y\n", 7, "normal diff"),
        (b"diff -e old/f new/f\n1c\ny\n.\n", 7, "ed script"),
        (b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n[-x-]{+y+}\n", 9, "word diff"),
        (b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n x\n", 9, "changes nothing"),
        (b"~\n", 6, "word diff"),
        ("diff --git a/f b/f\n".encode("utf-16"), 6, "UTF-16"),
        ("diff --git a/f b/f\n".encode("utf-16-be"), 6, "UTF-16"),
        ("diff --git a/f b/f\n".encode("utf-32"), 6, "UTF-32"),
        (b"diff -n old/f new/f\nd1 1\na1 1\ny\n", 7, "RCS script"),
        (b"--- a/f\n-x\n+y\n", 6, "is missing"),
        (b"+++ b/f\n-x\n+y\n", 6, "is missing"),
        (b"--- a/f\n+++ b/f\n", 6, "missing"),
        (b" z\n-x\n+y\n", 7, "more lines"),
        (b"\n z\n-x\n", 8, "more lines"),
        (b"\\ No newline at end of file\n+y\n", 7, "more lines"),
        (b"...\n-x\n+y\n", 6, "interrupts a hunk"),
        (b"# rest unchanged\n x\n\tz\n+y\n", 6, "interrupts a hunk"),
    ],
)
def test_what_git_would_drop_is_refused(second: bytes, line: int, reason: str) -> None:
    """A part of a diff that cannot be read is an error with its line and what it is."""
    with pytest.raises(PatchError, match=reason) as caught:
        Patch.parse(FIRST + second)

    assert line == caught.value.line


@pytest.mark.parametrize(
    "text",
    [b"Only in old: g...\n", b"...\n\n-Name\n", b"The rest:\n- a list\n", b"-- \n-the existing list\n"],
)
def test_text_below_a_hunk_is_left_out(text: bytes) -> None:
    """Prose, lists and signatures below a hunk are no part of the diff."""
    files = Patch.parse(FIRST + text + FIRST).files

    assert 2 == len(files)


@pytest.mark.parametrize("where", ["apply", "commit"])
@pytest.mark.parametrize("other", ["mode", "context", "rename", "binary", "new"])
def test_hunks_without_context_land_where_they_say(other: str, where: str, repository: Repository) -> None:
    """Beside any other change, an inserted line stays at its line and is not put at the end."""
    lines = [b"%d\n" % number for number in range(9)]
    others = {"m": (b"x\n", 0o755), "c": b"".join(lines).replace(b"4", b"four"), "r2": b"long\n" * 9, "b": b"\0after", "n": b"x\n"}  # fmt: skip
    before = {"f": b"".join(lines), "m": b"x\n", "c": b"".join(lines), "r": b"long\n" * 9, "b": b"\0before"}
    gone, name = {"mode": ("m", "m"), "context": ("c", "c"), "rename": ("r", "r2"), "binary": ("b", "b"), "new": ("", "n")}[other]  # fmt: skip
    after = {key: entry for key, entry in before.items() if key != gone} | {name: others[name]}
    after["f"] = b"".join([*lines[:2], b"NEW\n", *lines[2:7], b"OTHER\n", *lines[8:]])
    repository.diff(before, after)
    expected = repository.tree()
    diff = repository.git("diff", "-U0", "HEAD~1", "HEAD", "--", "f") + repository.git(
        "diff", "--binary", "-M", "HEAD~1", "HEAD", "--", ".", ":!f"
    )
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    verified = Patch(diff).verify(base=repository.folder)
    if where == "commit":
        verified.commit(repository.folder, branch="made", message="m")
        repository.git("checkout", "--quiet", "made")
    else:
        verified.apply(repository.folder)

    assert expected == repository.tree()


@pytest.mark.parametrize(
    ("before", "after"), [(b"a\nb", b"a\nc"), (b"a\nb\n", b"a\nb"), (b"a\nb", b""), (b"a", b"x\na")]
)
@pytest.mark.parametrize("other", [b"", b"other\n"])
def test_a_note_without_its_line_feed_is_read(
    before: bytes, after: bytes, other: bytes, repository: Repository
) -> None:
    """A diff that lost its last line feed (``$(git diff)``, ``strip()``) still ends a file without one."""
    diff = repository.diff({"e": b"", "f": before}, {"e": other, "f": after})
    expected = repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    Patch.parse(diff.strip()).verify(base=repository.folder).apply(repository.folder)

    assert expected == repository.tree()


@pytest.mark.parametrize("size", [4, 40])
def test_hunks_joined_without_outer_context_are_applied(size: int, repository: Repository) -> None:
    """A hunk of ``-U0 --inter-hunk-context`` has context only between its changes, and is applied where git made it."""
    lines = [b"%d\n" % number for number in range(size)]
    before = {"f": b"".join(lines)}
    after = {"f": b"".join([b"first\n", lines[1], b"third\n", *lines[3:]])}
    diff = repository.diff(before, after, "-U0", "--inter-hunk-context=3")
    expected = repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    Patch(diff).verify(base=repository.folder).apply(repository.folder, three_way=False)

    assert expected == repository.tree()


def test_other_line_ends_are_the_reason(repository: Repository) -> None:
    """A patch that only has other line ends than the file is not reported as without its base."""
    repository.commit({"f": b"one\ntwo\nthree\n"})
    diff = (b"--- a/f\n+++ b/f\n" + HUNK).replace(b"\n", b"\r\n")
    (outcome,) = Patch(diff).verify(base=repository.folder).apply(repository.folder, partial=True).files

    assert ("conflicted", "other line ends") == (outcome.status, outcome.kind)


def test_hunks_are_found_where_they_moved() -> None:
    """A hunk fits that moved, repeats or has CR LF; one whose lines are elsewhere does not."""
    lines = [b"line %d\n" % number for number in range(200)]
    body = b"".join(b"@@ -%d,2 +%d,2 @@\n %s-%s+new\n" % (at, at, lines[at - 1], lines[at]) for at in (3, 50, 120))
    (change,) = Patch.parse(b"--- a/f\n+++ b/f\n" + body).files
    content = b"".join([b"more\r\n"] * 70 + lines[:100] + [b"between\n"] + lines[100:119] + lines[150:])

    assert [120] == [hunk.old_start for hunk in misfits(content, change.hunks)]


COUNTER = itertools.count()
TEXT = st.lists(st.sampled_from(["a", "b", "", "-- x", "++ y", "@@ z", "  c"]), min_size=1, max_size=9)
FORMS = st.sampled_from(["", "--no-prefix", "--src-prefix=i/ --dst-prefix=w/", "--src-prefix=p.orig/ --dst-prefix=p/"])


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)  # fmt: skip
@given(before=TEXT, after=TEXT, added=TEXT, form=FORMS, context=st.sampled_from(["-U0", "-U3"]), is_plain=st.booleans())
@example(before=["a"], after=["a"], added=["b"], form="--no-prefix", context="-U3", is_plain=True)
@example(
    before=["a"], after=["a"], added=["b"], form="--src-prefix=p.orig/ --dst-prefix=p/", context="-U3", is_plain=True
)
def test_decorated_diffs_do_what_git_apply_does(
    before: list[str],
    after: list[str],
    added: list[str],
    form: str,
    context: str,
    *,
    is_plain: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """In every form of prefix, with or without git's header lines and context, the tree is the one git makes."""
    repository = make_repository(Path(tmp_path_factory.getbasetemp()) / f"reading{next(COUNTER)}")
    old, new, extra = ("".join(f"{line}\n" for line in lines).encode() for lines in (before, after, added))
    diff = repository.diff({"src/f": old}, {"src/f": new, "src/n": extra}, context, *form.split())
    if is_plain:
        dropped = (b"diff --git ", b"index ", b"new file mode ")
        diff = b"prose\n" + b"".join(line for line in diff.splitlines(keepends=True) if not line.startswith(dropped))
    expected = repository.tree()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    if is_plain and before == after:  # no name shows its prefix: git strips one component
        repository.git("apply", stdin=diff)
        expected = repository.tree()
        repository.git("clean", "--quiet", "-fd")
    Patch(diff).verify(base=repository.folder).apply(repository.folder)

    assert expected == repository.tree()
