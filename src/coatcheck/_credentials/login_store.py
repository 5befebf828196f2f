"""The place of a login: one file, or one entry of the system's keyring.

Invariants:

- a file is replaced atomically: a temporary file, mode 0600, fsynced and renamed in the target's folder;
- a symbolic link is followed and stays; a read-only file or folder is respected;
- methods block and are called through `Call`; errors are `CredentialsError` and name the place;
- the temporary file can be reserved before it is needed, and is named after the refresh token that is replaced
  (*spent*, a fingerprint): the next process finds what a crash left between writing and renaming, on any clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from .. import errors
from .._files.private import (
    MAX_SIZE,
    fill_file,
    is_read_only,
    make_private_folder,
    read_private,
    reserve_file,
    sync_folder,
)
from .._files.reading import read_regular_file
from .._protocol.login_contract import Keyring


class Store(Protocol):
    """The place of one login."""

    @property
    def where(self) -> str:
        """The place, as shown to people."""
        ...

    @property
    def folder(self) -> str:
        """The folder of the login or of its lock files."""
        ...

    @property
    def locks(self) -> tuple[str, ...]:
        """The lock files to take before the login is changed, in order."""
        ...

    def prepare(self) -> None:
        """Create the folder that the login and its locks need."""
        ...

    def read(self) -> bytes | None:
        """Return the login, None if there is none."""
        ...

    def reserve(self, spent: str, size: int) -> bool:
        """Reserve *size* bytes for a later `write`; False if this kind of store cannot. Raises `PersistenceError`."""
        ...

    def write(self, data: bytes, spent: str = "") -> None:
        """Replace the login by *data*, with the bytes reserved for *spent*; raises `PersistenceError`."""
        ...

    def finish(self, spent: str) -> None:
        """Replace the login by what `leftover` returns; raises `PersistenceError`."""
        ...

    def leftover(self, spent: str) -> bytes | None:
        """Return what a process wrote in place of *spent* before it crashed."""
        ...

    def discard(self, spent: str) -> None:
        """Remove what `reserve` made or `leftover` returns."""
        ...

    def delete(self) -> None:
        """Remove the login."""
        ...

    def obstacle(self) -> str | None:
        """Return why the login cannot be written, None if it can."""
        ...


class FileStore:
    """A login in a file. *locks* are names beside it."""

    def __init__(self, path: str, *, locks: tuple[str, ...]) -> None:
        self.where = path
        self.locks = tuple(os.path.join(os.path.dirname(path), name) for name in locks)

    def prepare(self) -> None:
        """Create the folder, accessible only to its owner."""
        make_folder(os.path.dirname(self.where))

    def read(self) -> bytes | None:
        """Return the file's content, None if there is no file."""
        try:
            return read_regular_file(self.where, limit=MAX_SIZE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.NotLoggedInError(
                f"the login {self.where} cannot be read: {error.strerror}",
                remedy="move it away, or fix its permissions; then log in",
            ) from None

    def reserve(self, spent: str, size: int) -> bool:
        """Write the temporary file full of blanks. Raises `PersistenceError`."""
        try:
            reserve_file(self._temporary(spent), size)
        except OSError as error:
            self.discard(spent)
            raise errors.PersistenceError(f"{os.path.dirname(self._target)}: {error.strerror}") from None
        return True

    def write(self, data: bytes, spent: str = "") -> None:
        """Replace the file; raises `PersistenceError`. What was written for *spent* but not renamed stays."""
        try:
            fill_file(self._temporary(spent), data)
        except OSError as error:
            self.discard(spent)
            raise self._unsaved(error) from None
        try:
            self.finish(spent)
        except errors.PersistenceError:
            if not spent:
                self.discard(spent)
            raise

    def finish(self, spent: str) -> None:
        """Rename the temporary file, and remove older ones. Raises `PersistenceError`."""
        try:
            os.replace(self._temporary(spent), self._target)
            sync_folder(os.path.dirname(self._target))
        except OSError as error:
            raise self._unsaved(error) from None
        self._remove_leftovers()

    def _unsaved(self, error: OSError) -> errors.PersistenceError:
        return errors.PersistenceError(
            f"the fresh login could not be saved to {self.where}: {error.strerror}",
            remedy="free disk space or fix the permissions; until then only this program holds the login",
        )

    def leftover(self, spent: str) -> bytes | None:
        """Return the temporary file of a process that crashed before it renamed it."""
        return read_private(self._temporary(spent))

    def discard(self, spent: str) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            os.unlink(self._temporary(spent))

    def delete(self) -> None:
        """Remove the file and the temporary files beside it. Raises `PersistenceError`."""
        self._remove_leftovers()
        try:
            os.unlink(self._target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise errors.PersistenceError(
                f"the login {self.where} could not be deleted: {error.strerror}", remedy="fix the permissions"
            ) from None

    def obstacle(self) -> str | None:
        """Return why the file cannot be replaced: it, its folder or its file system is read-only."""
        target = self._target
        with suppress(FileNotFoundError):
            # Root may write anything, but a file without write permission is still not to be written
            # (docs/reference/protocols/codex-wham.md, 6.5).
            if not os.stat(target).st_mode & 0o200:
                return f"{self.where} is read-only"
        folders = {os.path.dirname(target), os.path.dirname(os.path.abspath(self.where))}
        blocked = [folder for folder in sorted(folders) if is_read_only(folder)]
        return f"{blocked[0]} is read-only" if blocked else None

    @property
    def folder(self) -> str:
        """The folder of the file itself, where symbolic links lead to it."""
        return os.path.dirname(self._target)

    @property
    def _target(self) -> str:
        return os.path.realpath(self.where)

    def _temporary(self, spent: str) -> str:
        folder, name = os.path.split(self._target)
        return os.path.join(folder, f".{name}.{spent or 'new'}.coatcheck")

    def _remove_leftovers(self) -> None:
        folder, name = os.path.split(self._target)
        with suppress(OSError):
            for each in os.listdir(folder):
                if each.startswith(f".{name}.") and each.endswith(".coatcheck"):
                    with suppress(OSError):
                        os.unlink(os.path.join(folder, each))


class KeyringStore:
    """A login in the system's keyring, with the lock files of the program that it belongs to."""

    def __init__(self, keyring: Keyring, *, home: str, locks: tuple[str, ...]) -> None:
        self._service = keyring.service
        self.folder = self._home = home
        self._name = keyring.account
        self.where = f"keyring entry {keyring.service!r}"
        self.locks = tuple(os.path.join(home, name) for name in locks)

    def prepare(self) -> None:
        """Create the folder of the lock files."""
        make_folder(self._home)

    def read(self) -> bytes | None:
        """Return the entry, None if there is none."""
        entry = self._call_keyring(lambda ring: ring.get_password(self._service, self._entry))
        return None if entry is None else str(entry).encode()

    def reserve(self, spent: str, size: int) -> bool:  # noqa: ARG002 - the protocol's signature
        """Return False: a keyring cannot reserve space."""
        return False

    def write(self, data: bytes, spent: str = "") -> None:  # noqa: ARG002 - the protocol's signature
        """Change the entry; raises `PersistenceError`."""
        import msgspec

        text = msgspec.json.format(data, indent=-1).decode()  # compact, as the official client keeps it (6.7)
        try:
            self._call_keyring(lambda ring: _change(ring, self._service, self._entry, text))
        except errors.NotLoggedInError as error:
            raise errors.PersistenceError(
                f"the fresh login could not be saved: {error}", remedy="unlock the keyring"
            ) from None

    def delete(self) -> None:
        """Remove the entry."""
        self._call_keyring(lambda ring: ring.delete_password(self._service, self._entry))

    def obstacle(self) -> str | None:
        """Return why it cannot be written: its lock files need a writable folder."""
        return f"{self._home} is read-only" if is_read_only(self._home) else None

    def leftover(self, spent: str) -> bytes | None:  # noqa: ARG002 - the protocol's signature
        """Return None: a keyring changes an entry atomically."""
        return None

    def finish(self, spent: str) -> None:
        """Do nothing: there is no leftover."""

    def discard(self, spent: str) -> None:
        """Do nothing: there is no leftover."""

    @property
    def _entry(self) -> str:
        return self._name(os.path.realpath(self._home))

    def _call_keyring(self, operation: Callable[[_Ring], object]) -> object:
        ring = _keyring()
        try:
            return operation(ring)
        except Exception as error:  # noqa: BLE001 - each keyring has its errors; their text may quote an entry
            raise errors.NotLoggedInError(
                f"{self.where} cannot be used: {type(error).__name__}", remedy="unlock the system's keyring"
            ) from None


class _Ring(Protocol):
    """What we use of the package keyring."""

    def get_password(self, service: str, username: str, /) -> str | None: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


def _keyring() -> _Ring:
    try:
        import keyring
    except ImportError:
        from .._installation import install_command  # for an error

        raise errors.ConfigurationError(
            "reading a keyring needs one more package", remedy=f"install it with: {install_command('keyring')}"
        ) from None
    return cast("_Ring", keyring.get_keyring())


def _change(ring: _Ring, service: str, entry: str, text: str) -> None:
    """Set an entry. On a Secret Service the item itself is changed.

    Another program's item has more attributes than ours would have, so `set_password` would add a second one beside
    it, and its program would continue with the first.
    """
    search = getattr(ring, "get_preferred_collection", None)
    items = list(search().search_items({"service": service, "username": entry})) if search else []
    for item in items:
        item.set_secret(text.encode())
    if not items:
        ring.set_password(service, entry, text)


def make_folder(path: str) -> None:
    """Create a folder that only its owner may enter, unless it exists. Raises `PersistenceError`."""
    try:
        make_private_folder(path)
    except OSError as error:
        message = f"the folder {path} for the login cannot be created: {error.strerror}"
        raise errors.PersistenceError(message, remedy="fix the permissions") from None
