"""The user's repository is never changed, and the agent's result is complete."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, init

from coatcheck._workspaces.git import WorkspaceError, git_environment
from coatcheck._workspaces.tree_removal import remove_tree
from coatcheck._workspaces.workspace import Workspace, WorkspaceManager
from coatcheck.cloud.collect_changes import Changes, collect_changes, quoted


def git(where: Path, *arguments: str, **environ: str) -> str:
    """Run git as the user would."""
    env = {**git_environment(os.environ), **environ}
    done = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """Return a repository with a history, a second branch, an ignored file and an annotated tag."""
    return repositories.copy(make_repository, tmp_path / "repository")


def make_repository(path: Path) -> None:
    """Commit files on two branches, with a tag, and leave one that is not committed."""
    init(path)
    (path / "hello.txt").write_text("hello\n")
    (path / ".gitignore").write_text("*.log\n")
    (path / "latin.txt").write_bytes(b"caf\xe9\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "First")
    git(path, "branch", "other")
    git(path, "tag", "-a", "-m", "v1", "v1")
    (path / "uncommitted.txt").write_text("mine\n")


def photograph(repository: Path) -> dict[str, tuple[object, ...]]:
    """Return every file with its bytes, mode and time of change."""
    seen: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(repository):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            seen[str(path)] = (content, status.st_mode, status.st_mtime_ns, status.st_ino)
    return seen


@pytest.fixture
def workspaces(tmp_path: Path) -> WorkspaceManager:
    """Return a workspace manager in a new folder."""
    (tmp_path / "data").mkdir()
    return WorkspaceManager(tmp_path / "data", environ=os.environ)


@pytest.fixture
def open_workspace(workspaces: WorkspaceManager, repository: Path) -> Iterator[Callable[..., Workspace]]:
    """Open workspaces that are removed at the end."""
    opened: list[Workspace] = []

    def open_(**options: str | None) -> Workspace:
        opened.append(
            workspaces.open(f"a{len(opened)}", mirror="m", source=repository, **{"branch": "main", **options})
        )
        return opened[-1]

    yield open_
    for workspace in opened:
        workspace.remove()
        assert not workspace.folder.exists()


def applied(repository: Path, tmp_path: Path, diff: str) -> Path:
    """Apply a diff to a fresh clone of the repository, as a user would."""
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "-q", str(repository), str(checkout))
    patch = tmp_path / "a.patch"
    patch.write_text(diff, newline="")
    git(checkout, "apply", "--index", str(patch))
    return checkout


SPOILING = r"""
objects=$(cat .git/objects/info/alternates)
chain=$(cat "$objects/info/alternates")
for where in "$objects" "$chain"; do
    chmod -R u+w "$where" 2>/dev/null
    find "$where" -type f -exec sh -c 'echo spoiled >> "$1"' _ {} \;
    touch -d 2001-01-01 "$where" 2>/dev/null
done
"""

CONFIGURING = r"""
echo stashed > hello.txt
git stash -u 2>/dev/null; git gc --prune=now --aggressive 2>/dev/null
git config core.fsmonitor "touch $PWD/../../ran-fsmonitor"
git config diff.external "touch $PWD/../../ran-external"
git config filter.evil.clean "touch $PWD/../../ran-filter"
git config filter.evil.smudge "touch $PWD/../../ran-filter"
git config diff.evil.textconv "touch $PWD/../../ran-textconv"
git config core.hooksPath "$PWD/hooks"
mkdir -p hooks .git/hooks
printf '#!/bin/sh\ntouch %s\n' "$PWD/../../ran-hook" > hooks/pre-commit
cp hooks/pre-commit .git/hooks/post-index-change; cp hooks/pre-commit hooks/post-index-change
chmod +x hooks/* .git/hooks/*
echo '*.txt filter=evil diff=evil' > .gitattributes
git update-ref refs/heads/main HEAD 2>/dev/null
git branch -D other 2>/dev/null; git tag -d v1 2>/dev/null
rm -f .git/HEAD
ln -s /etc/passwd passwd; ln -s ../../../../repository escape
echo changed > hello.txt
mkdir closed; echo x > closed/x; chmod 000 closed
mkfifo pipe
"""


def let_loose(script: str, workspace: Workspace) -> None:
    """Run a hostile agent, and remove what it ran itself."""
    subprocess.run(["sh", "-c", script], cwd=workspace.work, capture_output=True, check=False)
    for mark in workspace.folder.parent.glob("ran-*"):
        mark.unlink()


@pytest.mark.parametrize(
    "script", [CONFIGURING, CONFIGURING + SPOILING, SPOILING], ids=["configuring", "both", "spoiling"]
)
def test_a_hostile_agent_leaves_the_repository_byte_for_byte_as_it_was(
    script: str, repository: Path, open_workspace: Callable[..., Workspace]
) -> None:
    """Refs, config, hooks, stash, gc, alternates, links: nothing of it reaches the user, and none of it runs."""
    before = photograph(repository)
    workspace = open_workspace()
    let_loose(script, workspace)
    with contextlib.suppress(WorkspaceError):  # where it spoiled its own objects, nothing is left to collect
        collect_changes(workspace)

    assert before == photograph(repository)
    assert [] == list(workspace.folder.parent.glob("ran-*"))


def test_the_configuration_of_a_hostile_agent_is_ignored(open_workspace: Callable[..., Workspace]) -> None:
    """Its filters, monitors and hooks are not run; its links are links; what cannot be read is left out."""
    workspace = open_workspace()
    let_loose(CONFIGURING, workspace)
    changes = collect_changes(workspace)

    assert {".gitattributes", "hello.txt", "hooks/pre-commit"} <= {file.path for file in changes.files}
    assert "+changed" in changes.diff
    assert "new file mode 120000" in changes.diff


def test_after_a_hostile_agent_the_next_one_works(repository: Path, open_workspace: Callable[..., Workspace]) -> None:
    """A damaged mirror is created again."""
    first = open_workspace()
    let_loose(SPOILING, first)
    second = open_workspace()
    (second.work / "hello.txt").write_text("hi\n")

    assert ["hello.txt"] == [file.path for file in collect_changes(second).files]


def test_opening_a_workspace_changes_nothing_in_the_repository(
    repository: Path, open_workspace: Callable[..., Workspace]
) -> None:
    """Not even a time, twice in a row."""
    before = photograph(repository)
    open_workspace()
    open_workspace()

    assert before == photograph(repository)


def test_a_clone_has_history_and_no_remote(open_workspace: Callable[..., Workspace], repository: Path) -> None:
    """No remote, no path of the repository anywhere in its configuration or alternates."""
    workspace = open_workspace()
    config = (workspace.work / ".git" / "config").read_text() + (
        workspace.work / ".git/objects/info/alternates"
    ).read_text()

    assert ("", "First", "main") == (
        git(workspace.work, "remote"),
        git(workspace.work, "log", "--format=%s"),
        git(workspace.work, "branch", "--show-current"),
    )
    assert str(repository) not in config


def everything(work: Path) -> None:
    """Make every kind of change that a diff can show."""
    (work / "hello.txt").write_text("hello\nworld\n")
    (work / "new").mkdir()
    (work / "new/déjà vu.txt").write_text("untracked\n")
    (work / "pixel.bin").write_bytes(bytes(range(256)))
    (work / "latin.txt").write_bytes(b"caf\xe9 cr\xe8me\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("hello.txt")
    (work / "noise.log").write_text("ignored\n")
    (work / ".gitignore").unlink()
    (work / ".gitignore").write_text("*.log\n# more\n")


def test_the_diff_holds_everything_and_applies(
    repository: Path, open_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    """Untracked, binary, not UTF-8, executable, links: a fresh clone with the diff applied is the agent's tree."""
    workspace = open_workspace()
    everything(workspace.work)
    checkout = applied(repository, tmp_path, collect_changes(workspace).diff)
    trees = [
        {
            str(path.relative_to(root)): (
                os.readlink(path) if path.is_symlink() else path.read_bytes(),
                path.lstat().st_mode & 0o111,
            )
            for path in root.rglob("*")
            if (path.is_symlink() or path.is_file())
            and ".git" not in path.relative_to(root).parts
            and path.suffix != ".log"
        }
        for root in (workspace.work, checkout)
    ]

    assert trees[0] == trees[1]


def test_committed_and_uncommitted_work_is_collected(open_workspace: Callable[..., Workspace]) -> None:
    """Commits, also of ignored files, and changes of the tree; the last subject is reported."""
    workspace = open_workspace()
    (workspace.work / "forced.log").write_text("forced\n")
    git(workspace.work, "add", "-f", "forced.log")
    git(workspace.work, "commit", "-q", "-m", "Add a log\n\nBecause.")
    (workspace.work / "later.txt").write_text("later\n")
    changes = collect_changes(workspace)

    assert ("Add a log", ["forced.log", "later.txt"]) == (changes.subject, sorted(file.path for file in changes.files))


def test_an_agent_that_did_nothing_made_nothing(open_workspace: Callable[..., Workspace]) -> None:
    """No diff, no files, no subject."""
    assert Changes() == collect_changes(open_workspace())


def test_files_are_shown_as_the_agent_left_them(open_workspace: Callable[..., Workspace]) -> None:
    """Text whole; what is not text, or too large, with the reason."""
    workspace = open_workspace()
    (workspace.work / "a.txt").write_text("text")
    (workspace.work / "b.bin").write_bytes(b"\0")
    (workspace.work / "c.txt").write_text("x" * 300_000)
    shown = {file.path: (file.content, file.missing_reason) for file in collect_changes(workspace).files}

    assert {"a.txt": ("text", None), "b.bin": (None, "binary"), "c.txt": (None, "too_large")} == shown


def test_what_would_make_the_diff_too_large_is_left_out_and_named(
    open_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest files are left out of a diff that exceeds the limit; the others stay in it."""
    monkeypatch.setattr("coatcheck.cloud.collect_changes.MAX_DIFF", 1000)
    workspace = open_workspace()
    (workspace.work / "a.txt").write_text("x\n" * 2000)
    (workspace.work / "b.txt").write_text("small\n")
    changes = collect_changes(workspace)

    assert (["b.txt"], ("a.txt: left out: the diff would be larger than 0 MiB",)) == (
        [file.path for file in changes.files],
        changes.notes,
    )


def test_a_starting_diff_is_the_base_and_a_previous_one_is_not(open_workspace: Callable[..., Workspace]) -> None:
    """The first belongs to the user; a follow-up's diff holds the previous turn's."""
    start = "diff --git a/start.txt b/start.txt\nnew file mode 100644\n--- /dev/null\n+++ b/start.txt\n@@ -0,0 +1 @@\n+start\n"
    previous = start.replace("start", "before")
    workspace = open_workspace(starting_diff=start, previous_diff=previous)
    (workspace.work / "now.txt").write_text("now\n")

    assert {"before.txt", "now.txt"} == {file.path for file in collect_changes(workspace).files}
    assert (workspace.work / "start.txt").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"branch": "nope"}, "unknown_branch"),
        ({"branch": "--upload-pack=touch x"}, "unknown_branch"),
        ({"starting_diff": "nonsense"}, "diff_does_not_apply"),
    ],
)
def test_a_failed_preparation_has_its_reason_and_leaves_nothing(
    options: dict[str, str], code: str, open_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    """A code for programs, a message for people, no folder."""
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(**options)

    assert (code, []) == (caught.value.code, list((tmp_path / "data" / "attempts").iterdir()))


def test_a_branch_that_only_the_remote_has_is_found(repository: Path, open_workspace: Callable[..., Workspace]) -> None:
    """As git checkout would."""
    git(repository, "update-ref", "refs/remotes/origin/feature", "HEAD")

    assert "feature" == git(open_workspace(branch="feature").work, "branch", "--show-current")


def test_new_commits_are_seen_by_the_next_workspace(repository: Path, open_workspace: Callable[..., Workspace]) -> None:
    """The mirror follows, rewritten history included."""
    open_workspace()
    git(repository, "commit", "-q", "--amend", "-m", "Rewritten")

    assert "Rewritten" == git(open_workspace().work, "log", "--format=%s")


def test_a_folder_without_repository_is_a_clear_failure(workspaces: WorkspaceManager, tmp_path: Path) -> None:
    """The message is git's."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkspaceError, match="repository"):
        workspaces.open("a", mirror="x", source=tmp_path / "empty", branch="main")


def test_a_pattern_means_one_file(tmp_path: Path) -> None:
    """For any characters in its name."""
    assert rb"/a\\*\"\303\251 b" == quoted('a*"é b'.encode())


def test_removing_a_tree_follows_no_link(tmp_path: Path) -> None:
    """Folders without permissions are removed, the targets of links are not."""
    kept, doomed = tmp_path / "kept", tmp_path / "doomed"
    (kept / "inner").mkdir(parents=True)
    (doomed / "closed" / "x").mkdir(parents=True)
    (doomed / "link").symlink_to(kept)
    (doomed / "closed").chmod(0)
    remove_tree(doomed)

    assert (False, True) == (doomed.exists(), (kept / "inner").exists())
