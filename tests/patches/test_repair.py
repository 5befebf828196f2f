"""Damaged patches and other formats: what is repaired, and what is ambiguous and refused."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from coatcheck import Patch, Policy
from coatcheck.errors import PatchError, PatchRejectedError

from .conftest import Repository

TEXT = "".join(f"line {number}\n" for number in range(1, 41))
CHANGED = (
    TEXT.replace("line 5\n", "fifth\n").replace("line 20\nline 21\n", "\n").replace("line 38\n", "line 38\nmore\n")
)


def diff_of(old: str, new: str, path: str = "f.txt") -> bytes:
    """Return a git diff of two texts that end with a line feed."""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}")
    return f"diff --git a/{path} b/{path}\n{''.join(lines)}".encode()


GOOD = diff_of(TEXT, CHANGED)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with the file that the patches change."""
    (tmp_path / "f.txt").write_text(TEXT)
    return tmp_path


def substitute(pattern: str, replacement: str) -> Callable[[bytes], bytes]:
    """Return a damage: a replacement in every line."""
    return lambda diff: re.sub(pattern.encode(), replacement.encode(), diff, flags=re.MULTILINE)


def indented(prefix: bytes) -> Callable[[bytes], bytes]:
    """Return a damage: something in front of every line."""
    return lambda diff: b"".join(prefix + line for line in diff.splitlines(keepends=True))


def in_colour(diff: bytes) -> bytes:
    """Return the diff as git colours it."""
    colours = {b"+": b"\x1b[32m", b"-": b"\x1b[31m", b"@": b"\x1b[36m", b"d": b"\x1b[1m"}
    lines = diff.splitlines()
    return b"".join(
        colours[line[:1]] + line + b"\x1b[m\n" if line[:1] in colours else line + b"\x1b[m\n" for line in lines
    )


COUNTS = r"^@@ -(\d+),\d+ \+(\d+),\d+ @@"


# name -> (the damage, whether the base is needed)
def _encoded(diff: bytes, encoding: str, end: bytes) -> bytes:
    return diff.replace(b"\n", end).decode().encode(encoding)


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "counts too high": (substitute(COUNTS, r"@@ -\1,30 +\2,31 @@"), False),
    "counts too low": (substitute(COUNTS, r"@@ -\1,2 +\2,2 @@"), False),
    "counts missing": (substitute(COUNTS, r"@@ -\1 +\2 @@"), False),
    "no second @@": (substitute(r"^(@@ .*) @@", r"\1"), False),
    "one @ too many": (substitute(r"^@@ (.*) @@", r"@@@ \1 @@"), False),
    "bare @@": (substitute(r"^@@.*", "@@"), True),
    "bare @@ @@": (substitute(r"^@@.*", "@@ @@"), True),
    "bare @@ ... @@": (substitute(r"^@@.*", "@@ ... @@"), True),
    "made-up numbers": (substitute(r"^@@.*", "@@ -?,? +?,? @@"), True),
    "CR LF": (lambda diff: diff.replace(b"\n", b"\r\n"), False),
    "colour": (in_colour, False),
    "code block": (lambda diff: b"This is it:\n\n```diff\n" + diff + b"```\nDone.\n", False),
    "code block, not closed": (lambda diff: b"```\n" + diff, False),
    "two code blocks": (lambda diff: b"```diff\n" + diff + b"```\n\nand\n\n```diff\n```\n", False),
    "tildes": (lambda diff: b"~~~~ diff\n" + diff + b"~~~~\n", False),
    "four blanks": (indented(b"    "), False),
    "a tab": (indented(b"\t"), False),
    "a quoted mail": (indented(b"> "), False),
    "blanks at line ends": (substitute(r"[ ]+$", ""), False),
    "blank context restored": (substitute(r"^ $", ""), False),
    "byte order mark": (lambda diff: b"\xef\xbb\xbf" + diff, False),
    **{
        f"{encoding} {name}": (lambda diff, encoding=encoding, end=end: _encoded(diff, encoding, end), False)
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
        for name, end in (("LF", b"\n"), ("CR LF", b"\r\n"))
    },
    "no +++": (lambda diff: re.sub(rb"(?m)^\+\+\+ .*\n", b"", diff, count=1), False),
    "no ---": (lambda diff: re.sub(rb"(?m)^--- .*\n", b"", diff, count=1), False),
    "prose between hunks": (substitute(r"^(@@ -1[0-9])", r"...\n\1"), False),
    "counts and code block": (
        lambda diff: b"```\n" + substitute(COUNTS, r"@@ -\1,9 +\2,99 @@")(diff) + b"```\n- a list\n",
        False,
    ),
    "bare and CR LF": (lambda diff: substitute(r"^@@.*", "@@")(diff).replace(b"\n", b"\r\n"), True),
    "bare and indented": (lambda diff: indented(b"  ")(substitute(r"^@@.*", "@@")(diff)), True),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_repaired_patch_is_the_original(base: Path, name: str) -> None:
    """Each kind of damage is undone exactly, and listed."""
    damage, _ = DAMAGES[name]
    repaired = Patch.repair(damage(GOOD), base)

    assert (GOOD, bool(damage(GOOD) != GOOD)) == (bytes(repaired.patch), bool(repaired.repairs))


@pytest.mark.parametrize("name", [name for name, (_, needs_base) in DAMAGES.items() if not needs_base])
def test_what_needs_no_base_is_repaired_without_one(name: str) -> None:
    """Only hunks without line numbers need the files that they are for."""
    assert bytes(Patch.repair(DAMAGES[name][0](GOOD)).patch) == GOOD


@pytest.mark.parametrize("name", [name for name, (_, needs_base) in DAMAGES.items() if needs_base])
def test_a_hunk_without_numbers_needs_a_base(name: str) -> None:
    """Without a base the error names the line of the hunk."""
    with pytest.raises(PatchError, match="no line numbers") as caught:
        Patch.repair(DAMAGES[name][0](GOOD))

    assert 4 == caught.value.line


@pytest.mark.parametrize(
    "good",
    [
        GOOD,
        b"",
        b"\n",
        b"Some prose.\n\n" + GOOD + b"-- \n2.43.0\n",
        b"diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n",
        b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n",
        b"diff --git a/f.txt b/f.txt\nold mode 100644\nnew mode 100755",
        b"--- a/f\r\n+++ b/f\n@@ -1 +1 @@\n-a\r\n+b\r\n".replace(b"f\r", b"f"),
        b"--- f\n+++ f\n@@ -1 +1 @@\n-\x1b[1mbold\x1b[m\n+plain\n",
        b"--- f.md\n+++ f.md\n@@ -1,3 +1,3 @@\n ```diff\n-@@ -1 +1 @@\n+--- a/x\n ```\n",
        b"--- f.sql\n+++ f.sql\n@@ -1,2 +1,2 @@\n--- comment\n-- x\n+++ y\n++ z\n",
    ],
)
def test_a_good_patch_is_not_changed(base: Path, good: bytes) -> None:
    """A patch that can be read stays as it is, with and without a base."""
    repaired = [Patch.repair(good), Patch.repair(good, base)]

    assert [(good, ())] * 2 == [(bytes(each.patch), each.repairs) for each in repaired]


def test_reading_stays_strict() -> None:
    """`Patch.parse` repairs nothing."""
    for name, (damage, needs_base) in DAMAGES.items():
        if needs_base or name.startswith("counts"):
            with pytest.raises(PatchError):
                Patch.parse(damage(GOOD))

    assert bytes(Patch.parse(GOOD)) == GOOD


def test_a_repair_names_its_line(base: Path) -> None:
    """Each repair has a kind, the line of the input, and a sentence."""
    text = b"Hello\n\n" + substitute(r"^@@ -17.*", "@@")(GOOD)
    (repair,) = Patch.repair(text, base).repairs

    assert ("line numbers", 15, "line 15: found the hunk at line 17 of f.txt") == (
        repair.kind,
        repair.line,
        str(repair),
    )


# --- what is ambiguous ------------------------------------------------------------------------------------------------

TWICE = "def one():\n    pass\n\ndef two():\n    pass\n"
HEADER = "--- a/f.txt\n+++ b/f.txt\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (f"{HEADER}@@\n-    pass\n+    return\n", 3, "several places of f.txt: lines 2, 5"),
        (f"{HEADER}@@\n-absent\n+x\n", 3, "not in f.txt"),
        (f"{HEADER}@@\n+added\n", 3, "fits everywhere"),
        (f"{HEADER}@@ -1,2 +1,3 @@\n+added\n", 3, "place is ambiguous"),
        (f"{HEADER}@@ -1,9 +1,9 @@\n def one():\n", 3, "changes nothing"),
        ("--- a/no.txt\n+++ b/no.txt\n@@\n-a\n+b\n", 3, "no file no.txt"),
        ("@@ -1,9 +1 @@\n-a\n+b\n", 1, "without a file header"),
        (f"{HEADER}@@ -1,9 +1,9 @@\n\x1b[32m+a\x1b[1mb\x1b[m\n", 4, "colour code"),
        ("*** Begin Patch\n*** Update File: f.txt\n@@\n-    pass\n+x\n*** End Patch\n", 3, "several places"),
        ("*** Begin Patch\n*** Update File: no.txt\n@@\n-a\n+x\n*** End Patch\n", 2, "no file no.txt"),
        ("*** Begin Patch\n*** Update File: f.txt\n@@ def one():\n+x\n*** End Patch\n", 3, "ambiguous"),
        ("*** Begin Patch\n*** Update File: f.txt\nbad\n*** End Patch\n", 3, "begins with a blank"),
        ("*** Begin Patch\n*** Add File: n\nbad\n*** End Patch\n", 3, "does not begin with +"),
        ("f.txt\n<<<<<<< SEARCH\n    pass\n=======\nx\n>>>>>>> REPLACE\n", 2, "several places"),
        ("f.txt\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n", 2, "search is empty"),
        ("<<<<<<< SEARCH\na\n=======\nx\n>>>>>>> REPLACE\n", 1, "names no file"),
        ("f.txt\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n", 2, "======= of this block is missing"),
        ("f.txt\n<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE\n", 6, "second line ======="),
        ("f.txt\n<<<<<<< SEARCH\ndef one():\n=======\ndef one():\n>>>>>>> REPLACE\n", 2, "changes nothing"),
        (
            f"{HEADER}@@ -1 +1 @@\n-a\n+b\n*** Begin Patch\n*** Delete File: f.txt\n*** End Patch\n",
            3,
            "beside a Codex patch",
        ),
        (f"{HEADER}@@\n-def one():\n+def \u201cone\u201d():\n@@\n-def one():\n+x\n", 6, "not behind"),
        ("*** Begin Patch\n*** End Patch\n", 1, "names no file"),
        ("*** Begin Patch\n*** Rename File: f.txt\n*** Add File: n\n+x\n*** End Patch\n", 2, "belongs to no file"),
        (f"{HEADER}@@ -1,4 +1,4 @@\n-def one():\n+def uno():\n...\n-def two():\n+def due():\n", 6, "interrupts a hunk"),
        (f"{HEADER}@@ -1,4 +1,4 @@\n-def one():\n+def uno():\n(more)\n+ x\n", 6, "interrupts a hunk"),
        (f"{HEADER}@@ -1 +1 @@\n-def one():\n+def uno():\n(more)\n-x\n@@ -4 +4 @@\n-def two():\n+y\n", 6, "interrupts"),
        ("no patch at all\n", 1, "no diff"),
    ],
)
def test_what_is_ambiguous_is_an_error_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    """What could mean several things, or nothing, is refused."""
    (tmp_path / "f.txt").write_text(TWICE)
    with pytest.raises(PatchError, match=reason) as caught:
        Patch.repair(text, tmp_path)

    assert line == caught.value.line


def test_a_codex_patch_without_its_end_is_reported() -> None:
    """A missing ``*** End Patch`` is one of the repairs: the text may be cut off."""
    repairs = Patch.repair("*** Begin Patch\n*** Add File: n\n+x\n").repairs

    assert ["format", "end"] == [each.kind for each in repairs]


def test_smart_quotes_are_not_repaired(tmp_path: Path) -> None:
    """Characters of lines are never changed: typographic quotes do not match plain ones."""
    (tmp_path / "f.txt").write_text('say("hi")\n')
    with pytest.raises(PatchError, match=r"not in f\.txt"):
        Patch.repair(f"{HEADER}@@\n-say(\u201chi\u201d)\n+x\n", tmp_path)

    assert "+say(\u201chi\u201d)\n" in str(
        Patch.repair(f'{HEADER}@@\n-say("hi")\n+say(\u201chi\u201d)\n', tmp_path).patch
    )


def test_the_order_of_hunks_decides_between_places(tmp_path: Path) -> None:
    """A hunk is behind the one before: of two places only one is possible."""
    (tmp_path / "f.txt").write_text(TWICE)
    text = f"{HEADER}@@\n-def two():\n+def second():\n@@\n-    pass\n+    return\n"

    assert "@@ -5 +5 @@" in str(Patch.repair(text, tmp_path).patch)


# --- single repairs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "damaged", "repaired"),
    [
        pytest.param(
            "a\n\n", "@@ -1,2 +1,2 @@\n-a\n+b", "@@ -1,2 +1,2 @@\n-a\n+b\n \n", id="blank context trimmed at the end"
        ),
        pytest.param(
            "a\nc\nd\n",
            "@@ -1,2 +1,2 @@\n-a\n+b\n c\n-d\n+e\n",
            "@@ -1,3 +1,3 @@\n-a\n+b\n c\n-d\n+e\n",
            id="counts that fit the first lines",
        ),
        pytest.param(
            "a\nc\nd\n", "@@ -1 +1 @@\n-a\n+b\n c\n d\n", "@@ -1,3 +1,3 @@\n-a\n+b\n c\n d\n", id="uncounted context"
        ),
        pytest.param(
            "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n",
            "@@ -1 +1 @@\n-a\n+b\n", id="notes although there is a newline",
        ),
        pytest.param(
            "z\na", "@@ -1,2 +1,2 @@\n-z\n+y\n a\n", "@@ -1,2 +1,2 @@\n-z\n+y\n a\n\\ No newline at end of file\n",
            id="note missing behind context",
        ),
        pytest.param(
            "a", "@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n",
            "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n", id="one of two notes",
        ),
        pytest.param("", "@@ -0,7 +1,9 @@\n+a\n", "@@ -0,0 +1 @@\n+a\n", id="an empty file"),
        pytest.param("a\nc\n", "@@ -1,3 +1,3 @@\n-a\n+b\nc\n", "@@ -1,2 +1,2 @@\n-a\n+b\n c\n", id="unindented context"),
        pytest.param(
            "a\n  c\n", "@@ -1,2 +1,9 @@\n-a\n+b\n  c\n", "@@ -1,2 +1,2 @@\n-a\n+b\n   c\n", id="context one blank short"
        ),
        pytest.param("a\n", "-a\n+b\n", "@@ -1 +1 @@\n-a\n+b\n", id="no hunk header"),
        pytest.param(
            "a\nz", "@@ -1,9 +1 @@\n-a\n+b\n z\nNo newline at end of file\n",
            "@@ -1,2 +1,2 @@\n-a\n+b\n z\n\\ No newline at end of file\n", id="note without its sign",
        ),
        pytest.param("a", "@@\n-a\n+b\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n", id="note missing"),
        pytest.param(
            "a", "@@\n a\n+b\n", "@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n", id="added behind the end"
        ),
    ],
)  # fmt: skip
def test_hunks_are_completed_from_the_base(tmp_path: Path, content: str, damaged: str, repaired: str) -> None:
    """The version of a hunk that is in the file is chosen."""
    (tmp_path / "f.txt").write_text(content)

    assert HEADER + repaired == str(Patch.repair(HEADER + damaged, tmp_path).patch)


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        (
            "new file mode 100755\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
            "diff --git a/x b/x\nnew file mode 100755\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
        ),
        (
            "similarity index 100%\nrename from x\nrename to y\n",
            "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n",
        ),
        (
            "diff --git a/x b/x\nindex abcdefg..hijklmn 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        ),
        (
            "diff --git a/x b/x\nnew file mode 100644\n+++ b/x\n@@ -0,0 +1,7 @@\n+a\n",
            "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
        ),
        (
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n@@ -1,4 +0,0 @@\n-a\n",
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
        ),
        ("--- /dev/null\n+++ b/x\n@@\n+a\n+b\n", "--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n"),
    ],
)
def test_headers_are_completed(damaged: str, repaired: str) -> None:
    """Lines that git writes into headers are added where others imply them, and unreadable ones removed."""
    assert repaired == str(Patch.repair(damaged).patch)


def test_line_ends_follow_the_base(tmp_path: Path) -> None:
    """Lines get the CR that all lines of the file have, and lose the one that none has."""
    (tmp_path / "crlf").write_bytes(b"a\r\nc\r\n")
    (tmp_path / "lf").write_bytes(b"a\nc\n")
    hunk = "@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
    crlf = Patch.repair(f"--- a/crlf\n+++ b/crlf\n{hunk}", tmp_path).patch
    plain = Patch.repair(
        f"--- a/lf\n+++ b/lf\n@@ -1,2 +1,2 @@\n{hunk[16:]}".replace("\n-a\n+b\n c\n", "\n-a\r\n+b\r\n c\r\n"), tmp_path
    )

    assert (b"-a\r\n+b\r\n c\r\n", b"-a\n+b\n c\n") == (bytes(crlf)[-12:], bytes(plain.patch)[-9:])


# --- other formats ----------------------------------------------------------------------------------------------------

CODEX = """\
apply_patch <<'EOF'
*** Begin Patch
*** Update File: f.txt
@@ line 3
 line 4
-line 5
+fifth
 line 6
@@
-line 20
-line 21
+
*** Update File: old.txt
*** Move to: new.txt
@@
-a
+b
*** Add File: sub/added.txt
+one
+two
*** Delete File: gone.txt
*** End Patch
EOF
"""

BLOCKS = """\
I change three files.

`f.txt`
```python
<<<<<<< SEARCH
line 4
line 5
=======
line 4
fifth
>>>>>>> REPLACE
```

**old.txt**
<<<<<<< SEARCH
a
=======
b
>>>>>>> REPLACE

sub/added.txt
```
<<<<<<< SEARCH
=======
one
two
>>>>>>> REPLACE
```

f.txt
<<<<<<< SEARCH
line 20
line 21
=======

>>>>>>> REPLACE
"""


@pytest.fixture
def checkout(repository: Repository) -> Repository:
    """A checkout for patches in other formats."""
    repository.commit({"f.txt": TEXT.encode(), "old.txt": b"a\n", "gone.txt": (b"x\ny", 0o755)})
    return repository


EDITED = TEXT.replace("line 5\n", "fifth\n").replace("line 20\nline 21\n", "\n").encode()


def test_a_codex_patch_becomes_a_diff_that_git_applies(checkout: Repository) -> None:
    """Updated, moved, added and deleted files of ``apply_patch`` are those of a git diff."""
    patch = Patch.repair(CODEX, checkout.folder).patch
    checkout.git("apply", "-", stdin=bytes(patch))

    assert {
        "f.txt": ("file", EDITED),
        "new.txt": ("file", b"b\n"),
        "sub/added.txt": ("file", b"one\ntwo\n"),
    } == checkout.tree()


def test_search_replace_blocks_become_a_diff_that_git_applies(checkout: Repository) -> None:
    """The blocks of a file are one change, wherever they are in the text; an empty search adds a file."""
    patch = Patch.repair(BLOCKS, checkout.folder).patch
    checkout.git("apply", "-", stdin=bytes(patch))

    assert {
        "f.txt": ("file", EDITED),
        "old.txt": ("file", b"b\n"),
        "gone.txt": ("program", b"x\ny"),
        "sub/added.txt": ("file", b"one\ntwo\n"),
    } == checkout.tree()


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("f.txt", "f.txt\n"),
        ("f.txt", "### `f.txt`:\n\n```\n"),
        ("f.txt", "```text f.txt\n"),
        ("sub/f", "```sub/f\n"),
        ("a b.txt", "a b.txt\n"),
        ("f.txt", "```\nf.txt\n"),
    ],
)
def test_the_path_of_a_block_is_above_it(tmp_path: Path, path: str, above: str) -> None:
    """It is on a line of its own or behind a code fence; with blanks it must be a file of the base."""
    (tmp_path / "sub").mkdir()
    (tmp_path / path).write_text("a\n")
    patch = Patch.repair(f"{above}<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n", tmp_path).patch

    assert [path] == [change.path for change in patch.files]


def test_a_chunk_of_a_codex_patch_is_behind_its_anchor(tmp_path: Path) -> None:
    """The line behind @@ decides between several places, as Codex searches for it."""
    (tmp_path / "f.txt").write_text(TWICE)
    text = "*** Begin Patch\n*** Update File: f.txt\n@@ def two():\n-    pass\n+    return\n*** End Patch\n"

    assert TWICE.replace("two():\n    pass", "two():\n    return") == apply_to(
        TWICE, Patch.repair(text, tmp_path).patch
    )


def test_the_end_of_the_file_decides_between_places(tmp_path: Path) -> None:
    """``*** End of File`` takes the last place."""
    (tmp_path / "f.txt").write_text(TWICE)
    text = "*** Begin Patch\n*** Update File: f.txt\n@@\n-    pass\n+    return\n*** End of File\n*** End Patch\n"

    assert TWICE.removesuffix("pass\n") + "return\n" == apply_to(TWICE, Patch.repair(text, tmp_path).patch)


def apply_to(text: str, patch: Patch) -> str:
    """Return *text* with the hunks of *patch*, at the lines that they name."""
    lines = text.splitlines(keepends=True)
    for hunk in reversed(patch.files[0].hunks):
        new = [line.text for line in hunk.lines if line.sign != "-"]
        start = hunk.old_start - (hunk.old_lines > 0)
        lines[start : start + hunk.old_lines] = new
    return "".join(lines)


# --- safety -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "--- /dev/null\n+++ b/../x\n@@\n+a\n",
        "*** Begin Patch\n*** Add File: ../x\n+a\n*** End Patch\n",
        "*** Begin Patch\n*** Add File: .git/hooks/pre-commit\n+a\n*** End Patch\n",
        "/etc/x\n<<<<<<< SEARCH\n=======\na\n>>>>>>> REPLACE\n",
    ],
)
def test_a_repaired_patch_is_verified_like_any_other(base: Path, text: str) -> None:
    """A path that leaves the tree is rejected by the policy, in whatever format it came."""
    patch = Patch.repair(text, base).patch
    with pytest.raises(PatchRejectedError):
        patch.verify(policy=Policy.default())


@pytest.mark.parametrize("path", ["../outside.txt", "link/outside.txt", "link.txt", "/etc/hostname"])
def test_files_outside_of_the_base_are_not_read(tmp_path: Path, path: str) -> None:
    """A base is read below its folder only, and never through symbolic links."""
    (tmp_path / "outside.txt").write_text("secret\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(PatchError, match="there is no file"):
        Patch.repair(f"*** Begin Patch\n*** Delete File: {path}\n*** End Patch\n", root)


LINES = st.sampled_from(
    ["a", "b", "", " ", "-- a/x", "++ b/x", "@@ -1 +1 @@", "diff --git a/x b/x", "```", "- item", "\\ No newline", "*** End Patch", "=======", "> quote", "\tif x:"]
)  # fmt: skip
TEXTS = st.lists(LINES, min_size=1, max_size=25).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(TEXTS, TEXTS)
def test_any_good_patch_stays_as_it_is(old: str, new: str) -> None:
    """Whatever the lines of the files look like, nothing of a diff is taken for damage."""
    good = diff_of(old, new) if old != new else b""

    assert (good, ()) == (bytes(Patch.repair(good).patch), Patch.repair(good).repairs)


@given(TEXTS, TEXTS, st.sampled_from(sorted(DAMAGES.keys() - {"blanks at line ends"})))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_repaired_patch_changes_the_same_or_is_refused(tmp_path: Path, old: str, new: str, name: str) -> None:
    """Whatever the lines look like, a repaired patch leads from the old text to the new one, or there is an error."""
    (tmp_path / "f.txt").write_text(old)
    result = new
    with contextlib.suppress(PatchError):
        patch = Patch.repair(DAMAGES[name][0](diff_of(old, new)), tmp_path).patch if old != new else None
        result = old if patch is None else apply_to(old, patch)

    assert new == result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"{HEADER}" + "@@\n-a\n+b\n" * 10_000, "a\n" * 10_000),
        (f"{HEADER}" + "".join(f"@@\n-{n}\n+b\n" for n in range(10_000)), "".join(f"{n}\n" for n in range(10_000))),
        ("> " * 100_000, "a\n"),
        ("```\n" * 50_000, "a\n"),
        ("\x1b[32m" * 50_000 + "\n--- a\n+++ a\n@@\n-a\n", "a\n"),
        ("f.txt\n<<<<<<< SEARCH\n" * 25_000, "a\n"),
        ("*** Begin Patch\n" * 50_000, "a\n"),
        (f"{HEADER}@@ -1,9 +1 @@\n" + "\n" * 200_000, "\n" * 1000),
        (f"{HEADER}@@\n" + " a\n" * 2_000 + "-a\n-c\n", "a\n" * 20_000 + "b\n"),
    ],
    ids=range(9),
)
def test_hostile_sizes_end(tmp_path: Path, text: str, content: str) -> None:
    """Long repetitions are read or refused; each line is compared a limited number of times."""
    (tmp_path / "f.txt").write_text(content)
    try:
        result: object = Patch.repair(text, tmp_path).patch
    except PatchError as error:
        result = error

    assert result is not None
