"""The secrets of webhooks, in a file of their own beside the store: mode 0600, replaced atomically. Blocks.

The store holds none of them. A hook has its newest secret first and, for a day after it was replaced, the former one;
a sender of incoming deliveries has the secrets that the user gave. On a machine without the file they come from the
environment: ``COATCHECK_HOOK_SECRET_NAME`` for a hook or a sender, several with spaces, the newest first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

import msgspec

from .. import errors
from .._files.locks import LockSet
from .._files.private import make_private_folder, read_private, replace_file

VARIABLE = "COATCHECK_HOOK_SECRET_"
# Seconds for which a message is signed with the former secret as well.
OVERLAP = 86_400.0


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret, and when it ends in seconds since the epoch; None for one that is in use."""

    text: str
    ends_at: float | None = None

    def __repr__(self) -> str:
        return f"Secret(ends_at={self.ends_at!r})"


class SecretsFile:
    """The file at *path*, and the secrets in *environ*, which are used instead of the file's."""

    def __init__(self, path: str, *, environ: Mapping[str, str] | None = None) -> None:
        self._path, self._environ = path, environ or {}

    def get(self, name: str, *, now: float) -> Sequence[str]:
        """Return the secrets of a hook or a sender that are valid now, the newest first."""
        if given := self._environ.get(f"{VARIABLE}{name.removeprefix('in:').upper()}", "").split():
            return given
        return [each.text for each in self._read().get(name, ()) if each.ends_at is None or each.ends_at > now]

    def names(self) -> Sequence[str]:
        """Return the hooks and senders that have a secret, sorted: ``in:NAME`` for a sender, in the file."""
        return sorted(self._read())

    def add(self, name: str, secret: str, *, now: float, overlap: float = OVERLAP) -> None:
        """Put a secret before the others; those end after *overlap* seconds."""
        with _locked(self._path):
            known = self._read()
            former = (
                Secret(text=each.text, ends_at=min(each.ends_at or now + overlap, now + overlap))
                for each in known.get(name, ())
            )
            kept = tuple(each for each in former if (each.ends_at or 0) > now)
            self._write({**known, name: (Secret(text=secret), *kept)})

    def remove(self, name: str) -> bool:
        """Remove the secrets of a hook or a sender; False where there are none."""
        with _locked(self._path):
            known = dict(self._read())
            was_known = known.pop(name, None) is not None
            self._write(known)
            return was_known

    def _read(self) -> Mapping[str, tuple[Secret, ...]]:
        data = read_private(self._path)
        if not data:
            return {}
        try:
            return msgspec.json.decode(data, type=dict[str, tuple[Secret, ...]])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise errors.ConfigurationError(
                f"{self._path} is not readable", remedy="remove it, and set the secrets of webhooks again"
            ) from None

    def _write(self, secrets: Mapping[str, tuple[Secret, ...]]) -> None:
        replace_file(self._path, msgspec.json.format(msgspec.json.encode(secrets)))


class _locked:  # noqa: N801 - used as a function
    """Hold the lock beside the file, so that two commands do not lose each other's secrets."""

    def __init__(self, path: str) -> None:
        make_private_folder(os.path.dirname(path))
        self._locks = LockSet([f"{path}.lock"], timeout=10.0, monotonic=time.monotonic)

    def __enter__(self) -> None:
        for pause in self._locks.pauses():
            time.sleep(pause)

    def __exit__(self, *_: object) -> None:
        self._locks.release()
