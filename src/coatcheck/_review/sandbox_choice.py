"""Which sandbox runs checks: the one that was asked for, if it works here; there is no weaker one instead of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .._installation import install_command
from ..errors import ConfigurationError
from .bubblewrap import Bubblewrap, find_bwrap
from .checks import Verification
from .sandbox import Sandbox, expand_home
from .unconfined import SandboxExec, Unconfined

NONE = 'or write sandbox = "none": checks then run as you, with your files and your network'


def choose_sandbox(verification: Verification, *, folder: Path, environ: Mapping[str, str]) -> Sandbox:
    """Return the sandbox for *verification*, whose commands use files below *folder*.

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
    commands = [*(check.run for check in verification.checks), verification.setup or ""]
    problems: list[str] = []
    for bwrap in find_bwrap(environ.get("PATH")):
        sandbox = Bubblewrap(bwrap, folder=folder, environ=environ, readable=verification.readable, commands=commands)
        if (problem := sandbox.probe(folder)) is None:
            return sandbox
        problems.append(f"{bwrap}: {problem}")
    if not problems:
        raise ConfigurationError(
            "checks need a sandbox, and bubblewrap is not installed",
            remedy=f"apt install bubblewrap, or {install_command('sandbox')}; {NONE}",
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


def _check_readable(verification: Verification, environ: Mapping[str, str]) -> None:
    for path in verification.readable:
        expanded = expand_home(path, environ)
        if not os.path.isabs(expanded):
            raise ConfigurationError(f"readable: {path} is not an absolute path", remedy="write it from / or ~/")
        if not os.path.exists(expanded):
            raise ConfigurationError(f"readable: there is no {path}", remedy="remove it from readable")
