"""Refresh a login that others share: what happens between taking its lock and giving it back.

Law 1. Read again first: whoever held the lock before us may have done the work. A newer token of the same account is
       adopted; another account's file is never written.
Law 2. A refresh token is presented a second time only after a crash or a lost answer, and once.
Law 3. Compare before writing: what somebody wrote meanwhile, whatever they think of locks, is not overwritten.
Law 4. What we were given and could not save is never dropped: it leaves here in `UnsavedTokenError`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .. import errors
from .._protocol.effects import Call, Clock, Script, Sleep
from .._protocol.login_contract import LoginFormat, OAuth, Tokens
from . import oauth_requests as service
from .login_store import Store
from .oauth_requests import RefusedError, UnansweredError
from .refresh_log import SPENT, RefreshLog, RefreshRecord
from .refresh_policy import Mode, RefreshNeed, fingerprint, has_ended, is_newer, need_of, same_account

# The older official client truncates its file and writes it in place (codex-wham.md 6.5): so long is a file that is
# empty or torn read again, so often (seconds).
TORN_PATIENCE, TORN_EVERY = 2.0, 0.1
# Our word for a token that was presented twice without an answer.
UNANSWERED = "unanswered"


class UnsavedTokenError(Exception):
    """Fresh tokens that could not be saved, with the `error` to report; `replaces` is the spent token's fingerprint."""

    def __init__(self, tokens: Tokens, error: errors.CredentialsError, *, replaces: str) -> None:
        self.tokens, self.error, self.replaces = tokens, error, replaces
        super().__init__(str(error))


class Unsaved(msgspec.Struct, frozen=True):
    """Tokens that only we hold, and the fingerprint of the refresh token that the place of the login still has."""

    tokens: Tokens
    replaces: str

    def __repr__(self) -> str:
        return "Unsaved()"


class LoginLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A login's store, its format and its login service, with the world that they need."""

    store: Store
    file: LoginFormat
    oauth: OAuth
    notes: RefreshLog
    clock: Clock
    environ: Mapping[str, str]
    remedy: str
    mode: Mode
    issuer: str | None = None

    def __repr__(self) -> str:
        return f"Place(mode={self.mode!r})"  # the environment may hold tokens

    def read(self) -> Script[tuple[Tokens, bytes]]:
        """Return the tokens with the bytes they were read from. Raises `CredentialsError` with the remedy.

        What is empty or torn is read again for up to two seconds: somebody may be writing it in place.
        """
        deadline = self.clock.monotonic() + TORN_PATIENCE
        while True:
            data: bytes | None = yield Call(self.store.read)
            if data is None:
                raise errors.NotLoggedInError(f"not logged in: there is no {self.store.where}", remedy=self.remedy)
            try:
                return self.file.read(data, self.store.where), data
            except errors.CredentialsError:
                if not is_torn(data) or self.clock.monotonic() >= deadline:
                    raise
            yield Sleep(TORN_EVERY)

    def refresh(self, held: Tokens, *, reason: str, unsaved: Unsaved | None = None) -> Script[Tokens]:
        """Return tokens that are newer than *held*. Call it under the login's lock.

        Raises `RefusedError`, `UnsavedTokenError`, `TransportError` (ask again later), `CredentialsError`.
        """
        current = yield from self.settle(held, unsaved)
        if is_newer(current, held) and need_of(current, mode=self.mode, now=self.clock.time()) < RefreshNeed.MUST:
            return current
        if not current.refresh_token:
            raise RefusedError("missing")
        spent = fingerprint(current.refresh_token)
        note: RefreshRecord = yield Call(lambda: self.notes.find(spent))
        require_presentable(note, reused=self.oauth.reused)
        fresh = yield from self._present(current, spent, reason)
        return (yield from self._keep(current, fresh, spent))

    def settle(self, held: Tokens, unsaved: Unsaved | None) -> Script[Tokens]:
        """Return what is there now, after finishing what we or a crash left undone. Call it under the login's lock.

        Raises `AccountMismatchError` where it has become another account's.
        """
        current, data = yield from self.read()
        if not same_account(current, held):
            raise other_account(self.store.where)
        if unsaved is not None and current.refresh_token and fingerprint(current.refresh_token) == unsaved.replaces:
            yield Call(lambda: self.store.write(self.file.write(data, unsaved.tokens)))
            return unsaved.tokens
        left: bytes | None = yield Call(self.store.leftover)
        finished = self._readable(left)
        if left is None or finished is None or not is_successor(finished, current):
            return current
        yield Call(lambda: self.store.write(left))
        return finished

    def _readable(self, data: bytes | None) -> Tokens | None:
        try:
            return self.file.read(data, self.store.where) if data else None
        except errors.CredentialsError:
            return None

    def _present(self, current: Tokens, spent: str, reason: str) -> Script[Tokens]:
        at = service.Endpoints.of(self.oauth, current, environ=self.environ, issuer=self.issuer)
        now = self.clock.time()
        yield Call(lambda: self.notes.present(spent, now=now))
        try:
            return (yield from service.refresh(self.oauth, at, current, reason=reason, now=now))
        except RefusedError as refused:
            code = refused.code
            yield Call(lambda: self.notes.conclude(spent, code))
            raise
        except UnansweredError as lost:
            raise lost.error from None
        except errors.TransportError:
            yield Call(lambda: self.notes.withdraw(spent))
            raise

    def _keep(self, before: Tokens, fresh: Tokens, spent: str) -> Script[Tokens]:
        try:
            kept = yield from self._write(before, fresh)
        except errors.CredentialsError as error:
            yield Call(lambda: self._conclude(spent, fresh))
            raise UnsavedTokenError(fresh, error, replaces=spent) from None
        yield Call(lambda: self._conclude(spent, fresh))
        return kept

    def _write(self, before: Tokens, fresh: Tokens) -> Script[Tokens]:
        try:
            there, data = yield from self.read()
        except errors.CredentialsError as error:
            message = f"the fresh login was not saved, since it changed while it was refreshed: {error}"
            raise errors.PersistenceError(message, remedy=self.remedy) from None
        if not same_account(there, before):
            raise other_account(self.store.where)
        if there.refresh_token != before.refresh_token:
            return fresh if has_ended(there, self.clock.time()) else there
        yield Call(lambda: self.store.write(self.file.write(data, fresh)))
        return fresh

    def _conclude(self, spent: str, fresh: Tokens) -> None:
        """Note that a token is spent; one that the service did not replace may be presented again."""
        if fresh.refresh_token and fingerprint(fresh.refresh_token) == spent:
            self.notes.withdraw(spent)
        else:
            self.notes.conclude(spent, SPENT)


def require_presentable(note: RefreshRecord, *, reused: str) -> None:
    """Raise `RefusedError` for a token that must not be presented (again)."""
    if note.outcome:
        raise RefusedError(reused if note.outcome == SPENT else note.outcome)
    if note.presented > 1:
        raise RefusedError(UNANSWERED)


def is_torn(data: bytes) -> bool:
    """Whether *data* is not JSON: empty, or only a part of it."""
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    return False


def is_successor(found: Tokens, current: Tokens) -> bool:
    """Whether *found*, which a crashed writer left, is what *current* was about to be replaced by."""
    return same_account(found, current) and (found.last_refresh or 0.0) > (current.last_refresh or 0.0)


def other_account(where: str) -> errors.AccountMismatchError:
    """Return the error for a login that has become another account's."""
    return errors.AccountMismatchError(
        f"{where} now belongs to another account than the one in use; it was not touched",
        remedy="start again to use the account that is there now",
    )
