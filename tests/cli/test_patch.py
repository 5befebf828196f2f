from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.checkouts import RepositoryCopies, git, make_checkout
from tests.cli.cli_support import Cli

from coatcheck.cloud.models import CloudFile, CloudResult
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud

TWO_FILES = (
    DIFF + "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n"
)
ESCAPING = DIFF.replace("hello.txt", "../hello.txt")


@pytest.fixture
def checkout(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """A checkout that the diffs fit."""
    return repositories.copy(make_checkout, tmp_path / "checkout")


def ended(folder: Path, *diffs: str | None, **facts: Any) -> tuple[Cli, str]:
    """Return a command line in *folder*, and the ref of a task that has ended with an attempt for each diff."""
    scripts = [AttemptScript(timeline=["completed"], result=CloudResult(diff=diff, **facts)) for diff in diffs]
    cli = Cli(folder, ScriptedCloud(attempts=scripts))
    return cli, cli.submit("--attempts", str(len(diffs)))


def test_apply_changes_the_work_tree_and_nothing_else(checkout: Path) -> None:
    """The patch is applied to the work tree and not staged, and each file is printed."""
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
    """Paths of a patch start at the root of the checkout, from every folder in it."""
    (checkout / "inside").mkdir()
    cli, ref = ended(checkout / "inside", DIFF)

    assert 0 == cli("apply", ref).code
    assert "hello\nworld\n" == (checkout / "hello.txt").read_text()


def test_apply_stages_with_index(checkout: Path) -> None:
    """--index stages what is applied."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--index", ref)

    assert "M  hello.txt\nA  new.txt\n" == git(checkout, "status", "--porcelain")


def test_check_changes_nothing(checkout: Path) -> None:
    """--check prints what would be done, and changes nothing."""
    cli, ref = ended(checkout, TWO_FILES)
    done = cli("apply", "--check", ref)

    assert (0, "would apply 2 files") == (done.code, done.out.splitlines()[-1])
    assert "" == git(checkout, "status", "--porcelain")


DELETING = """\
diff --git a/hello.txt b/hello.txt
deleted file mode 100644
index ce01362..0000000
--- a/hello.txt
+++ /dev/null
@@ -1 +0,0 @@
-hello
"""


def test_a_check_prints_what_would_be_done(checkout: Path) -> None:
    """With --check results are conditional, as text and as JSON."""
    cli, ref = ended(checkout, DELETING + TWO_FILES[len(DIFF) :])
    done, with_json = cli("apply", "--check", ref), cli("apply", "--check", "--json", ref).json

    assert [
        "would delete  hello.txt",
        "would apply  new.txt",
        "would apply 1 file, would delete 1 file",
    ] == [re.sub(" {2,}", "  ", line) for line in done.out.splitlines()]
    assert [("deleted", "would delete"), ("added", "would apply")] == [
        (file["change"], file["result"]) for file in with_json["files"]
    ]


def test_what_is_deleted_is_called_so(checkout: Path) -> None:
    """A deleted file is deleted, and restored by undoing; a new one is removed by it."""
    cli, ref = ended(checkout, DELETING + TWO_FILES[len(DIFF) :])
    done, undone = cli("apply", ref), cli("apply", "--undo", "--json").json

    assert [
        "deleted     hello.txt",
        "applied     new.txt",
        "applied 1 file, deleted 1 file",
        "git diff shows it",
    ] == done.out.splitlines()
    assert (["hello.txt", "new.txt"], ["new.txt"]) == (sorted(undone["restored"]), undone["removed"])


def test_what_is_skipped_would_be(checkout: Path) -> None:
    """A file that is left alone, and one in conflict, are named with --check too, as what they would be."""
    (checkout / "hello.txt").write_text("mine\n")
    cli, ref = ended(checkout, TWO_FILES)
    lines = cli("apply", "--check", ref).out.splitlines()

    assert [
        "would skip   hello.txt: it has uncommitted changes: commit or stash them",
        "would apply  new.txt",
        "would apply 1 file, would skip 1",
    ] == [re.sub(" {3,}", "   ", line) for line in lines]


def test_submodules_are_named(checkout: Path) -> None:
    """A submodule that is not moved is named with what to do, beside what is applied."""
    moved = "diff --git a/sub b/sub\nindex 1111111..2222222 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n"
    moved += f"-Subproject commit {'1' * 40}\n+Subproject commit {'2' * 40}\n"
    cli, ref = ended(checkout, DIFF + moved)
    done = cli("apply", ref)

    assert 9 == done.code
    assert "skipped     sub: it is a submodule: update it with git submodule" in done.out.splitlines()


def test_what_is_left_out_is_named(checkout: Path) -> None:
    """Files that --exclude leaves out are named."""
    cli, ref = ended(checkout, TWO_FILES)
    lines = cli("apply", "--check", "--exclude", "new.txt", ref).out.splitlines()
    document = cli("apply", "--exclude", "new.txt", "--json", ref).json

    assert ["left out     new.txt", "would apply 1 file, left out 1"] == lines[1:]
    assert ["new.txt"] == document["left_out"]


def test_names_are_stripped_and_put_in_a_directory(checkout: Path) -> None:
    """-p and --directory read names as git apply does, in both commands."""
    (checkout / "inside").mkdir()
    git(checkout, "mv", "hello.txt", "inside/hello.txt")
    git(checkout, "commit", "-q", "-m", "move")
    cli, ref = ended(checkout, DIFF.replace("hello.txt", "deep/er/hello.txt"))
    names = cli("diff", "--name-only", "-p", "3", "--directory", "inside", ref).out
    done = cli("apply", "-p", "3", "--directory", "inside", ref)
    too_many = cli("apply", "-p", "9", ref)

    assert ("inside/hello.txt\n", 0, "hello\nworld\n") == (
        names,
        done.code,
        (checkout / "inside" / "hello.txt").read_text(),
    )
    assert "use a lower -p" in too_many.err


def test_files_can_be_left_out(checkout: Path) -> None:
    """--exclude and --include choose files."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--exclude", "new.txt", ref)

    assert " M hello.txt\n" == git(checkout, "status", "--porcelain")


def test_an_attempt_is_chosen(checkout: Path) -> None:
    """--attempt N applies that attempt."""
    cli, ref = ended(checkout, DIFF, DIFF.replace("+world", "+everybody"))
    cli("apply", "--attempt", "2", ref)

    assert "hello\neverybody\n" == (checkout / "hello.txt").read_text()


def test_another_attempt_of_an_applied_task_is_refused(checkout: Path) -> None:
    """While attempt 1 is applied, attempt 2 is refused with the command that undoes it; after that it is applied."""
    cli, ref = ended(checkout, DIFF, DIFF.replace("+world", "+everybody"))
    cli("apply", "--attempt", "1", ref)
    refused = cli("apply", "--attempt", "2", ref)
    texts = [(checkout / "hello.txt").read_text()]
    cli("apply", "--undo")
    done = cli("apply", "--attempt", "2", ref)
    texts.append((checkout / "hello.txt").read_text())

    assert "is applied here and not committed; undo it first: coatcheck apply --undo" in refused.line
    assert (True, 0, ["hello\nworld\n", "hello\neverybody\n"]) == (refused.code != 0, done.code, texts)


def test_uncommitted_work_is_left_alone(checkout: Path) -> None:
    """A file with uncommitted changes is skipped and named; the others are applied, and the exit code is 9."""
    (checkout / "hello.txt").write_text("mine\n")
    cli, ref = ended(checkout, TWO_FILES)
    done, with_json = cli("apply", ref), cli("apply", "--json", ref)

    assert (9, 9) == (done.code, with_json.code)
    assert "skipped     hello.txt: it has uncommitted changes: commit or stash them" in done.out.splitlines()
    assert ("mine\n", "new\n") == ((checkout / "hello.txt").read_text(), (checkout / "new.txt").read_text())
    assert ["skipped", "dirty"] == [with_json.json["files"][0][name] for name in ("status", "kind")]


def test_a_conflict_is_reported(checkout: Path) -> None:
    """A file in conflict is not changed, unless --markers is given."""
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
    """Outside a checkout no request is sent."""
    cli, ref = ended(tmp_path, DIFF)
    before = len(cli.cloud.requests)

    assert f"{tmp_path} is not in a git checkout; change to a clone of the repository" == cli("apply", ref).line
    assert before == len(cli.cloud.requests)


def test_markers_are_suggested_only_where_they_can_be_written(checkout: Path) -> None:
    """A file that this tree has deleted has no lines between which markers could be."""
    git(checkout, "rm", "-q", "hello.txt")
    git(checkout, "commit", "-q", "-m", "second")
    cli, ref = ended(checkout, DIFF)

    assert [
        "conflicted  hello.txt (deleted by us): this tree deleted the file that the patch changes",
        "applied 0 files, in conflict 1",
        "make the change of the files in conflict by hand, from the diff",
    ] == cli("apply", ref).out.splitlines()


def test_a_conflict_has_its_kind_and_a_remedy(checkout: Path) -> None:
    """The kind is git's word for it; with markers the second try shows the conflict in the file."""
    (checkout / "hello.txt").write_text("goodbye\n")
    git(checkout, "commit", "-q", "-a", "-m", "second")
    cli, ref = ended(checkout, TWO_FILES)
    first, again = cli("apply", ref), cli("apply", "--markers", ref)

    assert [
        "conflicted  hello.txt (both modified): the patch and this tree change the same lines",
        "applied     new.txt",
        "applied 1 file, in conflict 1",
        "apply it again with --markers (markers=True in Python) to see the conflicts in their files, or resolve them from the diff",
        "git status shows it",
    ] == first.out.splitlines()
    assert [
        "conflicted  hello.txt (both modified): the patch and this tree change the same lines",
        "skipped     new.txt: it already has the change of the patch",
        "applied 0 files, skipped 1, in conflict 1",
        "resolve the conflict markers, then git add the files",
    ] == again.out.splitlines()
    assert "<<<<<<< yours\ngoodbye\n" in (checkout / "hello.txt").read_text()


def test_undo_takes_the_last_application_back(checkout: Path) -> None:
    """--undo restores every file, and a second --undo finds nothing to undo."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", "--index", ref)
    undone, again = cli("apply", "--undo"), cli("apply", "--undo")

    assert (0, ["removed     new.txt", "restored    hello.txt", "restored 1 file, removed 1 new file"]) == (
        undone.code,
        sorted(undone.out.splitlines()),
    )
    assert "" == git(checkout, "status", "--porcelain")
    assert (9, "no application is left to undo here") == (again.code, again.line)


def test_undo_leaves_alone_what_was_edited_since(checkout: Path) -> None:
    """--undo does not change a file that was edited since; the exit code and the document show it."""
    cli, ref = ended(checkout, TWO_FILES)
    cli("apply", ref)
    (checkout / "hello.txt").write_text("mine\n")
    undone = cli("apply", "--undo", "--json")

    assert (9, ["new.txt"], ["hello.txt"], None) == (
        undone.code,
        *(undone.json[name] for name in ("restored", "refused", "branch")),
    )
    assert "mine\n" == (checkout / "hello.txt").read_text()


def test_a_branch_has_the_text_of_the_pull_request(checkout: Path) -> None:
    """--branch makes a commit with title, text and the task's name, and touches no file; undo removes the branch."""
    cli, ref = ended(checkout, TWO_FILES, title="Say hello", body="To the world.")
    done = cli("apply", "--branch", "hello", ref)
    message = git(checkout, "log", "-1", "--format=%B", "hello")
    status, names = git(checkout, "status", "--porcelain"), git(checkout, "diff", "--name-only", "main", "hello")
    undone = cli("apply", "--undo")

    assert (0, f"Say hello\n\nTo the world.\n\nCoatcheck-Task: {ref}\n\n", "", "hello.txt\nnew.txt\n") == (
        done.code,
        message,
        status,
        names,
    )
    assert ["git switch hello", "removed the branch hello"] == [done.out.splitlines()[-1], undone.out.strip()]
    assert "main" == git(checkout, "branch", "--format=%(refname:short)").strip()


def test_a_branch_can_start_where_the_patch_fits(checkout: Path) -> None:
    """A patch that does not fit HEAD is an error with the commit that it fits, which --start accepts."""
    base = git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "hello.txt").write_text("goodbye\n")
    git(checkout, "commit", "-q", "-a", "-m", "second")
    cli, ref = ended(checkout, DIFF, base_commit=base)
    refused, done = cli("apply", "--branch", "b", ref), cli("apply", "--branch", "b", "--start", base, "--json", ref)

    assert (9, True) == (
        refused.code,
        refused.line.endswith(f"start at the commit that the patch was made for: --start {base}"),
    )
    assert (0, "b", git(checkout, "rev-parse", "b").strip()) == (done.code, done.json["branch"], done.json["commit"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--branch", "main"], "the branch main exists already"),
        (["--branch", "b", "--start", "nowhere"], "there is no commit nowhere to start the branch at"),
        (["--branch", "a..b"], "'a..b' is not a valid branch name"),
        (["--branch", "b", "--index"], "--branch and --index cannot be combined"),
        (["--start", "main"], "--start needs --branch"),
        (["--undo"], "--undo takes no REF, no FILE and no other option"),
        (["--reject", "nope"], "there is no rule 'nope'"),
        (["--ignore", "outside"], "the rule 'outside' cannot be switched off"),
        (["--include", "nothing"], "--include and --exclude leave no file of the patch; the patch changes hello.txt"),
    ],
)
def test_what_cannot_be_is_one_line(checkout: Path, options: list[str], expected: str) -> None:
    """Bad options are one line with the remedy."""
    cli, ref = ended(checkout, DIFF)
    done = cli("apply", *options, ref)

    assert (2, True) == (done.code, done.line.startswith(expected))


def test_apply_needs_a_task_or_a_file(checkout: Path) -> None:
    """Without a ref there is nothing to apply."""
    assert (
        "no task and no file given; pass a REF or a FILE; coatcheck list shows the latest tasks"
        == Cli(checkout)("apply").line
    )


WORKFLOW = """\
diff --git a/.github/workflows/a.yml b/.github/workflows/a.yml
new file mode 100644
--- /dev/null
+++ b/.github/workflows/a.yml
@@ -0,0 +1 @@
+on: push
"""


def test_policies_decide(checkout: Path) -> None:
    """A finding is a warning, an error or nothing, depending on the options."""
    cli, ref = ended(checkout, WORKFLOW)
    codes = [cli("apply", "--check", *options, ref) for options in ([], ["--reject", "automation"], ["--strict"])]
    ignored = cli("apply", "--check", "--strict", "--ignore", "automation", "--refresh", ref)

    assert [0, 9, 9, 0, ""] == [*(done.code for done in codes), ignored.code, ignored.err]
    assert codes[0].err.startswith("warning: .github/workflows/a.yml: ")
    assert "(automation); " in codes[1].line


def test_many_warnings_are_counted(checkout: Path) -> None:
    """Ten warnings are printed; --json has all of them."""
    cli, ref = ended(checkout, "".join(WORKFLOW.replace("a.yml", f"{number}.yml") for number in range(30)))
    warned = cli("apply", "--check", ref).err.splitlines()

    assert (11, "and 20 more warnings; --json has all of them") == (len(warned), warned[-1])
    assert 30 == len(cli("apply", "--check", "--json", ref).json["findings"])


def test_run_applies_its_result(checkout: Path) -> None:
    """`run --apply` applies the patch of the task."""
    cli = Cli(checkout)
    done = cli("run", "-e", "owner/repo", "--apply", "Add dark mode")

    assert (0, "git diff shows it") == (done.code, done.out.splitlines()[-1])
    assert "hello\nworld\n" == (checkout / "hello.txt").read_text()


def test_run_applies_with_json(checkout: Path) -> None:
    """With --json the application is a field beside the task."""
    done = Cli(checkout)("run", "-e", "owner/repo", "--apply", "--json", "--attempts", "2", "--attempt", "2", "x")

    assert ("succeeded", True, ["hello.txt"]) == (
        done.json["state"],
        done.json["applied"]["is_complete"],
        [each["path"] for each in done.json["applied"]["files"]],
    )


def test_run_shows_a_result_that_cannot_land(checkout: Path) -> None:
    """The result is printed even where the patch does not fit."""
    script = AttemptScript(timeline=["completed"], result=CloudResult(messages=("Here you are.",), diff=ESCAPING))
    cli = Cli(checkout, ScriptedCloud(attempts=[script]))
    done, with_json = (
        cli("run", "-e", "owner/repo", "--apply", "x"),
        cli("run", "-e", "owner/repo", "--apply", "--json", "x"),
    )

    assert (9, 9) == (done.code, with_json.code)
    assert "Here you are." in done.out.splitlines()
    assert "PatchRejectedError" == with_json.json["applied"]["error"]["type"]


# --- diff -------------------------------------------------------------------------------------------------------------


def test_diff_sums_up(checkout: Path) -> None:
    """--stat is git's summary, --name-only its list."""
    cli, ref = ended(checkout, TWO_FILES)

    assert (
        " hello.txt | 1 +\n new.txt   | 1 +\n 2 files changed, 2 insertions(+)\n",
        "hello.txt\nnew.txt\n",
        [("hello.txt", "modified"), ("new.txt", "added")],
    ) == (
        cli("diff", "--stat", ref).out,
        cli("diff", "--name-only", ref).out,
        [(each["path"], each["status"]) for each in cli("diff", "--json", ref).json["files"]],
    )


def test_attempts_differ(checkout: Path) -> None:
    """--between prints how one attempt differs from another, and the share that they have in common."""
    cli, ref = ended(
        checkout,
        DIFF,
        None,
        TWO_FILES.replace("+world", "+everybody"),
        DIFF.replace("index ce01362..94954ab 100644\n", ""),
    )
    between, same = cli("diff", "--between", "1", "3", ref), cli("diff", "--between", "1", "4", ref)
    document = cli("diff", "--between", "1", "3", "--json", ref).json

    assert ("0% of their changed lines are the same, in 1 file that both touch\n", True) == (
        between.err,
        "-+world\n++everybody\n" in between.out,
    )
    origin = "from the history, recorded 0s ago; --refresh reads from the service\n"
    assert ("", f"they are the same change\n{origin}") == (same.out, same.err)
    assert (between.out, [1, 3], False, 0.0) == tuple(
        document[name] for name in ("diff_of_diffs", "between", "is_same_change", "share")
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--stat", "--name-only"], 2),
        (["--between", "1", "2", "--attempt", "1"], 2),
        (["--between", "1", "2", "-p", "1"], 2),
        (["--between", "1", "9"], 2),
    ],
)
def test_diff_refuses_what_cannot_be(checkout: Path, options: list[str], code: int) -> None:
    """One form at a time, of attempts that there are."""
    cli, ref = ended(checkout, DIFF, DIFF)

    assert (code, True) == ((done := cli("diff", *options, ref)).code, bool(done.line))


def test_attempts_are_compared(checkout: Path) -> None:
    """`attempts` prints equal changes, shares in common, and files of one attempt only."""
    cli, ref = ended(checkout, DIFF, TWO_FILES, DIFF)

    assert [
        "attempt 1  [succeeded]  +1/-0 • 1 file",
        "attempt 2  [succeeded]  +2/-0 • 2 files",
        "attempt 3  [succeeded]  +1/-0 • 1 file",
        "",
        "attempt 1 changes Text +1/-0",
        "attempt 2 changes Text +2/-0",
        "attempt 3 changes Text +1/-0",
        "attempts 1 and 3 are the same change",
        "attempts 1 and 2 share 50% of their changed lines",
        "attempts 2 and 3 share 50% of their changed lines",
        "only attempt 2 touches new.txt",
    ] == cli("attempts", ref).out.splitlines()
    assert [[1, 3]] == cli("attempts", "--json", ref).json["comparison"]["same"]


# --- other formats ----------------------------------------------------------------------------------------------------


def test_a_mail_becomes_a_commit(checkout: Path) -> None:
    """The command git am accepts the output of `show --format mail`."""
    cli, ref = ended(checkout, TWO_FILES, title="Grüße", body="An alle.")
    (checkout.parent / "mail").write_bytes(cli("show", "--format", "mail", ref).data)
    git(checkout, "am", "-q", str(checkout.parent / "mail"))

    assert f"coatcheck Grüße An alle.\n\nCoatcheck-Task: {ref}\n\n" == git(checkout, "log", "-1", "--format=%an %s %b")


def test_show_has_other_formats(checkout: Path) -> None:
    """--format prints Markdown or a Chat Completions response, of the chosen attempt."""
    cli, ref = ended(checkout, DIFF, TWO_FILES, title="Say hello", messages=("Done.",))
    page, chat = cli("show", "--format", "markdown", "--attempt", "2", ref), cli("show", "--format", "chat", ref)
    one = cli("show", "--format", "chat", "--attempt", "2", ref)

    assert " 2 files changed, 2 insertions(+)" in page.out
    assert ([0, 1], [1], "chat.completion") == (
        [choice["index"] for choice in chat.json["choices"]],
        [choice["index"] for choice in one.json["choices"]],
        one.json["object"],
    )


def test_files_can_be_had(checkout: Path) -> None:
    """`show --file` prints a file as the agent left it; an unknown path is an error."""
    files = (CloudFile(path="a.py", content="def f():\n    pass\n"), CloudFile(path="big", missing_reason="too big"))
    cli, ref = ended(checkout, DIFF, files=files)
    shown = cli("show", "--file", "a.py", ref)
    cli.is_terminal = True
    painted = cli("show", "--file", "a.py", ref)
    cli.is_terminal = False

    assert ("def f():\n    pass\n", "\x1b[1mdef\x1b[0m ") == (shown.out, painted.out[:12])
    assert [f"{ref} has no file 'b.py'; its files are: a.py, big", "big cannot be shown: too big"] == [
        cli("show", "--file", name, ref).line for name in ("b.py", "big")
    ]


def test_one_format_at_a_time(checkout: Path) -> None:
    """--json is a format too."""
    cli, ref = ended(checkout, DIFF)

    assert "cannot be combined" in cli("show", "--format", "chat", "--file", "x", ref).line
    assert 2 == cli("show", "--format", "chat", "--json", ref).code
