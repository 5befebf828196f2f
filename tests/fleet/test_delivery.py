from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._fleet.branch_names import slug
from coatcheck._fleet.delivery import Delivery
from coatcheck._fleet.delivery_targets import Branches, PatchFiles
from coatcheck._fleet.repositories import Repositories
from coatcheck._model.fleets import FleetItem
from coatcheck._patches.git import git
from coatcheck._patches.parse import Patch

DIFF = b"--- a/x.txt\n+++ b/x.txt\n@@ -1 +1,2 @@\n one\n+two\n"
IDENTITY = ("user.name=A", "user.email=a@example.com")


def commit(folder: Path, text: str) -> str:
    """Commit a file with this text; return the commit."""
    (folder / "x.txt").write_text(text)
    git("add", "x.txt", folder=folder)
    git("commit", "-q", "-m", "change", folder=folder, settings=IDENTITY)
    return git("rev-parse", "HEAD", folder=folder).decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on the branch main."""
    folder = tmp_path / "api"
    folder.mkdir()
    git("init", "-q", "-b", "main", folder=folder)
    commit(folder, "one\n")
    return folder


@pytest.fixture
def repositories(tmp_path: Path, repository: Path) -> Repositories:
    """The repository by its name, by its path and by a URL."""
    places = {"acme/api": str(repository), "acme/far": f"file://{repository}"}
    return Repositories(tmp_path / "private", places=places, checkouts={"acme/known": str(repository)}, home=tmp_path)


def delivery(base: str | None, *, diff: bytes = DIFF, repository: str = "acme/api") -> Delivery:
    """Return the delivery of an item."""
    item = FleetItem(id=1, key="core", repository=repository)
    return Delivery(
        fleet="typing", key="typing/core", item=item, patch=Patch.parse(diff), base=base, branch="coatcheck/core",
        message="Add types\n", task="codex:t",
    )  # fmt: skip


def test_patch_files_are_written_whole_and_again(tmp_path: Path) -> None:
    """A patch file has the bytes of the diff, and delivering it again changes nothing."""
    target = PatchFiles(tmp_path / "patches")
    urls = [target(delivery(None)).url for _ in range(2)]

    assert [str(tmp_path / "patches/core.patch")] * 2 == urls
    assert [("core.patch", DIFF)] == [(path.name, path.read_bytes()) for path in (tmp_path / "patches").iterdir()]


@pytest.mark.parametrize("name", ["acme/api", "acme/far", "acme/known", "./api"])
def test_a_branch_is_one_commit_on_the_base(repositories: Repositories, repository: Path, name: str) -> None:
    """Whichever way a repository is named, its branch has one commit with the change, on the base that was pinned."""
    base = repositories.resolve(name, "main")
    commit(repository, "one\nmoved on\n")
    delivered = Branches(repositories)(delivery(base, repository=name))
    shown = git("show", "-s", "--format=%H %P %s", "refs/heads/coatcheck/core", folder=repository)

    assert f"{delivered.commit} {base} Add types" == shown.decode().strip()
    assert b"one\ntwo\n" == git("show", "coatcheck/core:x.txt", folder=repository)


def test_a_branch_that_is_there_is_not_pushed_again(repositories: Repositories, repository: Path) -> None:
    """A delivery that was begun before a crash finds its branch, and leaves it as it is."""
    base = repositories.resolve("acme/api", "main")
    commits = [Branches(repositories)(delivery(base)).commit for _ in range(2)]

    assert commits[0] == commits[1] == git("rev-parse", "coatcheck/core", folder=repository).decode().strip()


def test_another_change_under_the_name_is_kept(repositories: Repositories, repository: Path) -> None:
    """A branch with another change is never overwritten."""
    base = repositories.resolve("acme/api", "main")
    Branches(repositories)(delivery(base))
    known = git("rev-parse", "coatcheck/core", folder=repository)

    with pytest.raises(errors.ConfigurationError, match="exists with another change"):
        Branches(repositories)(delivery(base, diff=DIFF.replace(b"two", b"2")))
    assert known == git("rev-parse", "coatcheck/core", folder=repository)


def test_what_does_not_fit_is_a_conflict(repositories: Repositories, repository: Path) -> None:
    """A change that does not fit its base raises, and no branch is made."""
    base = commit(repository, "other\n")

    with pytest.raises(errors.PatchConflictError):
        Branches(repositories)(delivery(base))
    assert b"" == git("for-each-ref", "refs/heads/coatcheck", folder=repository)


def test_a_branch_that_may_not_be_pushed_names_the_reason(repositories: Repositories, repository: Path) -> None:
    """Where the repository refuses a branch, git's reason is in the error, with what to do, and no branch is made."""
    base = repositories.resolve("acme/api", "main")
    hook = repository / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(errors.CoatcheckError, match=r"could not be pushed: .*declined") as raised:
        Branches(repositories)(delivery(base))
    assert "check that you may push there" in (raised.value.remedy or "")
    assert git("for-each-ref", "refs/heads/coatcheck/core", folder=repository) == b""


def test_a_repository_that_vanished_is_named(repositories: Repositories, repository: Path) -> None:
    """Where a repository is gone when its change is delivered, the error names it."""
    base = repositories.resolve("acme/api", "main")
    repository.rename(repository.with_name("gone"))

    with pytest.raises(errors.CoatcheckError, match="does not exist"):
        Branches(repositories)(delivery(base))


def test_clones_are_deleted(repositories: Repositories, tmp_path: Path) -> None:
    """Nothing of a delivery to a repository of this machine is left."""
    Branches(repositories)(delivery(repositories.resolve("acme/api", "main")))

    assert [] == list((tmp_path / "private").iterdir())


def by_path(folder: Path) -> str:
    """Return a repository that is not there, by its path."""
    return str(folder / "gone")


def by_url(folder: Path) -> str:
    """Return a repository that is not there, by its URL."""
    return f"file://{folder}/gone"


@pytest.mark.parametrize("name", [by_path, by_url])
def test_a_repository_that_vanished_is_one_line(
    repositories: Repositories, tmp_path: Path, name: Callable[[Path], str]
) -> None:
    """A missing repository raises an error that names it, with a remedy."""
    with pytest.raises(errors.ConfigurationError, match="gone") as caught:
        repositories.resolve(name(tmp_path), "main")

    assert caught.value.remedy


@pytest.mark.parametrize("name", ["acme/api", "acme/far"])
def test_a_branch_that_is_missing_is_one_line(repositories: Repositories, name: str) -> None:
    """A base that the repository has not raises an error that names both."""
    with pytest.raises(errors.ConfigurationError, match=rf"the repository {name} has no branch 'nope'"):
        repositories.resolve(name, "nope")


def test_names_that_differ_have_files_that_differ() -> None:
    """Keys that differ only in characters that a file name may not have get different names."""
    names = {slug(key) for key in ("a/b", "a b", "a-b", "../b", "é", "")}

    assert 6 == len(names)
    assert all("/" not in name and not name.startswith(".") for name in names)
