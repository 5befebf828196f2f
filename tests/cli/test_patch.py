from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck.cloud.records import CloudResult
from coatcheck.cloud.scripted import DIFF, AttemptScript, ScriptedCloud

TWO_FILES = (
    DIFF + "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n"
)
ESCAPING = DIFF.replace("hello.txt", "../hello.txt")


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder* as somebody."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
    return done.stdout.decode()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that the diffs fit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "hello.txt").write_text("hello\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def ended(folder: Path, *diffs: str | None) -> tuple[Cli, str]:
    """Return a command line in *folder*, and the ref of a task that has ended with an attempt for each diff."""
    scripts = [AttemptScript(timeline=["completed"], result=CloudResult(diff=diff)) for diff in diffs]
    cli = Cli(folder, ScriptedCloud(attempts=scripts))
    return cli, cli.submit("--attempts", str(len(diffs)))


def test_apply_changes_the_work_tree_and_nothing_else(checkout: Path) -> None:
    """The patch is in the tree, unstaged; nothing else is left there; each file is told."""
    cli, ref = ended(checkout, TWO_FILES)
    done = cli("apply", ref)

    assert 0 == done.code
    assert [
        "applied     hello.txt",
        "applied     new.txt",
        "applied 2 files",
        "git diff shows it",
    ] == done.out.splitlines()
    assert " M hello.txt\n?? new.txt\n" == git(checkout, "status", "--porcelain")


def test_apply_works_from_a_folder_inside(checkout: Path) -> None:
    """Paths of a patch start at the top of the checkout, wherever we stand."""
    (checkout / "inside").mkdir()
    cli, ref = ended(checkout / "inside", DIFF)

    assert 0 == cli("apply", ref).code
    assert "hello\nworld\n" == (checkout / "hello.txt").read_text()


def test_apply_stages_when_asked(checkout: Path) -> None:
    """--index stages what is applied."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--index", ref)

    assert "M  hello.txt\nA  new.txt\n" == git(checkout, "status", "--porcelain")


def test_check_changes_nothing(checkout: Path) -> None:
    """--check says what would happen."""
    cli, ref = ended(checkout, TWO_FILES)
    done = cli("apply", "--check", ref)

    assert (0, "would apply 2 files") == (done.code, done.out.splitlines()[-1])
    assert "" == git(checkout, "status", "--porcelain")


def test_files_can_be_left_out(checkout: Path) -> None:
    """--exclude and --include choose files."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--exclude", "new.txt", ref)

    assert " M hello.txt\n" == git(checkout, "status", "--porcelain")


def test_an_attempt_is_chosen(checkout: Path) -> None:
    """--attempt N lands that attempt."""
    cli, ref = ended(checkout, DIFF, DIFF.replace("+world", "+everybody"))
    cli("apply", "--attempt", "2", ref)

    assert "hello\neverybody\n" == (checkout / "hello.txt").read_text()


def test_uncommitted_work_is_left_alone(checkout: Path) -> None:
    """A file that somebody works on is skipped and told; the others are applied; the exit code says that it is not all."""
    (checkout / "hello.txt").write_text("mine\n")
    cli, ref = ended(checkout, TWO_FILES)
    done, with_json = cli("apply", ref), cli("apply", "--json", ref)

    assert (9, 9) == (done.code, with_json.code)
    assert "skipped     hello.txt: it has uncommitted changes: commit or stash them" in done.out.splitlines()
    assert ("mine\n", "new\n") == ((checkout / "hello.txt").read_text(), (checkout / "new.txt").read_text())
    assert ["skipped", "dirty"] == [with_json.json["files"][0][name] for name in ("status", "kind")]


def test_a_conflict_is_told(checkout: Path) -> None:
    """A file that was changed otherwise stays as it is, unless markers are asked for."""
    (checkout / "hello.txt").write_text("goodbye\n")
    git(checkout, "commit", "-q", "-a", "-m", "second")
    cli, ref = ended(checkout, DIFF)
    done = cli("apply", ref)

    assert 9 == done.code
    assert "goodbye\n" == (checkout / "hello.txt").read_text()
    assert done.out.startswith("conflicted  hello.txt")


def test_a_hostile_patch_is_refused(checkout: Path) -> None:
    """A patch that leaves the tree is refused whole, in one line."""
    cli, ref = ended(checkout, ESCAPING)
    done, with_json = cli("apply", ref), cli("apply", "--json", ref)

    assert (9, 9) == (done.code, with_json.code)
    assert "../hello.txt" in done.line
    assert with_json.error["reasons"]
    assert not (checkout.parent / "hello.txt").exists()


def test_apply_needs_a_checkout(tmp_path: Path) -> None:
    """Outside a checkout nothing is asked of the service."""
    cli, ref = ended(tmp_path, DIFF)
    before = len(cli.cloud.requests)

    assert f"{tmp_path} is no git checkout; go to a clone of the repository" == cli("apply", ref).line
    assert before == len(cli.cloud.requests)


def test_run_lands_what_it_made(checkout: Path) -> None:
    """Run --apply goes from prompt to work tree."""
    cli = Cli(checkout)
    done = cli("run", "-e", "owner/repo", "--apply", "Add dark mode")

    assert (0, "git diff shows it") == (done.code, done.out.splitlines()[-1])
    assert "hello\nworld\n" == (checkout / "hello.txt").read_text()


def test_run_lands_in_json(checkout: Path) -> None:
    """The document says what was applied, beside the task."""
    done = Cli(checkout)("run", "-e", "owner/repo", "--apply", "--json", "--attempts", "2", "--attempt", "2", "x")

    assert ("succeeded", True, ["hello.txt"]) == (
        done.json["state"],
        done.json["applied"]["is_complete"],
        [each["path"] for each in done.json["applied"]["files"]],
    )


def test_run_shows_a_result_that_cannot_land(checkout: Path) -> None:
    """What was made is printed even when it does not fit; it was paid for."""
    script = AttemptScript(timeline=["completed"], result=CloudResult(messages=("Here you are.",), diff=ESCAPING))
    cli = Cli(checkout, ScriptedCloud(attempts=[script]))
    done, with_json = (
        cli("run", "-e", "owner/repo", "--apply", "x"),
        cli("run", "-e", "owner/repo", "--apply", "--json", "x"),
    )

    assert (9, 9) == (done.code, with_json.code)
    assert "Here you are." in done.out.splitlines()
    assert "PatchRejectedError" == with_json.json["applied"]["error"]["type"]
