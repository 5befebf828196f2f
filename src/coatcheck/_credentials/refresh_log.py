"""The outcome of each refresh token that we presented, on the disk before the token is sent and kept across crashes.

A refresh token can be used once. A note without an outcome that is found under the login's lock means that the process
which presented the token crashed or was not answered; `refresh` decides when it is presented again.

Invariants:

- a note is on the disk before its token is sent;
- a note holds a fingerprint, never a token;
- notes are read and changed only under the login's lock (`auth status` reads them without it).
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from .. import errors
from .._files.private import make_private_folder, replace_file

# Longer than a backup of a login is useful: the service ends tokens that were not used for so long anyway (seconds).
KEPT = 60 * 86_400.0


class RefreshRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How often a token was presented (the last time at `at` by process `pid`), and with which outcome.

    `outcome` is "" while it is unknown, "spent" once the token was exchanged, or the code of a refusal.
    """

    presented: int = 0
    at: float = 0.0
    pid: int = 0
    outcome: str = ""


SPENT = "spent"


class RefreshLog:
    """The notes in one folder, one small file for each token."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find(self, fingerprint: str) -> RefreshRecord:
        """Return the note on a token; one that was never presented has an empty note."""
        try:
            with open(self._path(fingerprint), "rb") as file:
                return msgspec.json.decode(file.read(), type=RefreshRecord)
        except (OSError, msgspec.MsgspecError):  # a torn note cannot be: it is renamed into place
            return RefreshRecord()

    def present(self, fingerprint: str, *, now: float) -> None:
        """Note that a token is about to be presented. Raises `CredentialsError`."""
        try:
            make_private_folder(self._folder)
            self._forget(now)
            before = self.find(fingerprint)
            self._write(fingerprint, RefreshRecord(presented=before.presented + 1, at=now, pid=os.getpid()))
        except OSError as error:
            raise errors.CredentialsError(
                f"the login was not refreshed, since {self._folder} cannot be written: {error.strerror}",
                remedy="make it writable, or name another folder in COATCHECK_STATE_HOME",
            ) from None

    def conclude(self, fingerprint: str, outcome: str) -> None:
        """Note the outcome."""
        with suppress(OSError):  # a missing outcome is safe: the token would be presented once more and refused
            self._write(fingerprint, msgspec.structs.replace(self.find(fingerprint), outcome=outcome))

    def withdraw(self, fingerprint: str) -> None:
        """Note that the service certainly did not take the token this time."""
        note = self.find(fingerprint)
        with suppress(OSError):
            if note.presented > 1:
                self._write(fingerprint, msgspec.structs.replace(note, presented=note.presented - 1))
            else:
                os.unlink(self._path(fingerprint))

    def _write(self, fingerprint: str, note: RefreshRecord) -> None:
        # The modification time is the age by the clock of the client.
        replace_file(self._path(fingerprint), msgspec.json.encode(note), modified=note.at)

    def _forget(self, now: float) -> None:
        with suppress(OSError):
            for entry in list(os.scandir(self._folder)):
                if entry.stat().st_mtime < now - KEPT:
                    os.unlink(entry.path)

    def _path(self, fingerprint: str) -> str:
        return os.path.join(self._folder, fingerprint)
