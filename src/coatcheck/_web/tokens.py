"""The bearer token of programs, in a private file.

Guarantee: a file that another user may read or write is refused, and so is one that holds no token.
"""

from __future__ import annotations

import os
import re
import secrets
import stat

from .. import errors
from .._files.private import make_private_folder, replace_file
from .._files.reading import read_regular_file

# b64token of RFC 6750 section 2.1, long enough that nobody guesses it.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{32,512}=*")


def read_or_create(path: str) -> str:
    """Return the token in the file *path*, which is created (0600) if it is missing. Raises `ConfigurationError`."""
    try:
        token = read_regular_file(path).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise errors.ConfigurationError(
            f"the token file {path} cannot be read: {error.strerror}", remedy="pass another --token-file"
        ) from None
    if os.name == "posix" and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        raise errors.ConfigurationError(
            f"the token file {path} may be read by other users", remedy=f"run: chmod 600 {path}"
        )
    if not _TOKEN.fullmatch(token):
        raise errors.ConfigurationError(
            f"the token file {path} holds no token of 32 or more characters", remedy="delete it, and start again"
        )
    return token


def _create(path: str) -> str:
    token = secrets.token_urlsafe(32)
    try:
        make_private_folder(os.path.dirname(path))
        replace_file(path, f"{token}\n".encode())
    except OSError as error:
        raise errors.ConfigurationError(
            f"the token file {path} cannot be written: {error.strerror}", remedy="pass another --token-file"
        ) from None
    return token
