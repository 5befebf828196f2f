"""Warnings about local work that the agent will not see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, git, init
from tests.cli.cli_support import Cli

from coatcheck import TaskSpec
from coatcheck._app.unseen_work import unseen_work
from coatcheck._app.workspace import Workspace
from coatcheck._runtime.config import Config
from coatcheck._runtime.server_record import ServedEnvironment, ServerRecord, record_path
from coatcheck.cloud.http_server import recorded

URL = "https://github.com/owner/repo"


@pytest.fixture
def checkout(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """A checkout of ``owner/repo`` whose ``main`` is pushed and fetched."""
    return repositories.copy(make_pushed, tmp_path) / "checkout"


def make_pushed(parent: Path) -> None:
    """Commit a file in ``checkout``, and push it to ``upstream`` beside it."""
    upstream, folder = parent / "upstream", parent / "checkout"
    upstream.mkdir()
    folder.mkdir()
    git(upstream, "init", "-q", "--bare", "--template=")
    init(folder)
    (folder / "f").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "config", "url.../upstream.insteadOf", URL)
    git(folder, "remote", "add", "origin", URL)
    git(folder, "push", "-q", "origin", "main")
    git(folder, "fetch", "-q", "origin")


def warning_of(folder: Path, *options: str, stdin: bytes = b"") -> str:
    """Submit from *folder*, and return the warning without its first word, "" where there was none."""
    done = Cli(folder)("submit", *options, "x", stdin=stdin)
    assert done.code == 0, done
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) < 2, warnings
    return "".join(warnings).removeprefix("warning: ")


def change(folder: Path, *, commit: bool = False) -> None:
    """Change the tracked file."""
    (folder / "f").write_text("two\n")
    if commit:
        git(folder, "commit", "-qam", "second")


def test_a_pushed_branch_has_no_warning(checkout: Path) -> None:
    """A clean checkout of a pushed branch needs no warning."""
    assert "" == warning_of(checkout)


def test_uncommitted_files_are_counted(checkout: Path) -> None:
    """Changed and new files, in one line."""
    change(checkout)
    (checkout / "new").touch()

    assert "the agent will not see 1 changed file and 1 new file (not committed)" == warning_of(checkout)


def test_unpushed_commits_are_counted(checkout: Path) -> None:
    """Commits are compared with the remote-tracking branch as of the last fetch, which the warning mentions."""
    change(checkout, commit=True)

    assert "the agent will not see 1 commit (not pushed to origin/main as of the last fetch)" == warning_of(checkout)


def test_a_branch_that_is_not_pushed_is_reported(checkout: Path) -> None:
    """The warning has the command that pushes it."""
    git(checkout, "switch", "-qc", "topic")

    assert "origin has no branch topic as of the last fetch; push it with: git push -u origin topic" == warning_of(
        checkout
    )


def test_a_detached_head_is_reported(checkout: Path) -> None:
    """No branch is sent then, so the agent starts from another commit."""
    git(checkout, "switch", "-q", "--detach")

    assert warning_of(checkout).startswith("HEAD is detached at ")


@pytest.mark.parametrize(
    "options", [["--branch", "main"], ["--environment", "owner/repo", "--branch", "main"]], ids=["repo", "environment"]
)
def test_a_branch_that_is_named_leaves_a_detached_head_without_meaning(checkout: Path, options: list[str]) -> None:
    """With --branch the branch that is checked out does not matter."""
    git(checkout, "switch", "-q", "--detach")
    change(checkout)

    assert "" == warning_of(checkout, *options)


def test_a_starting_diff_takes_the_uncommitted_files_along(checkout: Path) -> None:
    """What is sent is not called unseen."""
    change(checkout)
    diff = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n"

    assert "" == warning_of(checkout, "--starting-diff", "-", stdin=diff)


@pytest.mark.parametrize("how", ["never fetched", "one branch only"])
def test_a_remote_with_unknown_branches_has_no_warning(checkout: Path, how: str) -> None:
    """There is no warning about a branch where not every branch is tracked."""
    if how == "never fetched":
        git(checkout, "update-ref", "-d", "refs/remotes/origin/main")
    else:
        git(checkout, "config", "remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main")
    git(checkout, "switch", "-qc", "topic")

    assert "" == warning_of(checkout)


def test_a_checkout_of_another_repository_has_no_warning(checkout: Path) -> None:
    """The files of a checkout of another repository cause no warning."""
    git(checkout, "remote", "set-url", "origin", "https://github.com/else/where")
    change(checkout)

    assert "" == warning_of(checkout, "--environment", "owner/repo")


def test_json_output_has_no_warning(checkout: Path) -> None:
    """With --json there is no warning on stderr."""
    change(checkout)

    assert "" == warning_of(checkout, "--json")


def test_an_alias_of_ssh_names_the_repository(checkout: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases are resolved by ssh, which is started without a shell and with the name after ``--``."""
    programs = home / "bin"
    programs.mkdir()
    program = programs / "ssh"
    program.write_text('#!/bin/sh\n[ "$1 $2 $3" = "-G -- gh" ] && echo "user git" && echo "hostname github.com"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{__import__('os').environ['PATH']}")
    git(checkout, "remote", "set-url", "origin", "git@gh:owner/repo.git")
    done = Cli(checkout)("submit", "x")

    assert (0, "") == (done.code, done.err.partition("Step")[0])


def test_a_branch_that_a_local_cloud_does_not_have_is_reported(checkout: Path, home: Path) -> None:
    """The repository of a local cloud is on this machine: its branches are known before anything is submitted."""
    environ = {"HOME": str(home), "COATCHECK_STATE_HOME": str(home / "state")}
    served = ServedEnvironment(id="e1", label="owner/repo", repository="owner/repo", path=str(checkout))
    record = ServerRecord(
        url="http://127.0.0.1:9/backend-api", pid=os.getpid(), token="made-up", started=0.0, environments=(served,)
    )
    with recorded(Path(record_path(environ)), record):
        sentences = [
            unseen_work(
                Workspace(folder, config=Config(environ=environ), environ=environ, provider="local"),
                TaskSpec(prompt="x", environment="owner/repo", branch=branch),
            )
            for folder in (str(checkout), str(home))
            for branch in ("nope", "main")
        ]
    missing = f"{checkout} has no branch nope; pass one of: git -C {checkout} branch"

    assert [missing, None, missing, None] == sentences
