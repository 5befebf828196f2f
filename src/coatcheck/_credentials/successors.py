"""The second place for fresh tokens: a private folder, used while the place of the login cannot be written.

The successor of a one-use refresh token is saved here first and removed once it is in the login's own place.
What is found here was not saved there: because a process crashed, or because the disk was full.

Invariants:

- a file is named after the refresh token that is replaced (a fingerprint), so it fits that login and no other;
- space is reserved before the token is presented;
- files have mode 0600 in a folder of mode 0700; those of a login are deleted with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from .. import errors
from .._files.private import fill_file, read_private, reserve_file, sync_folder
from .login_store import make_folder


class Successors:
    """The logins in one folder, one file for each spent token. Methods block."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def reserve(self, spent: str, size: int) -> None:
        """Reserve *size* bytes for the successor of *spent*. Raises `PersistenceError`."""
        make_folder(self.folder)
        try:
            reserve_file(self._path(spent), size)
            sync_folder(self.folder)
        except OSError as error:
            self.discard(spent)
            raise errors.PersistenceError(f"{self.folder}: {error.strerror}") from None

    def save(self, spent: str, data: bytes) -> bool:
        """Save *data* as the successor of *spent*; returns whether that worked."""
        try:
            fill_file(self._path(spent), data)
        except OSError:
            self.discard(spent)
            return False
        sync_folder(self.folder)
        return True

    def find(self, spent: str) -> bytes | None:
        """Return the successor of *spent*, None if there is none."""
        return read_private(self._path(spent))

    def discard_if(self, is_old: Callable[[bytes | None], bool]) -> None:
        """Remove the files whose content *is_old*."""
        with suppress(OSError):
            for name in os.listdir(self.folder):
                spent = name.removesuffix(".json")
                if is_old(self.find(spent)):
                    self.discard(spent)

    def discard(self, spent: str) -> None:
        """Remove the successor of *spent* or the bytes reserved for it."""
        with suppress(OSError):
            os.unlink(self._path(spent))

    def _path(self, spent: str) -> str:
        return os.path.join(self.folder, f"{spent}.json")
