"""A GitHub with repositories that git reaches, and pull requests delivered to it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coatcheck._fleet.forge import open_forge
from coatcheck._fleet.pull_requests import PullRequests
from coatcheck._fleet.repositories import Repositories
from coatcheck._fleet.sections import DeliverSection
from coatcheck._fleet.target import Delivery
from coatcheck._model.fleets import FleetItem
from coatcheck._patches.git import git
from coatcheck._patches.parse import Patch
from coatcheck._runtime.config import Config
from coatcheck.cloud.faults import Fault
from coatcheck.testing import serving
from coatcheck.testing.emulators.github import GithubEmulator

DIFF = b"--- a/x.txt\n+++ b/x.txt\n@@ -1 +1,2 @@\n one\n+two\n"
IDENTITY = ("user.name=A", "user.email=a@example.com")
BRANCH = "coatcheck/typing/core"


def make_repository(root: Path, name: str = "acme/api") -> str:
    """Make a bare repository with one commit on main; return the commit."""
    bare, work = root / f"{name}.git", root / "work" / name
    work.mkdir(parents=True)
    git("init", "-q", "-b", "main", folder=work)
    (work / "x.txt").write_text("one\n")
    git("add", "x.txt", folder=work)
    git("commit", "-q", "-m", "begin", folder=work, settings=IDENTITY)
    arguments = ("clone", "-q", "--bare", "--", str(work), str(bare))
    git(*arguments, folder=root, environment={"GIT_ALLOW_PROTOCOL": "file"})
    return git("rev-parse", "main", folder=bare).decode().strip()


class ForgeFixture:
    """A GitHub at *origin*."""

    def __init__(self, github: GithubEmulator, origin: str, folder: Path) -> None:
        self.github, self.origin, self.folder = github, origin, folder
        self.root = folder / "github"
        self.service = github.pull_service
        self.base = make_repository(self.root)
        self.git = github.serve_git(self.root)
        self.environ = {
            "GITHUB_TOKEN": github.token,
            "GITHUB_API_URL": origin,
            "COATCHECK_LEARN": "off",
            "COATCHECK_STATE_HOME": str(folder / "state"),
            "HOME": str(folder),
        }

    def repositories(self) -> Repositories:
        """Return the repositories of a fleet."""
        return Repositories(
            self.folder / "private", places={}, checkouts={}, site=self.origin, token=lambda: self.github.token
        )

    def target(self, **section: Any) -> PullRequests:
        """Return the target that opens pull requests, as the deliver table describes them."""
        config = Config(environ=self.environ)
        return PullRequests(
            self.repositories(),
            DeliverSection(to="pull_request", **section),
            lambda: open_forge(config, self.environ, clock=self.github.clock),
            sleep=lambda _: None,
        )

    def branch(self, name: str = BRANCH, repository: str = "acme/api") -> str:
        """Return how a branch changes the file: its text."""
        return git("show", f"refs/heads/{name}:x.txt", folder=self.root / f"{repository}.git").decode()


@contextmanager
def serving_github(folder: Path, faults: Sequence[Fault] = ()) -> Iterator[ForgeFixture]:
    """Serve a GitHub with the repository acme/api."""
    github = GithubEmulator(faults=faults)
    with serving(github) as base:
        yield ForgeFixture(github, base.removesuffix("/backend-api"), folder)


def delivery(base: str | None, *, key: str = "core", diff: bytes = DIFF, **fields: Any) -> Delivery:
    """Return the delivery of an item."""
    item = FleetItem(id=1, key=key, repository=fields.pop("repository", "acme/api"), base="main")
    return Delivery(
        **{
            "fleet": "typing",
            "key": f"typing/{key}",
            "item": item,
            "patch": Patch.parse(diff),
            "base": base,
            "branch": f"coatcheck/typing/{key}",
            "message": f"Add types\n\nCoatcheck-Task: codex:t\nCoatcheck-Delivery: typing/{key}\n",
            "task": "codex:t",
            "title": "Add types",
            "why": "it passes tests",
            "repositories": ("acme/api",),
            **fields,
        }
    )
