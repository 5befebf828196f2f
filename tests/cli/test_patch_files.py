"""Patch files on the command line: `apply`, `diff` and `attempts` without any service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, git, make_checkout
from tests.cli.cli_support import Cli

from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud

CODEX = "*** Begin Patch\n*** Update File: hello.txt\n@@\n hello\n+world\n*** End Patch\n"
MAIL = (
    "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
    "From: A <a@example.com>\nSubject: [PATCH 1/2] Greet the\n world\n\nIt is polite.\n---\n hello.txt | 1 +\n\n"
    f"{DIFF}-- \n2.43.0\n"
)


def no_service(request: object) -> object:
    """Refuse every request."""
    raise AssertionError(request)


@pytest.fixture
def checkout(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """A checkout that `DIFF` fits, with an author, and the file one.patch beside it."""
    (tmp_path / "one.patch").write_text(DIFF)
    return repositories.copy(make_checkout_of_an_author, tmp_path / "checkout")


def make_checkout_of_an_author(folder: Path) -> None:
    """Commit a file, and set an author for the commits of commands."""
    make_checkout(folder)
    git(folder, "config", "user.name", "A")
    git(folder, "config", "user.email", "a@example.com")


@pytest.fixture
def cli(checkout: Path) -> Cli:
    """The command line in the checkout, without a service."""
    return Cli(checkout, no_service)


@pytest.mark.parametrize("name", ["../one.patch", "./copy", "copy", "-"])
def test_apply_takes_a_file(cli: Cli, checkout: Path, name: str) -> None:
    """A path that exists, one that begins with ./ or ../, and - are files; no request is sent."""
    (checkout / "copy").write_text(DIFF)
    done = cli("apply", name, stdin=DIFF.encode())

    assert (0, ["applied     hello.txt", "applied 1 file", "git diff shows it"]) == (done.code, done.out.splitlines())


def test_apply_takes_an_absolute_path_and_a_folder_inside(cli: Cli, checkout: Path) -> None:
    """A file is found from the working directory, and applied from the top of the checkout."""
    (checkout / "inside").mkdir()
    inside = Cli(checkout / "inside", no_service)
    codes = [
        inside("apply", str(checkout.parent / "one.patch"), "--check").code,
        inside("apply", "../../one.patch").code,
        cli("apply", "--undo").code,
    ]

    assert [0, 0, 0] == codes


def test_anything_else_is_a_ref(checkout: Path) -> None:
    """A word that names no file is a task."""
    cli = Cli(checkout, ScriptedCloud(attempts=[AttemptScript(timeline=["completed"], result=_result(DIFF))]))
    id = cli.submit().partition(":")[2]

    assert (0, "hello\nworld\n") == (cli("apply", id).code, (checkout / "hello.txt").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apply", "./missing.patch"], "there is no file ./missing.patch; correct the path"),
        (["apply", "folder"], "folder is a folder, not a patch file; pass a file or a ref"),
        (["apply", "empty"], "empty: there is no diff in it; pass the output of git diff"),
        (["apply", "text"], "text: line 1: there is no diff in this text; pass the output of git diff, or pass --repair"),
        (["diff", "text", "--stat"], "text: line 1: there is no diff in this text; pass the output of git diff, or pass --repair"),
        (["apply", "text", "--repair"], "text: line 1: there is no diff in this text; pass the output of git diff"),
        (["apply", "../one.patch", "--attempt", "2"], "--attempt needs a task, and ../one.patch is a file; leave it out, or pass a REF"),
        (["diff", "../one.patch", "--between", "1", "2"], "--attempt and --between need a task, and ../one.patch is a file; leave them out, or pass a REF"),
        (["apply"], "no task and no file given; pass a REF or a FILE; coatcheck list shows the latest tasks"),
        (["apply", "../one.patch", "--undo"], "--undo takes no REF, no FILE and no other option; run: coatcheck apply --undo"),
        (["apply", "../one.patch", "--commit", "--branch", "x"], "--branch and --commit cannot be combined; --branch does not change the files of the checkout"),
        (["apply", "../one.patch", "--commit", "--markers"], "--commit and --markers cannot be combined; --commit applies all of the patch or nothing"),
        (["attempts", "../one.patch", "codex:x"], "codex:x is not a file, and several names must be files; pass one REF, or files: ./NAME"),
        (["attempts", "codex:x", "--repair"], "-p, --directory and --repair need a patch file; leave them out"),
        (["attempts", "-", "-"], "standard input can be read once; pass - once"),
        (["apply", "../one.patch", "-p", "5"], "../one.patch: line 1: the name a/hello.txt has fewer than 6 components; use a lower -p; use the output of git diff without options, or pass --repair"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(cli: Cli, checkout: Path, arguments: list[str], message: str) -> None:
    """What cannot be read is named, with what to do; nothing is changed."""
    (checkout / "folder").mkdir()
    (checkout / "empty").write_text("")
    (checkout / "text").write_text("hello\n")

    assert message == cli(*arguments).line


def test_diff_shows_a_file(cli: Cli) -> None:
    """A summary, the names, and the bytes themselves; as JSON with the file instead of a ref."""
    stat, names = cli("diff", "../one.patch", "--stat"), cli("diff", "-", "--name-only", stdin=DIFF.encode())
    document = cli("diff", "../one.patch", "--json").json

    assert [" hello.txt | 1 +", "hello.txt", DIFF, (None, "../one.patch", DIFF)] == [
        stat.out.splitlines()[0],
        names.out.strip(),
        cli("diff", "../one.patch").out,
        (document["ref"], document["file"], document["diff"]),
    ]


def test_names_can_be_changed(cli: Cli, checkout: Path) -> None:
    """-p and --directory work as for git apply."""
    (checkout / "sub").mkdir()
    (checkout / "sub" / "hello.txt").write_text("hello\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "second")
    (checkout.parent / "deep.patch").write_text(DIFF.replace("a/hello", "x/y/hello").replace("b/hello", "x/y/hello"))
    code = cli("apply", "../deep.patch", "-p", "2", "--directory", "sub").code

    assert (0, "hello\nworld\n") == (code, (checkout / "sub" / "hello.txt").read_text())


def test_attempts_compares_files(cli: Cli, checkout: Path) -> None:
    """Each file with its size, and what they have in common, by their names."""
    (checkout.parent / "two.patch").write_text(DIFF)
    (checkout.parent / "three.patch").write_text(DIFF.replace("+world", "+moon"))
    done = cli("attempts", "../one.patch", "../two.patch", "../three.patch")

    assert [
        "../one.patch    +1/-0 • 1 file",
        "../two.patch    +1/-0 • 1 file",
        "../three.patch  +1/-0 • 1 file",
    ] == done.out.splitlines()[:3]
    assert "../one.patch and ../two.patch are the same change" in done.out.splitlines()


def test_repairs_are_printed(cli: Cli, checkout: Path) -> None:
    """--repair prints what it changed on stderr, and as JSON; without it the format is named."""
    refused = cli("apply", "-", stdin=CODEX.encode()).line
    done = cli("apply", "-", "--repair", stdin=CODEX.encode())
    git(checkout, "checkout", "-q", ".")
    document = cli("apply", "-", "--repair", "--json", stdin=CODEX.encode()).json

    assert "standard input: line 1: this is a Codex patch (*** Begin Patch), not a unified diff" in refused
    assert "repaired: line 1: wrote a Codex patch as a diff\n" == done.err
    assert [("format", 1)] == [(repair["kind"], repair["line"]) for repair in document["repairs"]]
    assert "hello\nworld\n" == (checkout / "hello.txt").read_text()


def test_the_diff_of_a_task_is_repaired_as_well(checkout: Path) -> None:
    """--repair works for what an agent returned."""
    broken = DIFF.replace("@@ -1 +1,2 @@", "@@ -1,7 +1,9 @@")
    script = AttemptScript(timeline=["completed"], result=_result(broken))
    cli = Cli(checkout, ScriptedCloud(attempts=[script]))
    ref = cli.submit()
    without, with_repair = cli("apply", ref).code, cli("apply", ref, "--repair")

    assert broken != DIFF
    assert (9, 0, DIFF) == (without, with_repair.code, cli("diff", ref, "--repair").out)


def _result(diff: str) -> object:
    from coatcheck.cloud.models import CloudResult

    return CloudResult(diff=diff)


# --- commits ----------------------------------------------------------------------------------------------------------


def last_commit(checkout: Path) -> str:
    """Return the message of HEAD."""
    return git(checkout, "log", "-1", "--format=%B").strip()


def test_a_patch_is_committed(cli: Cli, checkout: Path) -> None:
    """The commit holds the patch, its message names the file, and the tree is clean."""
    done = cli("apply", "../one.patch", "--commit")
    head = git(checkout, "rev-parse", "--short=7", "HEAD").strip()

    assert [f"applied 1 file, committed {head}", "git show shows it"] == done.out.splitlines()[1:]
    assert "Apply one.patch\n\n1 file changed, 1 insertion(+)" == last_commit(checkout)
    assert "" == git(checkout, "status", "--porcelain")


def test_the_message_of_a_mail_is_kept(cli: Cli, checkout: Path) -> None:
    """A patch of git format-patch gives the commit its subject and text, also after a byte order mark."""
    (checkout.parent / "mail.patch").write_text(MAIL, encoding="utf-8-sig")
    cli("apply", "../mail.patch", "--commit")

    assert "Greet the world\n\nIt is polite." == last_commit(checkout)


def test_the_commit_of_a_task_names_it(checkout: Path) -> None:
    """A task's patch is committed with its title and a trailer."""
    cli = Cli(checkout, ScriptedCloud(attempts=[AttemptScript(timeline=["completed"], result=_result(DIFF))]))
    ref = cli.submit()
    cli("apply", ref, "--commit")

    assert f"Add dark mode\n\nCoatcheck-Task: {ref}" == last_commit(checkout)


def series(checkout: Path, count: int) -> list[bytes]:
    """Return patches that change the same file one after the other, made in the checkout, which is reset."""
    patches = []
    for number in range(count):
        with (checkout / "hello.txt").open("a") as file:
            file.write(f"line {number}\n")
        patches.append(git(checkout, "diff").encode())
        git(checkout, "commit", "-q", "-a", "-m", f"change {number}")
    git(checkout, "reset", "-q", "--hard", f"HEAD~{count}")
    return patches


def test_patches_are_committed_in_a_row_and_undone_one_by_one(cli: Cli, checkout: Path) -> None:
    """Each application is a commit on top of the last, and undo removes the newest."""
    patches = series(checkout, 4)
    (checkout / "staged").write_text("staged\n")
    git(checkout, "add", "staged")
    before = git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"), git(checkout, "ls-files", "-s")
    applied = [cli("apply", "-", "--commit", stdin=patch).code for patch in patches]
    counts = [git(checkout, "rev-list", "--count", "HEAD").strip()]
    undone = []
    for _ in patches:
        undone.append(cli("apply", "--undo").code)
        counts.append(git(checkout, "rev-list", "--count", "HEAD").strip())

    assert ([0] * 4, [0] * 4, ["5", "4", "3", "2", "1"]) == (applied, undone, counts)
    assert before == (
        git(checkout, "rev-parse", "HEAD"),
        git(checkout, "status", "--porcelain"),
        git(checkout, "ls-files", "-s"),
    )


def test_a_commit_is_all_or_nothing(cli: Cli, checkout: Path) -> None:
    """Where a file cannot be changed, nothing is, and there is no commit."""
    two = (
        DIFF
        + "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n"
    )
    (checkout / "hello.txt").write_text("mine\n")
    done = cli("apply", "-", "--commit", stdin=two.encode())

    assert 9 == done.code
    assert "nothing was changed" in done.err
    assert ("mine\n", False, "first") == (
        (checkout / "hello.txt").read_text(),
        (checkout / "new.txt").exists(),
        last_commit(checkout),
    )


def test_a_patch_that_is_there_already_makes_no_commit(cli: Cli, checkout: Path) -> None:
    """A second application changes nothing and succeeds."""
    first, second = cli("apply", "../one.patch", "--commit"), cli("apply", "../one.patch", "--commit")

    assert (0, 0, "2") == (first.code, second.code, git(checkout, "rev-list", "--count", "HEAD").strip())
    assert ["skipped     hello.txt: it already has the change of the patch", "applied 0 files, skipped 1"] == (
        second.out.splitlines()
    )


def more_commits(checkout: Path) -> None:
    """Add another commit."""
    git(checkout, "commit", "-q", "--allow-empty", "-m", "more")


def other_branch(checkout: Path) -> None:
    """Switch to another branch."""
    git(checkout, "switch", "-q", "-c", "other")


@pytest.mark.parametrize(
    ("prepare", "message"), [(more_commits, "main has other commits since"), (other_branch, "is not checked out")]
)
def test_an_undo_does_not_rewrite_other_commits(
    cli: Cli, checkout: Path, prepare: Callable[[Path], None], message: str
) -> None:
    """A commit that is not the newest of the current branch is not undone; nothing changes."""
    cli("apply", "../one.patch", "--commit")
    prepare(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    done = cli("apply", "--undo")

    assert (9, head, "hello\nworld\n") == (
        done.code,
        git(checkout, "rev-parse", "HEAD"),
        (checkout / "hello.txt").read_text(),
    )
    assert message in done.line


def without_commit(checkout: Path) -> None:
    """Switch to a branch without commits."""
    git(checkout, "checkout", "-q", "--orphan", "empty")


def in_a_merge(checkout: Path) -> None:
    """Leave the checkout in the middle of a merge."""
    (checkout / ".git" / "MERGE_HEAD").write_text(git(checkout, "rev-parse", "HEAD"))


@pytest.mark.parametrize(
    ("prepare", "message"), [(without_commit, "has no commit yet"), (in_a_merge, "a merge is not finished here")]
)
def test_a_commit_needs_a_head(cli: Cli, checkout: Path, prepare: Callable[[Path], None], message: str) -> None:
    """Without a first commit, and in the middle of a merge, nothing is applied."""
    prepare(checkout)
    done = cli("apply", "../one.patch", "--commit")

    assert (9, "hello\n") == (done.code, (checkout / "hello.txt").read_text())
    assert message in done.line


@pytest.mark.parametrize("missing", ["HEAD", "HEAD^{tree}", "HEAD:hello.txt"])
def test_a_damaged_repository_is_named_as_one(cli: Cli, checkout: Path, missing: str) -> None:
    """A missing object is never reported as a missing commit or as a patch that does not fit, and nothing is applied."""
    name = git(checkout, "rev-parse", missing).strip()
    (checkout / ".git" / "objects" / name[:2] / name[2:]).unlink()
    options = (["--commit"], ["--branch", "new"], ["--index"], [])
    results = [
        cli("apply", "../one.patch", *each) for each in (options if missing != "HEAD:hello.txt" else options[:3])
    ]

    assert [(2, True)] * len(results) == [(each.code, "run git fsck" in each.line) for each in results]
    assert "hello\n" == (checkout / "hello.txt").read_text()


def test_a_detached_head_moves(cli: Cli, checkout: Path) -> None:
    """Without a branch HEAD itself moves to the commit and back."""
    git(checkout, "checkout", "-q", "--detach")
    cli("apply", "../one.patch", "--commit")
    there = last_commit(checkout).partition("\n")[0]
    cli("apply", "--undo")

    assert ("Apply one.patch", "first", "") == (
        there,
        last_commit(checkout),
        git(checkout, "status", "--porcelain"),
    )


def test_a_check_commits_nothing(cli: Cli, checkout: Path) -> None:
    """With --check nothing is written."""
    assert (0, "first") == (cli("apply", "../one.patch", "--commit", "--check").code, last_commit(checkout))


def test_a_missing_patch_file_is_named(tmp_path: Path) -> None:
    """A name that ends as a patch file does is a file, and a missing one is an error about it."""
    done = Cli(tmp_path)("diff", "nope.diff")

    assert (2, True) == (done.code, "nope.diff" in done.line)
