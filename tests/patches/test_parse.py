from __future__ import annotations

import pickle
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import unidiff

from coatcheck._patches.header import ChangeStatus
from coatcheck._patches.parse import Patch
from coatcheck._patches.patch_stats import DiffStats
from coatcheck.errors import PatchError

if TYPE_CHECKING:
    from .conftest import Repository, Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))
TEN_EDITED = TEN.replace(b"line 4\n", b"line four\n")
BYTES = bytes(range(256)) * 4

# Status, old path, new path, added, removed: the facts of a file.
Fact = tuple[str, str | None, str | None, int, int]


def facts(patch: Patch) -> list[Fact]:
    """Return the facts of each file."""
    return [(each.status.value, each.old_path, each.new_path, each.added, each.removed) for each in patch.files]


class Trap(NamedTuple):
    """Two trees, the options of git diff, and the expected facts."""

    before: Tree
    after: Tree
    options: tuple[str, ...]
    expected: list[Fact]


TRAPS = {
    "pure rename": Trap({"a": TEN}, {"b": TEN}, ("-M",), [("renamed", "a", "b", 0, 0)]),
    "rename with edit": Trap({"a": TEN}, {"b": TEN_EDITED}, ("-M",), [("renamed", "a", "b", 1, 1)]),
    "rename into a folder of another's name": Trap({"a/x": TEN}, {"b/x": TEN}, ("-M", "--no-prefix"), [("renamed", "a/x", "b/x", 0, 0)]),
    "copy": Trap({"a": TEN}, {"a": TEN, "b": TEN_EDITED}, ("-C", "--find-copies-harder"), [("copied", "a", "b", 1, 1)]),
    "mode only": Trap({"run": TEN}, {"run": (TEN, 0o755)}, (), [("mode changed", "run", "run", 0, 0)]),
    "mode and content": Trap({"run": TEN}, {"run": (TEN_EDITED, 0o755)}, (), [("modified", "run", "run", 1, 1)]),
    "binary patch": Trap({"x": BYTES}, {"x": BYTES[::-1]}, ("--binary",), [("modified", "x", "x", 0, 0)]),
    "binary patch of a new file": Trap({}, {"x": BYTES}, ("--binary",), [("added", None, "x", 0, 0)]),
    "binary files differ": Trap({"x y": BYTES}, {"x y": BYTES[::-1]}, (), [("modified", "x y", "x y", 0, 0)]),
    "no newline at end": Trap({"x": b"a\nb"}, {"x": b"a\nc"}, (), [("modified", "x", "x", 1, 1)]),
    "newline at end gained": Trap({"x": b"a\nb"}, {"x": b"a\nb\n"}, (), [("modified", "x", "x", 1, 1)]),
    "no newline, twice in one diff": Trap(
        {"x": b"a", "y": b"a\nb"}, {"x": b"b", "y": b"c\nb"}, (), [("modified", "x", "x", 1, 1), ("modified", "y", "y", 1, 1)]
    ),
    "quoted path": Trap({'tab\t"ö\\': b"a\n"}, {'tab\t"ö\\': b"b\n"}, (), [("modified",) + ('tab\t"ö\\',) * 2 + (1, 1)]),
    "quoted rename": Trap({"ä": TEN}, {"ö": TEN}, ("-M",), [("renamed", "ä", "ö", 0, 0)]),
    "path that is no UTF-8": Trap({"\udce4": b"a\n"}, {"\udce4": b"b\n"}, (), [("modified", "\udce4", "\udce4", 1, 1)]),
    "unquoted path": Trap({"ä b": b"a\n"}, {"ä b": b"b\n"}, ("-c", "quote"), [("modified", "ä b", "ä b", 1, 1)]),
    "blanks in paths": Trap({"a b/c d": b"a\n"}, {"a b/c d": b"b\n"}, (), [("modified", "a b/c d", "a b/c d", 1, 1)]),
    "blanks and no names": Trap({"x b/x": b""}, {}, (), [("deleted", "x b/x", None, 0, 0)]),
    "blanks, mode only, no prefix": Trap({"a b a": b""}, {"a b a": (b"", 0o755)}, ("--no-prefix",), [("mode changed", "a b a", "a b a", 0, 0)]),
    "carriage returns": Trap({"x": b"a\r\nb\r\n"}, {"x": b"a\r\nc\r\n"}, (), [("modified", "x", "x", 1, 1)]),
    "empty file added": Trap({}, {"x": b""}, (), [("added", None, "x", 0, 0)]),
    "empty file deleted": Trap({"x": b""}, {}, (), [("deleted", "x", None, 0, 0)]),
    "lines like headers": Trap(
        {"x": b"-- a/x\n++ b/x\n", "y": b"a\n"},
        {"x": b"++ b/x\n@@ -1 +1 @@\ndiff --git a/z b/z\n-- /dev/null\n", "y": b"b\n"},
        (),
        [("modified", "x", "x", 3, 1), ("modified", "y", "y", 1, 1)],
    ),
    "lines like headers, no context": Trap(
        {"x": b"-- a/x\nk\n-- b\n"}, {"x": b"++ b/x\nk\n++ b\n"}, ("--unified=0",), [("modified", "x", "x", 2, 2)]
    ),
    "no prefix": Trap({"a/x": b"1\n"}, {"a/x": b"2\n"}, ("--no-prefix",), [("modified", "a/x", "a/x", 1, 1)]),
    "mnemonic prefix": Trap({"x": b"1\n", "y": b""}, {"x": b"2\n"}, ("--src-prefix=c/", "--dst-prefix=i/"), [("modified", "x", "x", 1, 1), ("deleted", "y", None, 0, 0)]),
    "one-sided prefix": Trap({"d/x": b"1\n"}, {"d/x": b"2\n"}, ("--src-prefix=", "--dst-prefix=b/"), [("modified", "d/x", "d/x", 1, 1)]),
    "backward": Trap({"x": b"1\n"}, {"x": b"2\n", "y": b"1\n"}, ("-R",), [("modified", "x", "x", 1, 1), ("deleted", "y", None, 0, 1)]),
    "symbolic link": Trap({"x": "-> a"}, {"x": "-> b"}, (), [("modified", "x", "x", 1, 1)]),
    "type change": Trap({"x": b"a\n"}, {"x": "-> b"}, (), [("deleted", "x", None, 0, 1), ("added", None, "x", 1, 0)]),
    "odd separators": Trap({"x": b"a\x0cb\x0bc\x1cd\xc2\x85e\rf\n"}, {"x": "a\x0cb\u2028c\n".encode()}, (), [("modified", "x", "x", 1, 1)]),
    "latin-1": Trap({"x": b"caf\xe9\n"}, {"x": b"th\xe9\n"}, (), [("modified", "x", "x", 1, 1)]),
    "zero context": Trap({"x": TEN}, {"x": TEN_EDITED.replace(b"line 8\n", b"")}, ("--unified=0",), [("modified", "x", "x", 1, 2)]),
    "whole file as context": Trap({"x": TEN}, {"x": TEN_EDITED}, ("--unified=1000",), [("modified", "x", "x", 1, 1)]),
    "new and deleted": Trap({"x": TEN}, {"y": b"1\n"}, (), [("deleted", "x", None, 0, 10), ("added", None, "y", 1, 0)]),
    "whole-file rewrite": Trap({"x": TEN}, {"x": TEN.upper()}, ("-B",), [("modified", "x", "x", 10, 10)]),
    "full ids": Trap({"x": b"1\n"}, {"x": b"2\n"}, ("--full-index",), [("modified", "x", "x", 1, 1)]),
    "function names behind the ranges": Trap(
        {"x.c": b"int f(void) {\n" + TEN * 2}, {"x.c": b"int f(void) {\n" + TEN + TEN_EDITED}, (), [("modified", "x.c", "x.c", 1, 1)]
    ),
    "statistics above": Trap({"x": b"1\n"}, {"x": b"2\n"}, ("--patch-with-stat", "--summary"), [("modified", "x", "x", 1, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_traps(name: str, repository: Repository) -> None:
    """What git writes is read as git meant it, proved or not, and comes back byte for byte."""
    trap = TRAPS[name]
    options = [option for option in trap.options if option not in ("-c", "quote")]
    if "quote" in trap.options:
        repository.git("config", "core.quotePath", "false")
    diff = repository.diff(trap.before, trap.after, *options)

    assert (trap.expected, trap.expected, diff) == (
        facts(Patch.parse(diff)),
        facts(Patch(diff)),
        bytes(Patch.parse(diff)),
    )


def test_a_mail_series_is_read_without_its_messages(repository: Repository) -> None:
    """A message may quote a diff, a signature is like a removed line, and a path may occur twice."""
    quoted = "Quote\n\ndiff --git a/no b/no\n--- a/no\n+++ b/no\n@@ -1 +1 @@\n-a\n+b\n"
    repository.commit({"x": TEN})
    repository.commit({"x": TEN_EDITED}, quoted)
    repository.commit({"x": TEN_EDITED + b"more\n", "-- y": b"- a\n"}, quoted)
    mails = repository.git("format-patch", "--stdout", "-2")

    expected = [("modified", "x", "x", 1, 1), ("added", None, "-- y", 1, 0), ("modified", "x", "x", 1, 0)]
    assert (expected, expected) == (facts(Patch.parse(mails)), facts(Patch(mails)))


def test_a_log_is_read_without_its_messages(repository: Repository) -> None:
    """The blank line and the commit's header after a hunk are not part of it."""
    repository.commit({"x": b"\n\n\n1\n\n\n\n"})
    repository.commit({"x": b"\n\n\n2\n\n\n\n"})
    repository.commit({"x": b"\n\n\n3\n\n\n\n"})
    log = repository.git("log", "--patch", "-2")

    assert [("modified", "x", "x", 1, 1)] * 2 == facts(Patch(log)) == facts(Patch.parse(log))


def test_stripped_context(repository: Repository) -> None:
    """An empty context line without its blank is a context line."""
    diff = repository.diff({"x": b"a\n\nb\n\nc\n"}, {"x": b"a\n\nB\n\nc\n"}).replace(b"\n \n", b"\n\n")

    assert [("modified", "x", "x", 1, 1)] == facts(Patch.parse(diff))


def test_a_blank_line_at_the_end_belongs_to_nothing(repository: Repository) -> None:
    """Whoever pastes a diff leaves an empty line behind it."""
    diff = repository.diff({"x": TEN}, {"x": TEN_EDITED})
    patch = Patch.parse(diff + b"\n\n")

    assert diff == bytes(patch.files[0])


def test_submodule(repository: Repository) -> None:
    """A submodule's commit is a line of text, and its mode marks it."""
    old, new = "1" * 40, "2" * 40
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{old},sub")
    repository.git("commit", "--quiet", "--message=sub")
    repository.git("update-index", "--cacheinfo", f"160000,{new},sub")
    patch = Patch.parse(repository.git("diff", "--cached"))

    assert ([("modified", "sub", "sub", 1, 1)], True) == (facts(patch), patch.files[0].is_submodule)


def test_combined_diff(repository: Repository) -> None:
    """The diff of a merge has one range and one sign per parent."""
    repository.commit({"x": TEN})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit({"x": TEN.replace(b"line 4", b"line IV")})
    repository.git("checkout", "--quiet", "main")
    repository.commit({"x": TEN_EDITED})
    repository.git("merge", "side", accept=(1,))
    repository.write({"x": TEN.replace(b"line 4\n", b"4a\n4b\n")})
    repository.git("commit", "--all", "--quiet", "--message=merge")
    patch = Patch.parse(repository.git("show", "HEAD"))
    (hunk,) = patch.files[0].hunks

    assert ([("modified", "x", "x", 2, 2)], True, ((2, 7), (2, 7)), "++") == (
        facts(patch),
        patch.files[0].is_combined,
        hunk.old_ranges,
        next(line.sign for line in hunk.lines if line.content == b"4a\n"),
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"x": b"a\n"}, {"x": b"b\n"}, [("modified", "x", "x", 1, 1)]),
        (
            {"x": b"a\n-- q\n"},
            {"x": b"b\n++ q\n", "y z": b"1\n"},
            [("modified", "x", "x", 2, 2), ("added", None, "y z", 1, 0)],
        ),
        ({"x": b"a\n", "y z": b"1\n"}, {"x": b"a\n"}, [("deleted", "y z", None, 0, 1)]),
        ({"x y": BYTES}, {"x y": BYTES[::-1]}, [("modified", "x y", "x y", 0, 0)]),
    ],
)
def test_plain_diff(before: Tree, after: Tree, expected: list[Fact], tmp_path: Path) -> None:
    """What diff(1) writes has no header but two lines with a time; a file that is not there has the time 0."""
    from .conftest import Repository

    for name, tree in (("old", before), ("new", after)):
        (tmp_path / name).mkdir()
        Repository(tmp_path / name).put(tree)
    diff = subprocess.run(
        ["diff", "-ruN", "old", "new"], cwd=tmp_path, capture_output=True, check=False, timeout=60
    ).stdout

    assert expected == facts(Patch.parse(diff))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"--- a/x y\t\n+++ b/x y\t\n", ("modified", "x y", "x y", 1, 1)),
        (b"--- d/x.orig\n+++ d/x\n", ("modified", "d/x", "d/x", 1, 1)),
        (b"--- a/x\n+++ b/y\n", ("modified", "y", "y", 1, 1)),
        (b"--- /dev/null\n+++ b/x\n", ("added", None, "x", 1, 1)),
        (b"--- a/x\r\n+++ b/x\r\n", ("modified", "x", "x", 1, 1)),
        (b"--- x\t1969-12-31 19:00:00.000000000 -0500\n+++ x\t2026-01-01 00:00:00 +0100\n", ("added", None, "x", 1, 1)),
        (
            b"--- x\t2026-01-01 00:00:00 +0100\n+++ x\t1970-01-01 01:00:00.000000000 +0100\n",
            ("deleted", "x", None, 1, 1),
        ),
        (b'--- "a/\\303\\266"\n+++ "b/\\303\\266"\n', ("modified", "ö", "ö", 1, 1)),
    ],
)
def test_headers_without_git(header: bytes, expected: Fact) -> None:
    """Two lines are enough of a header."""
    assert [expected] == facts(Patch.parse(header + b"@@ -1 +1 @@\n-a\n+b\n"))


MODIFIED = b"diff --git a/x b/x\nindex 1111111..2222222 100644\n--- a/x\n+++ b/x\n"


@pytest.mark.parametrize(
    ("diff", "line", "reason"),
    [
        (b"hello\n", 1, "no diff"),
        (MODIFIED, 5, "none follows"),
        (MODIFIED + b"@@ -1,2 +1,2 @@\n a\n-b\n", 8, "middle of a hunk"),
        (MODIFIED + b"@@ -1,6 +1,6 @@\n a\n-b\n-c\n-d\n+B\n+C\n+D\n", 13, "middle of a hunk"),
        (MODIFIED + b"@@ -1,3 +1,3 @@\n a\n b\n+c\n+d\n", 9, "other lines"),
        (MODIFIED + b"@@ -1 +1 @@\n-a\n+b\n+c\n", 8, "more lines"),
        (MODIFIED + b"@@ -1 +1 @@\n-a\nx\n+b\n", 7, "too early"),
        (MODIFIED + b"@@ -1,2 +1,2 @@\n-a\n+b\n\\x\n", 9, "middle of a hunk"),
        (MODIFIED + b"@@ -1 +1 @@\n-a\n+b\n@@ def f():\n", 8, "START,LINES"),
        (MODIFIED + b"@@ -1" + b"1" * 5000 + b" +1 @@\n-a\n+b\n", 5, "START,LINES"),
        (b"\n@@ -1 +1 @@\n-a\n+b\n", 2, "without a file header"),
        (b"diff --git a/x b/y\nindex 1111111..2222222 100644\n", 1, "path of the header is ambiguous"),
        (b"diff --git a/x b/x\nrename from x\n", 1, "only one of"),
        (b"diff --git a/x b/x\nold mode 100644\nold mode 100755\n", 3, "twice"),
        (b"diff --git a/x b/x\nold mode 1x\nnew mode 100755\n", 2, "octal"),
        (b"diff --git a/x b/x\nnew file mode 100644\ndeleted file mode 100644\n", 1, "creates and deletes"),
        (b'diff --git "a/x b/x\nold mode 100644\n', 1, "closing quote"),
        (b'diff --git "a/\\q" "b/\\q"\nold mode 100644\n', 1, "escape"),
        (b"diff --git a/x b/x\nindex 1..2\nGIT binary patch\n", 4, "binary patch"),
        (b"diff --git a/x b/x\nindex 1111..2222\nGIT binary patch\nnonsense\n", 4, "binary patch"),
        (b"diff --cc x\n", 1, "parents"),
        (b"diff --cc x\nindex 1111,2222..3333\n--- a/x\n+++ b/x\n@@@ -1,2 -1 +1 @@@\n  a\nx\n", 7, "too early"),
        ("diff\ud800", 1, "surrogate"),
    ],
)  # fmt: skip
def test_malformed_diffs_say_where(diff: bytes | str, line: int, reason: str) -> None:
    """What cannot be read is refused with its line and a reason."""
    with pytest.raises(PatchError, match=reason) as caught:
        Patch.parse(diff)

    assert line == caught.value.line


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        b"diff --git a/x b/x\n",
        b"diff --git " + b"a " * 3000 + b"\n",
        b'diff --git "' + b"\\" * 4000 + b"\n",
        b"@@ -1 +1 @@\n",
        MODIFIED + b"@@ -1,9 +1,9 @@\n" + b"-" * 300 + b"\n",
        MODIFIED + b"@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n",
        b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\n",
        b"--- a\n+++ b\n",
        b"--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n-- \n",
        b"Binary files and and and differ and\n",
        b"diff --git a/x b/x\nGIT binary patch\nliteral 1\nAaaaaa\n",
        b"rename from x\n",
        b"\\ \n",
        b"\n",
    ],
)
def test_no_input_takes_more_than_linear_time(piece: bytes) -> None:
    """Half a megabyte of anything is read or refused; in quadratic time it would take minutes, and the test be ended."""
    diff = piece * (500_000 // len(piece))
    ends = []
    for read in (Patch.parse, lambda text: Patch(text).files):
        try:
            read(diff)
            ends.append("read")
        except PatchError:
            ends.append("refused")

    assert len(ends) == 2


def test_one_long_line_is_linear() -> None:
    """A header that is a megabyte long is refused; in quadratic time the test would be ended."""
    with pytest.raises(PatchError) as caught:
        Patch.parse(b"diff --git " + b"a b/" * 250_000)

    assert caught.value.line == 1


def test_facts_of_a_change(dark_mode: bytes) -> None:
    """A change has modes, blob ids, similarity, hunks with exact ranges, and its line in the diff."""
    patch = Patch.parse(dark_mode)
    (moved,) = patch.at("src/vendor/zahlen.txt")
    (hunk,) = moved.hunks

    assert (
        moved.status,
        moved.similarity,
        moved.old_mode,
        (moved.old_id, moved.new_id),
        (hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines),
        [(line.sign, line.text) for line in hunk.lines if line.sign != " "],
        str(moved).splitlines()[0] == dark_mode.decode().splitlines()[moved.line - 1],
        patch.at("src/vendor/numbers.txt") == (moved,),
    ) == (
        ChangeStatus.RENAMED,
        90,
        0o100644,
        ("e8823e1", "5401050"),
        (12, 7, 12, 7),
        [("-", "15\n"), ("+", "fifteen\n")],
        True,
        True,
    )


def test_no_newline_is_in_the_line(dark_mode: bytes) -> None:
    """A line ends as it ends in the file."""
    (change,) = Patch.parse(dark_mode).at("NOTES")

    assert [b"no newline at end", b"no newline at end, changed"] == [line.content for line in change.hunks[0].lines]


def test_binary_parts(dark_mode: bytes) -> None:
    """A git binary patch is kept, forward and backward."""
    (change,) = Patch.parse(dark_mode).at("assets/logo.bin")

    assert [("literal", 11), ("literal", 10)] == [(part.method, part.size) for part in change.binary]


def test_statistics(dark_mode: bytes) -> None:
    """Files and lines are counted in all and per language; git counts the same."""
    stats = Patch.parse(dark_mode).stats

    assert ((11, 16, 6), DiffStats(files=1, added=7), DiffStats(files=2, added=3, removed=3)) == (
        (stats.files, stats.added, stats.removed),
        stats.by_language["CSS"],
        stats.by_language["JavaScript"],
    )


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.css"], [], ["src/css/site.css"]),
        (["src"], ["*.js", "src/vendor/"], ["src/crlf.txt", "src/css/site.css", "src/empty.txt", "src/trap.sql"]),
        (["src/*.txt"], [], ["src/crlf.txt", "src/empty.txt"]),
        (["src/**/*.txt"], [], ["src/crlf.txt", "src/empty.txt", "src/vendor/zahlen.txt"]),
        (["./src/*.txt"], ["././src/crlf.txt"], ["src/empty.txt"]),
        (["./NOTES", "./empty.txt"], [], ["NOTES"]),
        (["numbers.txt"], [], ["src/vendor/zahlen.txt"]),
        (["[!a-z]*"], ["docs"], ["NOTES"]),
        (["n?tes"], [], []),
    ],
)
def test_select(include: list[str], exclude: list[str], expected: list[str], dark_mode: bytes) -> None:
    """Patterns choose files as in a .gitignore, by the old or the new name."""
    chosen = Patch.parse(dark_mode).select(include=include, exclude=exclude)

    assert expected == [change.path for change in chosen.files]


def test_reverse_takes_a_patch_back(site: Repository, dark_mode: bytes) -> None:
    """Git applies a patch and its reverse, and nothing has happened; twice reversed is the patch itself."""
    before = site.tree()
    site.git("apply", stdin=dark_mode)
    patch = Patch.parse(dark_mode)
    site.git("apply", stdin=bytes(patch.reverse()))

    assert (before, dark_mode) == (site.tree(), bytes(patch.reverse().reverse()))


def test_what_has_no_way_back_says_so(repository: Repository) -> None:
    """A copy cannot be reversed without the file it made."""
    copy = Patch.parse(repository.diff(TRAPS["copy"].before, TRAPS["copy"].after, *TRAPS["copy"].options))
    with pytest.raises(PatchError, match="copy"):
        copy.reverse()


def test_a_patch_is_a_value(dark_mode: bytes) -> None:
    """Patches of the same bytes are equal; a patch can be pickled, is true when it has bytes, and prints short."""
    patch = Patch.parse(dark_mode)

    assert (patch, hash(patch), len(dark_mode), True, False, str(patch), f"<Patch of {len(dark_mode)} bytes>") == (
        pickle.loads(pickle.dumps(patch)),
        hash(Patch(dark_mode)),
        len(patch),
        bool(patch),
        bool(Patch(b"")),
        dark_mode.decode(),
        repr(patch),
    )


def test_text_keeps_every_byte() -> None:
    """Bytes that are no UTF-8 survive the way to text and back."""
    diff = MODIFIED + b"@@ -1 +1 @@\n-caf\xe9\n+th\xe9\n"

    assert (diff, "caf\udce9\n") == (bytes(Patch.parse(str(Patch(diff)))), Patch(diff).files[0].hunks[0].lines[0].text)


def test_nothing_is_a_patch_of_nothing() -> None:
    """An empty diff has no files and no error."""
    assert ((), ()) == (Patch.parse("").files, Patch.parse("\n").files)


def test_agrees_with_unidiff_where_that_is_right(repository: Repository) -> None:
    """On plain modifications the popular parser reads the same."""
    before = {f"d{number}/file {number}": TEN * (number + 1) for number in range(20)}
    after = {path: content.replace(b"line 4\n", b"line four\nand more\n") for path, content in before.items()}
    diff = repository.diff(before, after)
    theirs = [(each.path, each.added, each.removed, len(each)) for each in unidiff.PatchSet(diff.decode())]

    assert theirs == [(each.path, each.added, each.removed, len(each.hunks)) for each in Patch.parse(diff).files]


def test_hunks_are_proved_when_read() -> None:
    """Without the proof the counts are those of the header; the hunks are checked when they are read."""
    lie = MODIFIED + b"@@ -1,6 +1,6 @@\n a\n-b\n-c\n-d\n+B\n+C\n+D\n" + MODIFIED + b"@@ -1 +1 @@\n-a\n+b\n"
    first = Patch(lie).files[0]
    with pytest.raises(PatchError, match="too early"):
        _ = first.hunks


GOOD = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        (b"rename from a\nrename to b\n", "diff --git above this header line"),
        (b"copy from a\ncopy to b\n", "diff --git above this header line"),
        (b"old mode 100644\nnew mode 100755\n", "diff --git above this header line"),
        (b"new file mode 100755\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n", "diff --git above this header line"),
        (b"GIT binary patch\nliteral 0\nHcmV?d00001\n\n", "diff --git above this binary patch"),
        (b"Submodule sub 1234567..89abcde:\n  > x\n", "summary of a submodule"),
        (b"Submodule sub 1234567...89abcde (rewind):\n  < x\n", "summary of a submodule"),
        (b"Submodule sub 0000000...89abcde (new submodule)\n", "summary of a submodule"),
        (b"1d\n", "ed script"),
        (b"2,4c\nx\n.\n", "ed script"),
        (b"*** Begin Patch\n*** Delete File: y\n*** End Patch\n", "Codex patch"),
    ],
)
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "behind"])
def test_what_git_would_drop_is_named(dropped: bytes, reason: str, is_before: bool) -> None:
    """Beside a good diff, whatever else changes files is an error with its line, where git ignores it."""
    with pytest.raises(PatchError, match=reason) as caught:
        Patch.parse(dropped + GOOD if is_before else GOOD + dropped)

    assert (1 if is_before else 7) == caught.value.line


@pytest.mark.parametrize(
    "text",
    [
        b"Submodule names are read from .gitmodules\n",
        b"rename from here\n",
        b"new file mode 100644\n",
        b"The old mode 100644 is gone\n",
        b"3 days\n",
        b"GIT binary patch is a format\n",
    ],
)
def test_prose_is_no_format(text: bytes) -> None:
    """Words of prose beside a diff are not taken for a format."""
    assert ["x"] == [change.path for change in Patch.parse(text + GOOD + text).files]


@pytest.mark.parametrize(
    ("mode", "expected"), [("0", None), ("644", 0o644), ("100755 ", 0o100755), ("0100644", 0o100644), ("000000", None)]
)
def test_modes_are_read_as_git_reads_them(repository: Repository, mode: str, expected: int | None) -> None:
    """A mode is any octal number, 0 is none, and git applies the diff."""
    diff = f"diff --git a/n b/n\nnew file mode {mode}\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n".encode()
    repository.git("apply", "--check", "-", stdin=diff)
    (change,) = Patch.parse(diff).files

    assert (None, expected) == (change.old_mode, change.new_mode)


def test_a_wrong_mode_is_named_with_its_line(repository: Repository) -> None:
    """As for git, a mode that is no octal number is an error; it names the line and the mode."""
    diff = b"diff --git a/n b/n\nnew file mode 9\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n"
    repository.git("apply", "--check", "-", stdin=diff, accept=(128,))
    with pytest.raises(PatchError, match="line 2: the new file mode '9' is not an octal number"):
        Patch.parse(diff)
