"""A small repository, candidates for it, and verifiers of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from coatcheck import Patch
from coatcheck._review.candidates import Candidate
from coatcheck._review.checks import Check, CheckResult, Limits, Verification
from coatcheck._review.sandbox_choice import choose_sandbox
from coatcheck._review.verification_results import CheckProgress, VerificationResult
from coatcheck._review.verifier import Verifier
from coatcheck._store.check_results import CheckResults
from coatcheck._workspaces.cancellation import CancelScope
from coatcheck._workspaces.git import git_environment
from coatcheck.errors import ConfigurationError

# Small enough that a hostile check is stopped at once.
LIMITS = Limits(cpu=20, wall=60, memory=256 * 2**20, file=2**20, disk=4 * 2**20, processes=32, output=10_000)
FILES = {
    "main.txt": "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n",
    "tests/test.sh": "grep -q one main.txt\n",
    "poetry.lock": "1\n",
    "src/lib.txt": "library\n",
}


def git(where: Path, *arguments: str) -> str:
    """Run git as a user would, without a configuration."""
    done = subprocess.run(
        ["git", "-C", str(where), *arguments],
        capture_output=True,
        text=True,
        env=git_environment(os.environ),
        check=True,
    )
    return done.stdout


class Repository:
    """A repository of a user, with a function for patches of it."""

    def __init__(self, path: Path, object_format: str = "sha1") -> None:
        self.path = path
        path.mkdir()
        git(path, "init", "-q", "-b", "main", f"--object-format={object_format}")
        self.write(FILES)
        self.commit()

    def write(self, files: dict[str, str | None]) -> None:
        """Write files, and delete those without content."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)

    def commit(self) -> str:
        """Commit everything; return the id."""
        git(self.path, "add", "--all")
        git(self.path, "commit", "-q", "-m", "Change")
        return git(self.path, "rev-parse", "HEAD").strip()

    def patch(self, change: dict[str, str | None] | Callable[[], None]) -> Patch:
        """Return the patch of a change of files, which is not kept."""
        if callable(change):
            change()
        else:
            self.write(change)
        git(self.path, "add", "--all")
        diff = git(self.path, "diff", "--cached", "--binary")
        git(self.path, "reset", "-q", "--hard")
        return Patch.parse(diff)

    def candidate(self, change: dict[str, str | None] | Callable[[], None], name: str = "one") -> Candidate:
        """Return a candidate of a change."""
        return Candidate(name=name, patch=self.patch(change))


def checks(*commands: str, **options: bool) -> tuple[Check, ...]:
    """Return checks that are called by their number, from 1."""
    return tuple(Check(name=str(number), run=run, **options) for number, run in enumerate(commands, 1))


class Review:
    """Verify candidates of a repository, in a folder of the test."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.progress: list[CheckProgress] = []

    def verify(
        self,
        *candidates: Candidate,
        base: str = "main",
        results: CheckResults | None = None,
        scope: CancelScope | None = None,
        **options: object,
    ) -> list[VerificationResult]:
        """Return the results; *options* are those of the verification."""
        verification = Verification(**{"limits": LIMITS, "sandbox": "none", **options})  # type: ignore[arg-type]
        verifier = Verifier(
            self.repository.path, verification, folder=self.folder, results=results, environ=dict(os.environ)
        )
        return [*verifier.verify(candidates, base=base, on_progress=self.progress.append, scope=scope)]

    def check(self, command: str, change: dict[str, str | None] | None = None, **options: object) -> CheckResult:
        """Return what one check in the sandbox finds about one candidate."""
        candidate = self.repository.candidate(change or {"main.txt": "one\n"})
        (result,) = self.verify(candidate, checks=checks(command), **{"sandbox": "auto", **options})
        return result.checks[0]


@cache
def sandbox_problem() -> str:
    """Return why there is no sandbox on this machine, "" where there is one."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        try:
            choose_sandbox(Verification(), folder=Path(folder), environ=dict(os.environ))
        except ConfigurationError as error:
            return str(error)
    return ""


@pytest.fixture
def sandboxed() -> None:
    """Skip the test where there is no sandbox, with the reason."""
    if problem := sandbox_problem():
        pytest.skip(problem)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with one commit."""
    return Repository(tmp_path / "repository")


@pytest.fixture
def review(repository: Repository) -> Iterator[Review]:
    """Return what verifies candidates of the repository, in a folder that any user can enter."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Review(repository, Path(folder, "checks"))
