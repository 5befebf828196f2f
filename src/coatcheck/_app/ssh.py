"""The host name that ssh connects to for an alias, from ``ssh -G``, which does not connect (ssh(1))."""

from __future__ import annotations

import os
from collections.abc import Mapping

# ssh -G only reads files; a `Match exec` of the user's own configuration may run a program.
_SECONDS = 10.0


def host_of(name: str, *, environ: Mapping[str, str]) -> str:
    """Return ``HostName`` for *name*; *name* itself where ssh is not installed or prints none."""
    import subprocess

    try:
        completed = subprocess.run(
            ["ssh", *_configuration(environ), "-G", "--", name],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return name
    settings = (line.split(" ", 1) for line in completed.stdout.decode("utf-8", "replace").splitlines())
    return next((rest[0].strip() for key, *rest in settings if key == "hostname" and rest), name)


def _configuration(environ: Mapping[str, str]) -> list[str]:
    """Return the option that makes ssh read the configuration in ``HOME``.

    OpenSSH reads the home folder from the password database and ignores ``HOME``. Where the two differ, the file in
    ``HOME`` belongs to the user of this environment.
    """
    home = environ.get("HOME")
    path = os.path.join(home, ".ssh", "config") if home else ""
    is_other = home is not None and os.path.realpath(home) != os.path.realpath(_real_home())
    return ["-F", path] if is_other and os.path.isfile(path) else []


def _real_home() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return ""
