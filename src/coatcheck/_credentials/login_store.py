"""Where a login is kept: one file, or one entry of the system's keyring.

Law 1. What is written is whole or not there: a temporary file, mode 0600, fsynced and renamed in the target's folder.
Law 2. A symbolic link is followed and stays; a file or folder that is read-only is respected.
Law 3. Methods block and are called through `Call`; what goes wrong is a `CredentialsError` that names the place.
Law 4. The temporary file has one name, so what a crash left between writing and renaming is found and finished.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from .. import errors
from .._protocol.login_contract import Keyring

# A login is 5 kB; what is larger is something else.
MAX_SIZE = 1024 * 1024


class Store(Protocol):
    """One place for one login."""

    @property
    def where(self) -> str:
        """The place, as shown to people."""
        ...

    @property
    def locks(self) -> tuple[str, ...]:
        """The lock files that whoever changes it takes, in order."""
        ...

    def prepare(self) -> None:
        """Make room for what is to be written and locked."""
        ...

    def read(self) -> bytes | None:
        """Return what is there, None for nothing."""
        ...

    def write(self, data: bytes) -> None:
        """Put *data* there; raises `PersistenceError`."""
        ...

    def delete(self) -> None:
        """Take it away."""
        ...

    def obstacle(self) -> str | None:
        """Return why it cannot be written, None if it can."""
        ...

    def leftover(self) -> bytes | None:
        """Return what a writer left that crashed before it was done."""
        ...


class FileStore:
    """A login in a file. *locks* are names beside it."""

    def __init__(self, path: str, *, locks: tuple[str, ...]) -> None:
        self.where = path
        self.locks = tuple(os.path.join(os.path.dirname(path), name) for name in locks)

    def prepare(self) -> None:
        """Make the folder, for its owner alone."""
        make_folder(os.path.dirname(self.where))

    def read(self) -> bytes | None:
        """Return what is there, None where there is no file."""
        return self._read(self.where)

    def leftover(self) -> bytes | None:
        """Return what a writer left that crashed before it was done."""
        return self._read(self._temporary)

    def write(self, data: bytes) -> None:
        """Replace the file; raises `PersistenceError`."""
        temporary = self._temporary
        try:
            write_whole(temporary, data)
            os.replace(temporary, self._target)
            sync_folder(os.path.dirname(self._target))
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            message = f"the fresh login could not be saved to {self.where}: {error.strerror}"
            raise errors.PersistenceError(
                message, remedy="make room or mend the permissions; until then only this program holds the login"
            ) from None

    def delete(self) -> None:
        """Remove the file and what a crash left of it."""
        for path in (self._target, self._temporary):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def obstacle(self) -> str | None:
        """Return why the file cannot be replaced: it, its folder or its disk is read-only."""
        target = self._target
        with suppress(FileNotFoundError):
            # Root may write anything; that a file was made read-only is a wish all the same (codex-wham.md 6.5).
            if not os.stat(target).st_mode & 0o200:
                return f"{self.where} is read-only"
        folders = {os.path.dirname(target), os.path.dirname(os.path.abspath(self.where))}
        blocked = [folder for folder in sorted(folders) if not os.access(folder, os.W_OK | os.X_OK)]
        return f"{blocked[0]} is read-only" if blocked else None

    @property
    def _target(self) -> str:
        return os.path.realpath(self.where)

    @property
    def _temporary(self) -> str:
        folder, name = os.path.split(self._target)
        return os.path.join(folder, f".{name}.coatcheck")

    def _read(self, path: str) -> bytes | None:
        try:
            with open(path, "rb") as file:
                return file.read(MAX_SIZE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.NotLoggedInError(f"the login {self.where} cannot be read: {error.strerror}") from None


class KeyringStore:
    """A login in the system's keyring, with the lock files of the program that it belongs to."""

    def __init__(self, keyring: Keyring, *, home: str, locks: tuple[str, ...]) -> None:
        self._service = keyring.service
        self._home = home
        self._name = keyring.account
        self.where = f"keyring entry {keyring.service!r}"
        self.locks = tuple(os.path.join(home, name) for name in locks)

    def prepare(self) -> None:
        """Make the folder of the lock files."""
        make_folder(self._home)

    def read(self) -> bytes | None:
        """Return the entry, None where there is none."""
        found = self._ask(lambda ring: ring.get_password(self._service, self._entry))
        return None if found is None else str(found).encode()

    def write(self, data: bytes) -> None:
        """Change the entry; raises `PersistenceError`."""
        import msgspec

        text = msgspec.json.format(data, indent=-1).decode()  # compact, as the official client keeps it (6.7)
        try:
            self._ask(lambda ring: _change(ring, self._service, self._entry, text))
        except errors.NotLoggedInError as error:
            raise errors.PersistenceError(
                f"the fresh login could not be saved: {error}", remedy="unlock the keyring"
            ) from None

    def delete(self) -> None:
        """Remove the entry."""
        self._ask(lambda ring: ring.delete_password(self._service, self._entry))

    def obstacle(self) -> str | None:
        """Return why it cannot be written: its lock files need a folder."""
        return None if os.access(self._home, os.W_OK | os.X_OK) else f"{self._home} is read-only"

    def leftover(self) -> bytes | None:
        """Return nothing: a keyring changes an entry at once."""
        return None

    @property
    def _entry(self) -> str:
        return self._name(os.path.realpath(self._home))

    def _ask(self, question: Callable[[_Ring], object]) -> object:
        ring = _keyring()
        try:
            return question(ring)
        except Exception as error:  # noqa: BLE001 - every keyring has errors of its own; their text may quote an entry
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
        raise errors.ConfigurationError(
            "reading a keyring needs one more package", remedy="install it with: pip install 'coatcheck[keyring]'"
        ) from None
    return cast("_Ring", keyring.get_keyring())


def _change(ring: _Ring, service: str, entry: str, text: str) -> None:
    """Set an entry. On a Secret Service the item itself is changed.

    Another program's item has more attributes than ours would have, so `set_password` would add a second one beside
    it, and its owner would go on with the first.
    """
    search = getattr(ring, "get_preferred_collection", None)
    items = list(search().search_items({"service": service, "username": entry})) if search else []
    for item in items:
        item.set_secret(text.encode())
    if not items:
        ring.set_password(service, entry, text)


def make_folder(path: str) -> None:
    """Make a folder that only its owner may enter, where there is none. Raises `PersistenceError`."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"the folder {path} for the login cannot be made: {error.strerror}"
        raise errors.PersistenceError(message, remedy="mend the permissions") from None


def write_whole(path: str, data: bytes) -> None:
    """Write a file that only its owner may read, and wait until the disk has it."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: str) -> None:
    """Wait until the disk has what was renamed in a folder; not every system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
