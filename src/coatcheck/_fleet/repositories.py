"""The repositories of a fleet: where they are, the commits of their branches, and clones of them.

Invariants:

- a repository is a path on this machine, a URL, or OWNER/NAME, which the fleet file's `repositories` may map to either;
- a repository is read with the user's own credentials of git; one of the forge that refuses these, with the token of the
  forge, which git gets when it asks for a password (`git_token.py`);
- a mirror of each remote repository is kept in a private folder; clones borrow its objects and are deleted after use.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from .. import errors
from .._patches.git import GitError, git
from .._patches.revisions import find_commit
from .._workspaces.mirror import object_format_of
from .environments import is_path
from .git_token import GitAccess, access_with_token

GITHUB = "https://github.com"
# How repositories are reached; `ext::` and the like would run commands (gitprotocol, "GIT_ALLOW_PROTOCOL" in git(1)).
REACHING = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}


class Repositories:
    """The repositories by name. *places* are of the fleet file, *checkouts* known checkouts by OWNER/NAME in lower case.

    *site* is where other repositories named OWNER/NAME are; *token* returns the token of that forge.
    """

    def __init__(
        self,
        folder: Path,
        *,
        places: Mapping[str, str],
        checkouts: Mapping[str, str],
        home: Path | None = None,
        site: str = GITHUB,
        token: Callable[[], str] | None = None,
    ) -> None:
        self._folder, self._places, self._checkouts, self._home, self._site = folder, places, checkouts, home, site
        self._token = token
        # The places that the user's own credentials do not reach.
        self._with_token: set[str] = set()
        self._locks: dict[str, Lock] = {}
        self._guard = Lock()

    def place(self, name: str) -> str:
        """Return the path or the URL of a repository. Raises `ConfigurationError` for a name that is neither."""
        place = self._places.get(name, name)
        if is_path(place) or "://" in place or (":" in place and "/" in place):
            return str((self._home or Path()) / Path(place).expanduser()) if is_path(place) else place
        if place.lower() in self._checkouts:
            return self._checkouts[place.lower()]
        if place.count("/") == 1:
            return f"{self._site}/{place}.git"
        raise errors.ConfigurationError(
            f"{name!r} is no repository", remedy="write owner/name, a path such as ./api, or a URL"
        )

    def resolve(self, name: str, base: str | None) -> str:
        """Return the commit of a branch (or tag, or commit) of a repository; without *base* of its default branch."""
        place = self.place(name)
        if not is_remote(place):
            return self._resolve_here(name, base)
        wanted = base or "HEAD"
        listed = self._remote(
            name,
            "ls-remote",
            "--end-of-options",
            place=place,
            rest=(wanted, f"refs/heads/{wanted}"),
            folder=self._root(),
        )
        commits = {ref: commit for commit, _, ref in (line.partition("\t") for line in listed.decode().splitlines())}
        for ref in (f"refs/heads/{wanted}", f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", "HEAD"):
            if ref in commits and (ref != "HEAD" or base is None):
                return commits[ref]
        if base is not None and len(base) in (40, 64):
            return base
        raise _no_base(name, base)

    def branches(self, name: str) -> Mapping[str, str]:
        """Return the commit of each branch of a repository, and of "HEAD", the default branch."""
        place = self.place(name)
        if is_remote(place):
            listed = self._remote(name, "ls-remote", "--end-of-options", place=place, rest=(), folder=self._root())
        else:
            listed = self._git(name, "ls-remote", "--", str(self.mirror(name)), folder=self._root())
        rows = (line.split("\t") for line in listed.decode("utf-8", "surrogateescape").splitlines())
        return {
            ref.removeprefix("refs/heads/"): commit
            for commit, ref in rows
            if ref == "HEAD" or ref.startswith("refs/heads/")
        }

    def mirror(self, name: str, base: str | None = None) -> Path:
        """Return a repository on this machine that has the commit *base*: the repository itself, or its mirror."""
        place = self.place(name)
        if not is_remote(place):
            if not Path(place).is_dir():
                raise errors.ConfigurationError(
                    f"the repository {name} does not exist: there is no folder {place}",
                    remedy="correct items.repository or repositories in the fleet file",
                )
            return Path(place)
        with self._lock(place):
            return self._fetched(name, place, base)

    @contextmanager
    def clone(self, name: str, base: str | None) -> Iterator[Path]:
        """Make a clone without files that borrows the mirror's objects; it is deleted afterwards."""
        mirror = self.mirror(name, base)
        folder = Path(tempfile.mkdtemp(prefix="clone-", dir=self._root()))
        try:
            arguments = ("clone", "--quiet", "--shared", "--no-checkout", "--", str(mirror), str(folder))
            self._git(name, *arguments, folder=folder, environment={"GIT_ALLOW_PROTOCOL": "file"})
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetched(self, name: str, place: str, base: str | None) -> Path:
        mirror = self._root() / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.git"
        if not mirror.is_dir():
            self._git(name, "init", "--quiet", "--bare", object_format_of(base or ""), str(mirror), folder=self._root())
        if base is None or not _has(mirror, base):
            arguments = ("fetch", "--quiet", "--prune", "--")
            self._remote(name, *arguments, place=place, rest=("+refs/heads/*:refs/heads/*",), folder=mirror)
        if base is not None and not _has(mirror, base):
            self._remote(name, "fetch", "--quiet", "--", place=place, rest=(base,), folder=mirror)
        return mirror

    def _resolve_here(self, name: str, base: str | None) -> str:
        mirror = self.mirror(name)
        for wanted in (base, f"origin/{base}") if base else ("HEAD",):
            if (commit := find_commit(mirror, wanted)) is not None:
                return commit
        raise _no_base(name, base)

    def _remote(self, name: str, *arguments: str, place: str, rest: Sequence[str], folder: Path) -> bytes:
        """Run git with the place and *rest* after *arguments*."""

        def run(access: GitAccess) -> bytes:
            return git(
                *arguments,
                access.place,
                *rest,
                folder=folder,
                environ=access.environ,
                environment={**REACHING, **access.environment},
                settings=access.settings,
                descriptors=access.descriptors,
            )

        with self._readable(name):
            if place not in self._with_token:
                try:
                    return run(GitAccess(place=place))
                except GitError:
                    if self._token is None or not place.startswith(f"{self._site}/"):
                        raise
            with suppress(errors.CredentialsError), access_with_token(place, self._token or str) as access:
                result = run(access)
                self._with_token.add(place)
                return result
            return run(GitAccess(place=place))  # without a login: the error of the user's own credentials

    def _git(self, name: str, *arguments: str, folder: Path, environment: Mapping[str, str] = REACHING) -> bytes:
        with self._readable(name):
            return git(*arguments, folder=folder, environment=environment)

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Raise `ConfigurationError` that names the repository for an error of git."""
        try:
            yield
        except GitError as error:
            line = next((each for each in error.stderr.splitlines() if each.strip()), str(error))
            raise errors.ConfigurationError(
                f"the repository {name} cannot be read: {line}",
                remedy="check its name and your access, with: git ls-remote URL",
            ) from None

    def _root(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _lock(self, place: str) -> Lock:
        with self._guard:
            return self._locks.setdefault(place, Lock())


def is_remote(place: str) -> bool:
    """Whether a place is a URL."""
    return not is_path(place)


def _has(repository: Path, commit: str) -> bool:
    try:
        git("cat-file", "-e", f"{commit}^{{commit}}", folder=repository)
    except GitError:
        return False
    return True


def _no_base(name: str, base: str | None) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        f"the repository {name} has no branch {base!r}" if base else f"the repository {name} has no commit",
        remedy="correct task.base, or the variable base of the item",
    )
