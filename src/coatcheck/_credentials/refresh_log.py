"""The outcome of each refresh token that we presented, on the disk before the token is sent and kept across crashes.

A refresh token can be used once. A note without an outcome that is found under the login's lock means that the process
which presented the token crashed or was not answered; `refresh` decides when it is presented again.

Invariants:

- a note is on the disk before its token is sent, in the state folder or else beside the login;
- a note holds a fingerprint, never a token;
- notes are read and changed only under the login's lock (`auth status` reads them without it).
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from .. import errors
from .._files.private import make_private_folder, replace_file
from .._files.reading import read_regular_file
from .._values.decoders import decoder

# Longer than a backup of a login is useful: the service ends tokens that were not used for so long anyway (seconds).
RETENTION = 60 * 86_400.0


class RefreshRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How often a token was presented (the last time at `at` by process `pid`), and with which outcome.

    `outcome` is "" while it is unknown, "spent" once the token was exchanged, or the code of a refusal.
    """

    presented: int = 0
    at: float = 0.0
    pid: int = 0
    outcome: str = ""


SPENT = "spent"
# Names of notes beside a login start with this.
PREFIX = ".coatcheck-refresh-"


class RefreshLog:
    """The notes in one folder, one small file for each token.

    *beside*, the folder of the login, is used where the first one cannot be written.
    """

    def __init__(self, folder: str, *, beside: str | None = None) -> None:
        self._folder, self._beside = folder, beside

    def find(self, fingerprint: str) -> RefreshRecord:
        """Return the note on a token, the latest of several; one that was never presented has an empty note."""
        return max(map(_read, self._paths(fingerprint)), key=lambda note: note.at)

    def present(self, fingerprint: str, *, now: float) -> None:
        """Note that a token is about to be presented. Raises `CredentialsError`."""
        before = self.find(fingerprint)
        note = RefreshRecord(presented=before.presented + 1, at=now, pid=os.getpid())
        try:
            self._write(fingerprint, note)
        except OSError as error:
            raise errors.CredentialsError(
                f"the login was not refreshed, since {self._folder} cannot be written: {error.strerror}",
                remedy="make it writable, or name another folder in COATCHECK_STATE_HOME",
            ) from None
        self._delete_old(now)

    def conclude(self, fingerprint: str, outcome: str) -> None:
        """Note the outcome."""
        with suppress(OSError):  # a missing outcome is safe: the token would be presented once more and refused
            self._write(fingerprint, msgspec.structs.replace(self.find(fingerprint), outcome=outcome))

    def withdraw(self, fingerprint: str) -> None:
        """Note that the service certainly did not take the token this time."""
        note = self.find(fingerprint)
        if note.presented > 1:
            with suppress(OSError):
                self._write(fingerprint, msgspec.structs.replace(note, presented=note.presented - 1))
            return
        for path in self._paths(fingerprint):
            with suppress(OSError):
                os.unlink(path)

    def _write(self, fingerprint: str, note: RefreshRecord) -> None:
        """Write *note* to the first place that can be written. Raises the `OSError` of the first."""
        first, *others = self._paths(fingerprint)
        try:
            _write(first, note)
        except OSError:
            if not any(_is_written(path, note) for path in others):
                raise

    def _delete_old(self, now: float) -> None:
        for folder in filter(None, (self._folder, self._beside)):
            with suppress(OSError):
                for entry in list(os.scandir(folder)):
                    is_note = folder == self._folder or entry.name.startswith(PREFIX)
                    if is_note and entry.stat().st_mtime < now - RETENTION:
                        os.unlink(entry.path)

    def _paths(self, fingerprint: str) -> list[str]:
        paths = [os.path.join(self._folder, fingerprint)]
        return [*paths, os.path.join(self._beside, PREFIX + fingerprint)] if self._beside else paths


def _read(path: str) -> RefreshRecord:
    try:
        return decoder(RefreshRecord).decode(read_regular_file(path))
    except (OSError, msgspec.MsgspecError):  # a torn note cannot be: it is renamed into place
        return RefreshRecord()


def _write(path: str, note: RefreshRecord) -> None:
    make_private_folder(os.path.dirname(path))
    # The modification time is the age by the clock of the client.
    replace_file(path, msgspec.json.encode(note), modified=note.at)


def _is_written(path: str, note: RefreshRecord) -> bool:
    try:
        _write(path, note)
    except OSError:
        return False
    return True
