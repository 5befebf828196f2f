from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.parse import Patch
from coatcheck._patches.policy import ALWAYS, RULES, Policy
from coatcheck.errors import ConfigurationError, PatchError, PatchRejectedError

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Repository


def new_file(path: str, content: str = "x", mode: str = "100644") -> bytes:
    """Return the diff that adds a file of one line at *path*, spelled as it is."""
    quoted = (
        path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\0", b"\\000")
    )
    end = "\n\\ No newline at end of file" if mode == "120000" else ""
    body = b'diff --git "a/%s" "b/%s"\nnew file mode %s\nindex 0000000..1111111\n--- /dev/null\n+++ "b/%s"\n@@ -0,0 +1 @@\n'
    return body % (quoted, quoted, mode.encode(), quoted) + f"+{content}{end}\n".encode()


def rules(patch: bytes, policy: Policy | None = None) -> set[str]:
    """Return the rules that *patch* breaks, rejected or not."""
    try:
        return {finding.rule for finding in Patch(patch).verify(policy=policy).findings}
    except PatchRejectedError as error:
        return {finding.rule for finding in error.reasons}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../x", "outside"),
        ("a/../../x", "outside"),
        ("a/./x", "outside"),
        ("/etc/passwd", "outside"),
        ("//server/share", "outside"),
        ("C:\\x", "outside"),
        ("C:/x", "outside"),
        ("..\\x", "outside"),
        ("a\0b", "outside"),
        (".git/hooks/post-checkout", "git-directory"),
        ("sub/.git/config", "git-directory"),
        (".GIT/config", "git-directory"),
        (".Git ./config", "git-directory"),
        (".git. . /config", "git-directory"),
        (".git::$INDEX_ALLOCATION/config", "git-directory"),
        ("git~1/config", "git-directory"),
        ("GIT~2/config", "git-directory"),
        ("a\\.git\\config", "git-directory"),
        (".g\u200cit/config", "git-directory"),
        (".gi\ufefft/config", "git-directory"),
        ("\u206a.git/config", "git-directory"),
        (".\uff47\uff49\uff54/config", "git-directory"),
        ("con", "windows-name"),
        ("a/NUL.txt", "windows-name"),
        ("COM1", "windows-name"),
        ("a?b", "windows-name"),
        ("trailing./x", "windows-name"),
        (".github/workflows/ci.yml", "automation"),
        (".gitattributes", "automation"),
        ("deep/.gitmodules", "automation"),
        (".husky/pre-commit", "automation"),
        ("web/package-lock.json", "lock-file"),
        ("uv.lock", "lock-file"),
    ],
)  # fmt: skip
def test_paths(path: str, expected: str) -> None:
    """What a path hides has a rule, and a rule that keeps patches in the tree always rejects."""
    patch = new_file(path)

    assert expected in rules(patch)
    if expected in ALWAYS:
        with pytest.raises(PatchRejectedError):
            Patch(patch).verify(policy=Policy(ignore=RULES.keys() - ALWAYS))


@pytest.mark.parametrize(
    "path",
    ["src/main.py", "a b/c d.txt", "ö/ß", "git/x", "gitignore", ".github/README", "x.git/y", "common.py", "a..b"],
)
def test_ordinary_paths(path: str) -> None:
    """Ordinary paths break no rule."""
    assert set() == rules(new_file(path))


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("link", "file", "symlink"),
        ("a/link", "../file", "symlink"),
        ("link", "../file", "symlink-outside"),
        ("a/link", "../../file", "symlink-outside"),
        ("link", "/etc/passwd", "symlink-outside"),
        ("link", "a/../../x", "symlink-outside"),
        ("link", ".git/hooks", "symlink-outside"),
        ("link", "..\\x", "symlink-outside"),
    ],
)
def test_symbolic_links(path: str, target: str, expected: str) -> None:
    """A link may point into the tree, and nowhere else."""
    assert {expected} == rules(new_file(path, target, "120000"))


def test_a_link_that_is_not_shown_is_refused() -> None:
    """What turns into a link without saying where it points could point anywhere."""
    assert {"symlink-outside"} == rules(b"diff --git a/x b/x\nold mode 100644\nnew mode 120000\n")


def test_nothing_is_written_through_links() -> None:
    """A patch that makes a link and then goes through it is refused."""
    patch = new_file("a", "b", "120000") + new_file("a/x")

    assert "through-symlink" in rules(patch)


def test_links_of_the_checkout(repository: Repository, tmp_path: Path) -> None:
    """A path through a link that is there already is refused, and so is moving a link to where it points outside."""
    (tmp_path / "outside").mkdir()
    repository.commit({"out": "-> ../outside", "deep/link": "-> ../x", "x": b"1\n"})
    with pytest.raises(PatchRejectedError) as through:
        Patch(new_file("out/x")).verify(base=repository.folder)
    move = b"diff --git a/deep/link b/link\nsimilarity index 100%\nrename from deep/link\nrename to link\n"
    with pytest.raises(PatchRejectedError) as moved:
        Patch(move).verify(base=repository.folder)

    assert (["through-symlink"], ["symlink-outside"]) == (
        [each.rule for each in through.value.reasons],
        [each.rule for each in moved.value.reasons],
    )


HEAD = b"diff --git a/x b/x\n"


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (HEAD + b"old mode 100644\nnew mode 100755\n", "executable"),
        (HEAD + b"old mode 100644\nnew mode 104755\n", "mode"),
        (HEAD + b"index 1111111..2222222 160000\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-Subproject commit 1\n+Subproject commit 2\n", "submodule"),
        (HEAD + b"index 1111111..2222222 100644\nBinary files a/x and b/x differ\n", "binary-without-content"),
        (HEAD + b"index 1111111..2222222 100644\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n", "binary"),
        (b"diff --cc x\nindex 1111,2222..3333\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n--a\n -b\n++c\n", "merge"),
        (new_file("big", "x" * 600_000), "large-file"),
        (HEAD + b"--- a/x\n+++ b/x\n@@ -1,20 +1 @@\n" + b"-a line of some length\n" * 20 + b"+b\n", "rewrite"),
        (new_file("README") + new_file("readme"), "same-name"),
        (new_file("\u00e9") + new_file("e\u0301"), "same-name"),
        (new_file("s", "key = 'AKIA" + "Q" * 16 + "'"), "secret"),
        (new_file("s", "-----BEGIN RSA PRIVATE KEY-----"), "secret"),
        (new_file("s", "t = 'ghp_" + "a1" * 18 + "'"), "secret"),
    ],
)  # fmt: skip
def test_kinds_and_content(patch: bytes, expected: str) -> None:
    """What a change makes of a file, and what it puts there, has a rule."""
    assert expected in rules(patch)


def test_a_secret_is_named_by_its_line_and_not_shown() -> None:
    """A finding is data: rule, file, line, severity. It never repeats the secret."""
    secret = "ghp_" + "Zz9" * 12
    (finding,) = Patch(new_file("s", f"t = {secret}")).verify().findings

    assert ("secret", "s", 1, "warn", False) == (
        finding.rule,
        finding.path,
        finding.line,
        finding.severity,
        secret in repr(finding),
    )


def test_removing_a_secret_is_no_finding() -> None:
    """Only what is added counts."""
    patch = HEAD + b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-AKIA" + b"Q" * 16 + b"\n+gone\n"

    assert set() == rules(patch)


def test_misfits_are_found_by_line(repository: Repository) -> None:
    """A hunk whose lines are not in the file is found, wherever else the lines may be."""
    repository.commit({"x": b"1\n2\n3\n4\n", "y": b"1\r\n2\r\n"})
    fits = HEAD + b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n 3\n-4\n+5\n"
    other_ends = b"diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1,2 +1,2 @@\n 1\n-2\n+5\n"
    misfit = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -3 +3 @@\n-9\n+5\n"
    missing = misfit.replace(b"x", b"z")

    assert [(), (), (("misfit", "x", 3),), (("misfit", "z", None),)] == [
        tuple((each.rule, each.path, each.line) for each in Patch(patch).verify(base=repository.folder).findings)
        for patch in (fits, other_ends, misfit, missing)
    ]


def test_policies() -> None:
    """A policy lists the rules that reject and that are ignored; the others warn."""
    patch = Patch(new_file("uv.lock"))
    with pytest.raises(PatchRejectedError, match="pins") as caught:
        patch.verify(policy=Policy(reject=["lock-file"]))
    with pytest.raises(PatchRejectedError, match="programs run or read"):
        Patch(new_file(".npmrc")).verify(policy=Policy.strict())

    assert (["warn"], (), "lock-file") == (
        [each.severity for each in patch.verify(policy=Policy.strict()).findings],
        patch.verify(policy=Policy(ignore=["lock-file"])).findings,
        caught.value.reasons[0].rule,
    )


def test_a_policy_cannot_open_the_tree() -> None:
    """The rules that keep a patch inside cannot be ignored, and rules that do not exist cannot be named."""
    for rule in ALWAYS:
        with pytest.raises(ConfigurationError, match="cannot be switched off"):
            Policy(ignore=[rule])
    with pytest.raises(ConfigurationError, match="no rule"):
        Policy(reject=["nonsense"])


def test_policies_are_values() -> None:
    """Equal policies are equal."""
    assert (Policy(), hash(Policy(reject=["binary"])), False) == (
        Policy.default(),
        hash(Policy(reject=["binary"])),
        Policy() == Policy.strict(),
    )


def test_verifying_proves_every_hunk() -> None:
    """A patch that was never read whole is read whole now."""
    with pytest.raises(PatchError, match="line 6"):
        Patch(HEAD + b"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\nb\n").verify()


def test_nothing_outside_is_even_looked_at(repository: Repository, tmp_path: Path) -> None:
    """A path that leaves the tree is checked without the file system; the result does not show whether it exists."""
    (tmp_path / "there").write_text("1\n")
    found = []
    for name in ("there", "not-there"):
        patch = f"diff --git a/../{name} b/../{name}\n--- a/../{name}\n+++ b/../{name}\n@@ -1 +1 @@\n-1\n+2\n"
        with pytest.raises(PatchRejectedError) as caught:
            Patch(os.fsencode(patch)).verify(base=repository.folder)
        found.append([finding.rule for finding in caught.value.reasons])

    assert [["outside"]] * 2 == found


@pytest.mark.parametrize(
    "policy", [Policy(), Policy.strict(), Policy(reject=["binary"], ignore=["too-large", "mode"], large_file=1)]
)
def test_a_policy_is_read_back(policy: Policy) -> None:
    """A policy that went through its JSON form is equal to the one before."""
    assert policy == Policy.from_dict(policy.to_dict())


@pytest.mark.parametrize("document", [{"reject": ["nonsense"]}, {"ignore": "mode"}, {"large_file": "1"}, []])
def test_a_bad_policy_is_a_setting(document: dict[str, object]) -> None:
    """A document that is no policy is a configuration error."""
    with pytest.raises(ConfigurationError) as caught:
        Policy.from_dict(document)

    assert str(caught.value)


def test_a_change_is_a_document() -> None:
    """The facts of a change are plain data; its diff is read back with the patch."""
    (change,) = Patch(b"--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-x\n+y\n+z\n").files

    assert {
        "schema": "coatcheck/1",
        "path": "f",
        "old_path": None,
        "status": "modified",
        "is_binary": False,
        "added": 2,
        "removed": 1,
    } == change.to_dict()
