"""The setup of a repository (its dependencies): run on the base only, once for each state of its inputs.

Invariants:
- no candidate's file is read by a setup; a candidate that changes an input is not checked;
- a setup is used by checks only after it has succeeded as a whole; of several processes one runs it;
- checks cannot change it: they see it read-only, or get copies.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .._patches.path_patterns import path_matcher
from .._workspaces.cancellation import CancelScope
from .._workspaces.git import Git, last_line
from .._workspaces.mirror import Mirror, locked
from .candidate_trees import Clone, change_owner, folders_of
from .sandbox import Sandbox, SandboxedCommand
from .verification_folder import discard

if TYPE_CHECKING:
    from .checks import Verification

# What is a setup's input where the person names none: the files in which package managers lock versions.
DEFAULT_INPUTS = (
    "*.lock", "*.lockb", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum",
    "requirements*.txt", "gradle.lockfile",
)  # fmt: skip
# Files that a setup leaves everywhere, and that the checks make again.
_IGNORED = "__pycache__"


# Commands of another process may hold the one path at which a setup can be used, in seconds.
LOCK_TIMEOUT = 3600.0


@contextmanager
def current_place(folder: Path, scope: CancelScope) -> Iterator[Path]:
    """Return the one path at which setups can be used where paths are the system's; one user at a time has it, empty."""
    with locked(folder / "current.lock", timeout=LOCK_TIMEOUT, scope=scope):
        place = folder / "current"
        discard(place)
        yield place


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A finished setup: its folder, the paths that it has added to the clone, and the digest of its inputs."""

    folder: Path
    outputs: tuple[str, ...]
    digest: str


class SetupError(Exception):
    """The setup has failed; no candidate can be checked."""


class Setups:
    """The setups in *folder*, run in *sandbox*."""

    def __init__(self, folder: Path, sandbox: Sandbox, git: Git) -> None:
        self._folder, self._sandbox, self._git = folder, sandbox, git

    def prepare(
        self, verification: Verification, clone: Clone, *, mirror: Mirror, base: str, scope: CancelScope
    ) -> Setup:
        """Return the setup for *base*, run it if it was not. Raises `SetupError`."""
        digest = self._digest(verification, clone, base)
        folder = self._folder / digest
        with locked(self._folder / f"{digest}.lock", timeout=verification.limits.wall, scope=scope):
            if not (folder / "outputs.json").exists():
                discard(folder)
                with self._place(folder, scope) as place:
                    self._run(verification, place, mirror=mirror, base=base, scope=scope)
                    if place != folder:
                        place.rename(folder)
        outputs = tuple(json.loads((folder / "outputs.json").read_text()))
        return Setup(folder=folder, outputs=outputs, digest=digest)

    @contextmanager
    def _place(self, folder: Path, scope: CancelScope) -> Iterator[Path]:
        """Return where the setup is run: the folder itself where commands see it at a fixed path anyway."""
        if self._sandbox.has_fixed_path:
            yield folder
        else:
            with current_place(self._folder, scope) as place:
                yield place

    def _digest(self, verification: Verification, clone: Clone, base: str) -> str:
        """Return the digest of everything that the result depends on; without named inputs that is the whole base."""
        inputs = verification.setup_inputs
        files = clone.entries(base, inputs) if inputs else [clone.tree_of(base)]
        facts = [verification.setup, files, self._sandbox.name, verification.readable, platform.platform()]
        return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def _run(self, verification: Verification, place: Path, *, mirror: Mirror, base: str, scope: CancelScope) -> None:
        clone = Clone(place, mirror, self._git)
        tracked = clone.paths(base)
        clone.check_out(clone.tree_of(base), base)
        (place / "setup").mkdir(mode=0o755)
        clone.share_with_commands(self._sandbox.alternates(mirror.path), self._sandbox.user)
        if self._sandbox.user is not None:
            change_owner(place / "setup", self._sandbox.user)
        result = self._sandbox.run(_command(verification, place, mirror), folder=place, scope=scope)
        scope.check()
        if result.exit_code or result.is_timeout:
            why = "it took too long" if result.is_timeout else f"exit status {result.exit_code}"
            line = last_line(result.stdout) or last_line(result.stderr)
            discard(place)
            raise SetupError(f"the setup failed ({why}){': ' if line else ''}{line}")
        outputs = find_outputs(place / "work", tracked)
        new = place / "outputs.new"
        new.write_text(json.dumps(outputs))
        new.replace(place / "outputs.json")


def find_outputs(work: Path, tracked: Collection[str]) -> list[str]:
    """Return the files and folders that the setup has added. Raises `SetupError` where one is in a tracked file's place.

    git is not asked: packages that were installed may have written its configuration.
    """
    folders = {parent for path in tracked for parent in folders_of(path)}
    outputs = [path for path in _untracked(work, "", tracked, folders) if path.rpartition("/")[2] != _IGNORED]
    if replaced := [path for path in outputs if path in folders]:
        raise SetupError(f"the setup has replaced the folder {replaced[0]}")
    return outputs


def _untracked(work: Path, prefix: str, tracked: Collection[str], folders: Collection[str]) -> Iterator[str]:
    with os.scandir(work / prefix) as entries:
        listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in listed:
        path = f"{prefix}{name}"
        if is_folder and path in folders:
            yield from _untracked(work, f"{path}/", tracked, folders)
        elif path not in tracked and path != ".git":
            yield path


def changed_inputs(verification: Verification, changed: Sequence[str]) -> list[str]:
    """Return the inputs of the setup among *changed*."""
    is_input = path_matcher(verification.setup_inputs or DEFAULT_INPUTS)
    return [path for path in changed if verification.setup and is_input(path)]


def _command(verification: Verification, place: Path, mirror: Mirror) -> SandboxedCommand:
    return SandboxedCommand(
        words=tuple(shlex.split(verification.setup or "")),
        source=place / "work",
        repository=mirror.path,
        limits=verification.limits,
        timeout=verification.limits.wall,
        setup=place,
        is_setup=True,
        network=True,
    )
