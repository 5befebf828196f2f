from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.parse import Patch
from coatcheck._patches.path_rules import folded
from coatcheck._patches.symlink_rules import LinkTree
from coatcheck.errors import PatchError, PatchRejectedError

if TYPE_CHECKING:
    from .conftest import Repository, Tree


def link(path: str, target: str) -> bytes:
    """Return the diff that adds a symbolic link."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n"
        f"+{target}\n\\ No newline at end of file\n"
    ).encode("utf-8", "surrogateescape")


def unlink(path: str, target: str) -> bytes:
    """Return the diff that deletes a symbolic link."""
    return (
        f"diff --git a/{path} b/{path}\ndeleted file mode 120000\n--- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n"
        f"-{target}\n\\ No newline at end of file\n"
    ).encode()


def move(old: str, new: str, word: str = "rename") -> bytes:
    """Return the diff that moves or copies something as it is."""
    return f"diff --git a/{old} b/{new}\nsimilarity index 100%\n{word} from {old}\n{word} to {new}\n".encode()


def add(path: str) -> bytes:
    """Return the diff that adds a file."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode()
    )


# What is in the checkout, and the patch that leads out of it there.
ESCAPES: dict[str, tuple[Tree, bytes]] = {
    "two links": ({}, link("d/up", ".") + link("out", "d/up/../../secret")),
    "two links, the other way round": ({}, link("out", "d/up/../../secret") + link("d/up", ".")),
    "three links": ({}, link("a/b/c", "../..") + link("x", "a/b/c") + link("out", "x/../secret")),
    "a link to a link": ({}, link("d/e/top", "../..") + link("out", "d/e/top/../secret")),
    "in other letters": ({}, link("d/Up", ".") + link("out", "D/uP/../../secret")),
    "in other letters of Unicode": ({}, link("d/gr\u00fcn", ".") + link("out", "d/gru\u0308n/../../secret")),
    "with characters that HFS+ ignores": ({}, link("d/up", ".") + link("out", "d/u\u200cp/../../secret")),
    "with blanks that NTFS drops": ({}, link("d/up", ".") + link("out", "d/up. /../../secret")),
    "with backslashes": ({}, link("d/up", ".") + link("out", "d\\up\\..\\..\\secret")),
    "through the checkout": ({"d/up": "-> ."}, link("out", "d/up/../../secret")),
    "through the checkout's links in other letters": ({"d/Up": "-> ."}, link("out", "d/up/../../secret")),
    "through a link that leads out": ({"away": "-> /usr"}, link("out", "away/bin")),
    "into the git directory": ({}, link("d/up", ".") + link("out", "d/up/../.git/config")),
    "into the git directory, by a link": ({"d": "-> .git"}, link("out", "d/config")),
    "a link of the checkout is redirected": ({"out": "-> d/up/../../secret", "d/x": b""}, link("d/up", ".")),
    "a link of the checkout loses its way": (
        {"out": "-> d/../../secret", "d": "-> p/q/r", "p/q/r/x": b""},
        unlink("d", "p/q/r") + add("d/x"),
    ),
    "a link that moves": ({"a/b/up": "-> ../x", "x": b""}, move("a/b/up", "up")),
    "a link that is copied": ({"a/b/up": "-> ../x", "x": b""}, move("a/b/up", "up", "copy")),
    "a link that moves to where another leads": (
        {"a/b/up": "-> ../../d/up/../y", "d/up": "-> e/f"},
        move("a/b/up", "up") + unlink("d/up", "e/f") + link("d/up", "."),
    ),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_links_do_not_lead_out_together(name: str, repository: Repository) -> None:
    """Whatever links a way goes through, those of the patch or of the checkout, it stays inside; nothing is made."""
    tree, patch = ESCAPES[name]
    repository.commit({"README": b"1\n", **tree})
    before = repository.tree()
    with pytest.raises(PatchError) as resolve_snapshot:
        Patch(patch).verify(base=repository.folder)
    with pytest.raises(PatchError) as applied:
        Patch(patch).verify().apply(repository.folder, partial=True)
    with pytest.raises(PatchError):
        Patch(patch).verify().commit(repository.folder, branch="b", message="m")

    assert (before, "symlink-outside", PatchRejectedError, b"") == (
        repository.tree(),
        getattr(resolve_snapshot.value, "reasons", ())[0].rule,
        type(applied.value),
        repository.git("branch", "--list", "b"),
    )


def test_a_link_that_the_diff_does_not_call_one(repository: Repository) -> None:
    """A diff without modes can change a link, as git does it; where that leads is looked at."""
    repository.commit({"README": b"1\n", "l": "-> README"})
    patch = Patch(
        b"--- a/l\n+++ b/l\n@@ -1 +1 @@\n-README\n\\ No newline at end of file\n+../x\n\\ No newline at end of file\n"
    )
    with pytest.raises(PatchRejectedError):
        patch.verify().apply(repository.folder, index=True)
    with pytest.raises(PatchRejectedError):
        patch.verify().commit(repository.folder, branch="b", message="m")

    assert "README" == os.readlink(repository.folder / "l")


INSIDE: dict[str, tuple[Tree, bytes]] = {
    "a link to a link": ({}, link("a", "b") + link("b", "README")),
    "a circle": ({}, link("a", "b") + link("b", "a")),
    "down and up": ({}, link("d/up", "..") + link("in", "d/up/README")),
    "through the checkout": ({"d/up": "-> .."}, link("in", "d/up/README")),
    "one that leads out already": ({"away": "-> /usr", "l": "-> ../x"}, link("in", "README")),
    "what is deleted leads nowhere": ({"d/up": "-> ."}, unlink("d/up", ".") + link("in", "d/up/../README")),
    "a folder in place of a link": ({"d": "-> p", "p/x": b""}, unlink("d", "p") + add("d/x")),
    "a link in place of a folder": (
        {"d/x": b"x\n"},
        b"diff --git a/d/x b/d/x\ndeleted file mode 100644\n--- a/d/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        + link("d", "README"),
    ),
    "a link in other letters": ({"Link": "-> README"}, move("Link", "link")),
}


@pytest.mark.parametrize("name", INSIDE)
def test_links_inside_are_applied(name: str, repository: Repository) -> None:
    """A link that stays inside is applied, also through others, and also in a circle."""
    tree, patch = INSIDE[name]
    repository.commit({"README": b"1\n", **tree})
    done = Patch(patch).verify(base=repository.folder).apply(repository.folder)

    assert done.is_complete


@pytest.mark.parametrize(
    ("tree", "patch"),
    [
        ({}, link("way", "d") + add("WAY/x")),
        ({}, link("way", "d") + add("way./x")),
        ({}, link("gr\u00fcn", "d") + add("gru\u0308n/x")),
        ({}, link("stra\u00dfe", "d") + add("STRASSE/x")),
        ({}, link("way", "d") + add("Way")),
        ({"Way": "-> d"}, add("way/x")),
        ({"Way": "-> d"}, add("way")),
        ({"way/x": b""}, link("Way", "d")),
        ({"Way/x": b"", "d/x": b""}, link("way", "d")),
    ],
)
def test_nothing_is_written_through_a_link_in_other_letters(tree: Tree, patch: bytes, repository: Repository) -> None:
    """Where a file system takes two names for one, a link of that name is no folder to write into, nor a file."""
    repository.commit({"README": b"1\n", **tree})
    with pytest.raises(PatchRejectedError) as caught:
        Patch(patch).verify(base=repository.folder)
    with pytest.raises(PatchRejectedError):
        Patch(patch).verify().apply(repository.folder)
    with pytest.raises(PatchRejectedError):
        Patch(patch).verify().commit(repository.folder, branch="b", message="m")

    assert {"through-symlink"} == {each.rule for each in caught.value.reasons if each.severity == "reject"}


def test_without_links_in_the_file_system_the_patch_still_says_so(repository: Repository) -> None:
    """Where git writes links as plain files, what it will record as a link stays inside all the same."""
    repository.commit({"README": b"1\n"})
    repository.git("config", "core.symlinks", "false")
    patch = Patch(link("d/up", ".") + link("out", "d/up/../../secret"))
    with pytest.raises(PatchRejectedError):
        patch.verify().apply(repository.folder, index=True)
    with pytest.raises(PatchRejectedError):
        type(patch.verify(base=None))(patch.files, (), patch.verify(policy=None).policy).apply(repository.folder)


def test_a_link_that_is_not_tracked_counts(repository: Repository) -> None:
    """An untracked link is resolved as well."""
    repository.commit({"README": b"1\n"})
    os.symlink("/usr", repository.folder / "away")
    with pytest.raises(PatchRejectedError):
        Patch(link("out", "away/bin")).verify().apply(repository.folder)

    assert not os.path.lexists(repository.folder / "out")


@pytest.mark.parametrize("size", [1000, 20000])
def test_long_ways_end(size: int) -> None:
    """Links that refer to one another many times over are followed as far as any system does."""
    links = {f"l{number}": f"l{number + 1}/l{number + 1}" for number in range(size)}

    assert not LinkTree(links).leads_outside("l0", links["l0"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A/b", "a/B"),
        ("gr\u00fcn", "gru\u0308n"),
        ("stra\u00dfe", "STRASSE"),
        ("a/b. ", "a/b"),
        ("a/b::$INDEX_ALLOCATION", "a/b"),
        ("a\u200d/b", "a/b"),
        ("\u212a", "k"),
    ],
)
def test_names_that_are_one_somewhere(one: str, other: str) -> None:
    """Names are folded as APFS, HFS+ and NTFS do it."""
    assert folded(one) == folded(other)
