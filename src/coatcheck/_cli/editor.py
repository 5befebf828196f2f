"""Start the user's editor on a file: ``VISUAL``, else ``EDITOR`` (environ(7)), as git does."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping

from .. import errors

# Editors that are tried where the environment names none, for commands that need one.
FALLBACKS = ("nano", "vi")


def configured_editor(environ: Mapping[str, str]) -> str | None:
    """Return the editor that the environment names, None where it names none."""
    return environ.get("VISUAL") or environ.get("EDITOR") or None


def edit_file(path: str, environ: Mapping[str, str]) -> None:
    """Open *path* in the editor and wait for its end. Raises `ConfigurationError` where the editor fails."""
    editor = configured_editor(environ) or _fallback(environ)
    try:
        code = subprocess.run([*shlex.split(editor), path], env=dict(environ), check=False).returncode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise errors.ConfigurationError(
            f"the editor {editor!r} cannot be started: {reason}", remedy="set VISUAL or EDITOR to a program"
        ) from None
    if code:
        raise errors.ConfigurationError(f"the editor {editor!r} ended with exit code {code}; {path} is as it left it")


def _fallback(environ: Mapping[str, str]) -> str:
    for name in FALLBACKS:
        if shutil.which(name, path=environ.get("PATH")):
            return name
    raise errors.ConfigurationError("no editor is configured", remedy="set VISUAL or EDITOR to a program")
