"""Save a new login, or delete one. Call both scripts under the login's lock.

A login of another account is not replaced, tokens that could not be read back are not saved, and what the second place
holds of the old login is deleted with it.
"""

from __future__ import annotations

from .. import errors
from .._protocol.effects import Call, Script
from .._protocol.login_contract import Tokens
from .refresh import LoginLocation
from .refresh_policy import Mode, same_account


def save_login(place: LoginLocation, tokens: Tokens) -> Script[None]:
    """Save *tokens*. Raises `AccountMismatchError`, `PersistenceError`, `CredentialsError`."""
    data: bytes | None = yield Call(place.store.read)
    stored: Tokens | None = None
    if data is not None:
        stored, data = yield from _replaceable(place)
    if stored is not None and not same_account(stored, tokens):
        raise errors.AccountMismatchError(
            f"{place.store.where} belongs to another account", remedy="log out first, or keep both with: --account NAME"
        )
    fresh = _file_of(place, data, tokens)
    yield Call(lambda: place.store.write(fresh))
    if stored is not None:
        yield Call(lambda: place.discard_successors(stored))


def delete_login(place: LoginLocation) -> Script[None]:
    """Delete the login, also one that cannot be read. Raises `PersistenceError`."""
    try:
        stored, _ = yield from place.read()
    except errors.CredentialsError:
        pass
    else:
        yield Call(lambda: place.discard_successors(stored))
    yield Call(place.store.delete)


def _replaceable(place: LoginLocation) -> Script[tuple[Tokens | None, bytes | None]]:
    """Return the login that a new one replaces; a file of ours that is no login counts as none."""
    try:
        return (yield from place.read())
    except errors.CredentialsError:
        if place.mode is Mode.OWN:
            return None, None
        raise


def _file_of(place: LoginLocation, data: bytes | None, tokens: Tokens) -> bytes:
    """Return the file with *tokens* in it; raises `CredentialsError` for tokens that could not be read back."""
    try:
        fresh = place.file.write(data, tokens)
    except UnicodeEncodeError:
        raise errors.CredentialsError("the tokens are not text that can be saved", remedy="log in again") from None
    if place.file.read(fresh, "the new login").access_token != tokens.access_token:
        raise errors.CredentialsError("the new login holds no access token", remedy="log in again")
    return fresh
