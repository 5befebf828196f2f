from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.parse import Patch

from .conftest import Repository

if TYPE_CHECKING:
    from coatcheck._patches.apply_results import AppliedPatch

    from .conftest import Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))
FOUR = TEN.replace(b"line 4\n", b"line four\n")
TWO = TEN.replace(b"line 2\n", b"two\n")
OTHER_FOUR = TEN.replace(b"line 4\n", b"IV\n")


def wide(data: bytes) -> bytes:
    """Return text as UTF-16 with a byte order mark."""
    return data.decode().encode("utf-16")


def crlf(data: bytes) -> bytes:
    """Return text with carriage returns."""
    return data.replace(b"\n", b"\r\n")


def diverge(
    repository: Repository, attributes: Tree, path: str, sides: tuple[bytes, bytes, bytes]
) -> tuple[str, bytes]:
    """Commit the base, take the patch to the second side, and commit the third; return the base and the patch."""
    base, theirs, ours = ({**attributes, path: side} for side in sides)
    patch = repository.diff(base, theirs, "--full-index", "--binary")
    start = repository.git("rev-parse", "HEAD~1").decode().strip()
    repository.git("reset", "--quiet", "--hard", start)
    repository.commit(ours)
    repository.git("rm", "-rq", "--cached", ".")
    repository.git("reset", "--quiet", "--hard")
    return start, patch


def apply(repository: Repository, patch: bytes, **options: object) -> AppliedPatch:
    """Judge *patch* and apply what fits of it."""
    resolve_snapshot = Patch(patch).verify(base=repository.folder)
    return resolve_snapshot.apply(repository.folder, partial=True, **options)  # type: ignore[arg-type]


def as_git_merges(repository: Repository, patch: bytes) -> Repository:
    """Return a copy in which ``git apply --3way`` has merged the patch."""
    folder = repository.folder.with_name("git")
    shutil.copytree(repository.folder, folder, symlinks=True)
    copy = Repository(folder)
    copy.git("update-index", "-q", "--refresh")
    copy.git("apply", "--3way", stdin=patch, accept=(0, 1))
    return copy


ID = b"$Id$\n"

MERGED: dict[str, tuple[Tree, str, tuple[bytes, bytes, bytes]]] = {
    "no attribute": ({}, "x", (TEN, FOUR, TWO)),
    "merge": ({".gitattributes": b"x merge\n"}, "x", (TEN, FOUR, TWO)),
    "merge=text": ({".gitattributes": b"x merge=text\n"}, "x", (TEN, FOUR, TWO)),
    "merge=union": ({".gitattributes": b"x merge=union\n"}, "x", (TEN, FOUR, OTHER_FOUR)),
    "a driver that is not configured": ({".gitattributes": b"x merge=ours\n"}, "x", (TEN, FOUR, TWO)),
    "nested, overruled": ({".gitattributes": b"* -merge\n", "d/.gitattributes": b"x merge\n"}, "d/x", (TEN, FOUR, TWO)),
    "eol=crlf": ({".gitattributes": b"x text eol=crlf\n"}, "x", (crlf(TEN), crlf(FOUR), crlf(TWO))),
    "text=auto, eol=crlf": ({".gitattributes": b"* text=auto eol=crlf\n"}, "x", (crlf(TEN), crlf(FOUR), crlf(TWO))),
    "-text": ({".gitattributes": b"* -text\n"}, "x", (crlf(TEN), crlf(FOUR), crlf(TWO))),
    "UTF-16": ({".gitattributes": b"x working-tree-encoding=UTF-16\n"}, "x", (wide(TEN), wide(FOUR), wide(TWO))),
    "Latin-1": (
        {".gitattributes": b"x working-tree-encoding=ISO-8859-1\n"},
        "x",
        (b"\xfc\n" + TEN, b"\xfc\n" + FOUR, b"\xfc\n" + TWO),
    ),
    "ident": ({".gitattributes": b"x ident\n"}, "x", (ID + TEN, ID + FOUR, ID + TWO)),
    "ident and eol=crlf": ({".gitattributes": b"x ident text eol=crlf\n"}, "x", (crlf(ID + TEN), crlf(ID + FOUR), crlf(ID + TWO))),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGED)
def test_a_file_is_merged_as_git_merges_it(name: str, repository: Repository) -> None:
    """The merged file is what ``git apply --3way`` writes, whatever its attributes."""
    start, patch = diverge(repository, *MERGED[name])
    copy = as_git_merges(repository, patch)
    done = apply(repository, patch, base=start, index=True)

    assert (copy.tree(), copy.git("ls-files", "--stage"), ["merged"]) == (
        repository.tree(),
        repository.git("ls-files", "--stage"),
        [each.status for each in done.files],
    )


DRIVER = (("config", "merge.mine.driver", "touch ran; cp %B %A"),)
FAR = TEN.replace(b"line 9\n", b"nine\n")

NEVER_MERGED: dict[str, tuple[Tree, tuple[tuple[str, ...], ...], str]] = {
    "-merge": ({".gitattributes": b"x -merge\n"}, (), "no merge"),
    "merge=binary": ({".gitattributes": b"x merge=binary\n"}, (), "no merge"),
    "binary": ({".gitattributes": b"x binary\n"}, (), "no merge"),
    "nested": ({"d/.gitattributes": b"x -merge\n"}, (), "no merge"),
    "a macro": ({".gitattributes": b"[attr]lock -merge\nx lock\n"}, (), "no merge"),
    "a driver": ({".gitattributes": b"x merge=mine\n"}, DRIVER, "merge driver"),
    "a driver by default": ({}, (*DRIVER, ("config", "merge.default", "mine")), "merge driver"),
    "a driver called text": (
        {".gitattributes": b"x merge=text\n"},
        (("config", "merge.text.driver", "touch ran; cp %B %A"),),
        "merge driver",
    ),
    "never, by default": ({}, (("config", "merge.default", "binary"),), "no merge"),
}


@pytest.mark.parametrize("ours", [TWO, OTHER_FOUR, FAR], ids=["near", "the same line", "far away"])
@pytest.mark.parametrize("name", NEVER_MERGED)
def test_what_is_never_merged_is_a_conflict(name: str, ours: bytes, repository: Repository) -> None:
    """A file with -merge, or with a driver that is a program, stays as it is, also where its lines would fit."""
    attributes, setup, kind = NEVER_MERGED[name]
    path = "d/x" if "d/.gitattributes" in attributes else "x"
    start, patch = diverge(repository, attributes, path, (TEN, FOUR, ours))
    if b"GIT binary patch" in patch:
        patch = text_patch(path)
    for arguments in setup:
        repository.git(*arguments)
    before = repository.tree()
    done = apply(repository, patch, base=start, markers=True)

    assert (before, [("conflicted", kind)]) == (repository.tree(), [(each.status, each.kind) for each in done.files])


def text_patch(path: str) -> bytes:
    """Return the change from `TEN` to `FOUR` as text."""
    context = b" line 1\n line 2\n line 3\n-line 4\n+line four\n line 5\n line 6\n line 7\n"
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -2,7 +2,7 @@\n".encode() + context


@pytest.mark.parametrize("place", ["info/attributes", "core.attributesFile"])
def test_attributes_outside_of_the_tree_count(place: str, repository: Repository) -> None:
    """Git's other files of attributes are read as well."""
    start, patch = diverge(repository, {}, "x", (TEN, FOUR, TWO))
    file = repository.folder / ".git/info/attributes"
    if place == "core.attributesFile":
        file = repository.folder.with_name("attributes")
        repository.git("config", "core.attributesFile", str(file))
    file.parent.mkdir(exist_ok=True)
    file.write_text("x -merge\n")

    assert ["no merge"] == [each.kind for each in apply(repository, patch, base=start).files]


def test_the_driver_is_named(repository: Repository) -> None:
    """The conflict names the driver that git would run."""
    start, patch = diverge(repository, {".gitattributes": b"x merge=mine\n"}, "x", (TEN, FOUR, TWO))
    repository.git("config", "merge.mine.driver", "true")

    assert "merge=mine" in apply(repository, patch, base=start).files[0].detail


def test_what_has_not_moved_on_needs_no_merge(repository: Repository) -> None:
    """A -merge file that is still the one the patch was made for is patched."""
    start, patch = diverge(repository, {".gitattributes": b"x -merge\n"}, "x", (TEN, FOUR, TEN))

    assert ["applied"] == [each.status for each in apply(repository, patch, base=start).files]


def test_markers_are_as_long_as_the_attribute_says(repository: Repository) -> None:
    """conflict-marker-size is git's."""
    start, patch = diverge(repository, {".gitattributes": b"x conflict-marker-size=12\n"}, "x", (TEN, FOUR, OTHER_FOUR))
    apply(repository, patch, base=start, markers=True)

    assert b"\n" + b"<" * 12 + b" yours\n" in repository.tree()["x"][1]


def test_attributes_among_the_merged_files_decide_nothing(repository: Repository) -> None:
    """A .gitattributes that is merged itself does not change how the base of another file is read."""
    text = b"#\n#\n#\nx.txt working-tree-encoding=UTF-16\n"
    base = {".gitattributes": text, "x.txt": wide(TEN)}
    theirs = {".gitattributes": text + b"a -diff\n", "x.txt": wide(FOUR)}
    patch = repository.diff(base, theirs, "--full-index")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.commit({".gitattributes": b"# one\n# two\n" + text, "x.txt": wide(TWO)})
    done = apply(repository, patch, base="HEAD~1")

    assert ({"applied", "merged"}, wide(FOUR.replace(b"line 2\n", b"two\n"))) == (
        {each.status for each in done.files} | {"applied"},
        repository.tree()["x.txt"][1],
    )


@pytest.mark.parametrize(
    ("patch", "kind", "reason"),
    [
        (text_patch("x").replace(b"\n", b"\r\n"), "other line ends", "CR LF"),
        (text_patch("x").replace(b" line 3", b" line III"), "no base", "not in this repository"),
    ],
)
def test_the_reason_of_a_misfit_is_true(patch: bytes, kind: str, reason: str, repository: Repository) -> None:
    """The reason of a misfit is the one that stops git."""
    repository.commit({"x": TEN})
    (file,) = Patch(patch).verify().apply(repository.folder, partial=True).files

    assert ("conflicted", kind, True) == (file.status, file.kind, reason in file.detail)


def test_a_base_that_the_patch_does_not_fit_is_not_called_missing(repository: Repository) -> None:
    """A base that is there, and not the one the patch was made for, is a misfit."""
    start = repository.commit({"x": TEN})
    patch = text_patch("x").replace(b" line 3", b" line III")

    assert ["misfit"] == [each.kind for each in apply(repository, patch, base=start).files]
