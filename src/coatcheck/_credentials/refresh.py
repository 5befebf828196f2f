"""Refresh a login that others share: everything that happens while its lock is held.

Invariants:

- read again first: another process may have refreshed the login while we waited for the lock; a newer token of the same
  account is adopted, and the file of another account is never written;
- a refresh token is presented only after space for its successor was reserved, beside the login or in the second place;
- a refresh token whose presentation was not answered is presented again only once the access token has expired (or the
  service rejects it) and the login service answers again; until then `TransportError`;
- compare before writing: what another program wrote meanwhile, with or without locks, is not overwritten;
- fresh tokens that could not be saved in their place leave here in `UnsavedTokenError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from .. import errors
from .._protocol.effects import Call, Clock, Script, Sleep
from .._protocol.json_text import clean_json
from .._protocol.login_contract import LoginFormat, OAuth, Tokens
from .._protocol.logs import INFO, log
from . import oauth_requests as service
from .login_store import Store
from .oauth_requests import RefusedError, UnansweredError
from .refresh_log import SPENT, RefreshLog, RefreshRecord
from .refresh_policy import Mode, RefreshNeed, fingerprint, has_ended, is_newer, moment, need_of, same_account
from .successors import Successors

# The older official client truncates its file and writes it in place (docs/reference/protocols/codex-wham.md, 6.5): how
# long a file that is empty or cut is read again, and how often (seconds).
TORN_PATIENCE, TORN_EVERY = 2.0, 0.1
# Fresh tokens may be longer than the old ones. Three tokens that fit into the 8 kB of headers that servers accept by
# default (https://httpd.apache.org/docs/2.4/mod/core.html#limitrequestfieldsize) make 24 kB (bytes).
GROWTH = 24 * 1024
# The official client's reason for a refresh after the service rejected the access token
# (docs/reference/protocols/codex-wham.md, 6.4).
REJECTED = "unauthorized_recovery"


class NoSpaceError(Exception):
    """The successor of a refresh token could not be kept, so the token was not presented. `error` is what to raise."""

    def __init__(self, error: errors.PersistenceError) -> None:
        self.error = error
        super().__init__(str(error))


class UnsavedTokenError(Exception):
    """Fresh tokens that could not be saved in their place.

    `error` is the reason, `replaces` is the fingerprint of the refresh token that is still there, and `is_saved` says
    whether the second place has them.
    """

    def __init__(
        self, tokens: Tokens, error: errors.CredentialsError, *, replaces: str, is_saved: bool = False
    ) -> None:
        self.tokens, self.error, self.replaces, self.is_saved = tokens, error, replaces, is_saved
        super().__init__(str(error))


class UnwrittenError(Exception):
    """The place of the login could not be written; `error` is the reason."""

    def __init__(self, error: errors.PersistenceError) -> None:
        self.error = error
        super().__init__(str(error))


class Unsaved(msgspec.Struct, frozen=True):
    """Tokens that are not in their place, and the fingerprint of the refresh token that is still there."""

    tokens: Tokens
    replaces: str

    def __repr__(self) -> str:
        return "Unsaved()"


class Settled(msgspec.Struct, frozen=True):
    """The newest `tokens` of a login, with the tokens `stored` in its place and the `data` they were read from."""

    tokens: Tokens
    stored: Tokens
    data: bytes

    def __repr__(self) -> str:
        return "Settled()"


class LoginLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A login's store, format, login service, notes and second place, with clock and environment."""

    store: Store
    file: LoginFormat
    oauth: OAuth
    notes: RefreshLog
    successors: Successors
    clock: Clock
    environ: Mapping[str, str]
    remedy: str
    mode: Mode
    issuer: str | None = None

    def __repr__(self) -> str:
        return f"Place(mode={self.mode!r})"  # the environment may hold tokens

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self) -> Script[tuple[Tokens, bytes]]:
        """Return the stored tokens with the bytes they were read from. Raises `CredentialsError` with the remedy.

        A file that is empty or cut is read again for up to two seconds: another program may be writing it in place.
        """
        deadline = self.clock.monotonic() + TORN_PATIENCE
        while True:
            data: bytes = yield Call(self._read_bytes)
            try:
                return self.file.read(data, self.store.where), data
            except errors.CredentialsError:
                if not is_torn(data) or self.clock.monotonic() >= deadline:
                    raise
            yield Sleep(TORN_EVERY)

    def read_plain(self) -> Tokens | None:
        """Return the stored tokens; None for a cut file and for tokens that were replaced. Blocks.

        Raises `CredentialsError`.
        """
        data = self._read_bytes()
        try:
            tokens = self.file.read(data, self.store.where)
        except errors.CredentialsError:
            if is_torn(data):
                return None
            raise
        return None if self._successors(tokens) else tokens

    def _read_bytes(self) -> bytes:
        data = self.store.read()
        if data is None:
            raise errors.NotLoggedInError(f"not logged in: there is no {self.store.where}", remedy=self.remedy)
        return data

    def find_successor(self, stored: Tokens) -> Script[Tokens | None]:
        """Return the newest tokens that replaced *stored* and were not saved in their place, None if there are none."""
        found: list[Tokens] = yield Call(lambda: self._successors(stored))
        return found[-1] if found else None

    def settle(self, held: Tokens, unsaved: Unsaved | None) -> Script[Settled]:
        """Return what the login holds now, after saving in its place what we or another process could not save there.

        Call it under the login's lock. Raises `AccountMismatchError` if the place holds another account by now.
        """
        stored, data = yield from self.read()
        if not same_account(stored, held):
            raise other_account(self.store.where)
        if unsaved is not None and fingerprint_of(stored) == unsaved.replaces:
            newest: Tokens | None = unsaved.tokens
        else:
            newest, unsaved = (yield from self.find_successor(stored)), None
        if newest is None:
            return Settled(stored, stored, data)
        fresh = self.file.write(data, newest)
        try:
            yield Call(lambda: self._restore(stored, fresh))
        except errors.PersistenceError:
            if unsaved is not None:
                raise
            return Settled(newest, stored, data)
        return Settled(newest, newest, fresh)

    def _restore(self, stored: Tokens, fresh: bytes) -> None:
        spent = fingerprint_of(stored)
        if self.store.leftover(spent) == fresh:
            self.store.finish(spent)
        else:
            self.store.write(fresh)
        self.discard_successors(stored)

    def _successors(self, stored: Tokens) -> list[Tokens]:
        found: list[Tokens] = []
        seen: set[str] = set()
        current: Tokens | None = stored
        while current is not None and (spent := fingerprint_of(current)) not in seen:
            seen.add(spent)
            current = self._successor(current, spent)
            found += [current] if current else []
        return found

    def _successor(self, current: Tokens, spent: str) -> Tokens | None:
        if not spent:
            return None
        read = (self._readable(data) for data in (self.successors.find(spent), self.store.leftover(spent)))
        return next((found for found in read if found is not None and is_successor(found, current)), None)

    def _readable(self, data: bytes | None) -> Tokens | None:
        try:
            return self.file.read(data, self.store.where) if data else None
        except errors.CredentialsError:
            return None

    def discard_successors(self, stored: Tokens) -> None:
        """Remove what the second place holds for *stored*, and copies that a crash left there. Blocks."""
        known = {spent for tokens in (stored, *self._successors(stored)) if (spent := fingerprint_of(tokens))}
        for spent in known:
            self._discard(spent)
        self.successors.discard_if(
            lambda data: (copy := self._readable(data)) is not None and fingerprint_of(copy) in known
        )

    def _discard(self, spent: str) -> None:
        self.successors.discard(spent)
        self.store.discard(spent)

    # -- refreshing --------------------------------------------------------------------------------------------------

    def refresh(self, held: Tokens, *, reason: str, unsaved: Unsaved | None = None) -> Script[Tokens]:
        """Return tokens that are newer than *held*. Call it under the login's lock.

        Raises `RefusedError`, `NoSpaceError`, `UnsavedTokenError`, `TransportError` (try again later), `CredentialsError`.
        """
        settled = yield from self.settle(held, unsaved)
        current = settled.tokens
        if is_newer(current, held) and need_of(current, mode=self.mode, now=self.clock.time()) < RefreshNeed.MUST:
            return current
        spent = fingerprint_of(current)
        if not spent:
            raise RefusedError("missing")
        yield from self._require_presentable(current, spent, reason)
        yield from self._reserve(settled, spent, is_needed=reason == REJECTED)
        fresh = yield from self._present(current, spent, reason)
        return (yield from self._keep(settled, fresh, spent))

    def _require_presentable(self, current: Tokens, spent: str, reason: str) -> Script[None]:
        """Raise `RefusedError` for a token that was refused, `TransportError` for one that must not be presented yet."""
        note: RefreshRecord = yield Call(lambda: self.notes.find(spent))
        if note.outcome:
            raise RefusedError(self.oauth.reused if note.outcome == SPENT else note.outcome)
        if not note.presented:
            return
        if reason != REJECTED and not has_ended(current, self.clock.time()):
            raise unanswered(current)
        at = self._endpoints(current)
        if not (yield from service.is_answering(self.oauth, at)):
            raise service.passing(
                errors.TransportError(f"{service.shown(at.token)} does not answer, or not in a readable form")
            )

    def _endpoints(self, current: Tokens) -> service.Endpoints:
        return service.Endpoints.of(self.oauth, current, environ=self.environ, issuer=self.issuer)

    def _reserve(self, settled: Settled, spent: str, *, is_needed: bool) -> Script[None]:
        """Reserve space for the successor of a token, beside the login and in the second place. Raises `NoSpaceError`.

        One of them is enough for a login that has expired or *is_needed*. Other programs know only the first, so a
        login that still works is left as it is while there is no space beside it.
        """
        size = len(settled.data) + GROWTH
        has_second, problem = yield from _attempt(lambda: self.successors.reserve(spent, size))
        is_beside, obstacle = yield from _attempt(lambda: self.store.reserve(spent, size))
        is_needed = is_needed or has_ended(settled.tokens, self.clock.time())
        if is_beside or (has_second and (obstacle is None or is_needed)):
            return
        yield Call(lambda: self._discard(spent))
        raise NoSpaceError(
            errors.PersistenceError(
                f"{self.store.where} was not refreshed, since the new login could not be saved: {obstacle or problem}",
                remedy="free disk space or fix the permissions",
            )
        )

    def _present(self, current: Tokens, spent: str, reason: str) -> Script[Tokens]:
        now = self.clock.time()
        log("login", INFO, "refresh of %s (%s)", self.store.where, reason)
        try:
            at = self._endpoints(current)
            yield Call(lambda: self.notes.present(spent, now=now))
            return (yield from service.refresh(self.oauth, at, current, reason=reason, now=now))
        except RefusedError as refused:
            code = refused.code
            log("login", INFO, "refresh of %s: refused", self.store.where)
            yield Call(lambda: self._conclude(spent, code))
            raise
        except UnansweredError as lost:
            log("login", INFO, "refresh of %s: no answer", self.store.where)
            yield Call(lambda: self._discard(spent))
            raise lost.error from None
        except errors.TransportError:
            yield Call(lambda: self._withdraw(spent))
            raise
        except errors.CoatcheckError:  # nothing was sent
            yield Call(lambda: self._discard(spent))
            raise

    def _keep(self, settled: Settled, fresh: Tokens, spent: str) -> Script[Tokens]:
        """Save *fresh*, first in the second place, then in the first. Raises `UnsavedTokenError`."""
        log("login", INFO, "refresh of %s: a new token until %s", self.store.where, moment(fresh.expires_at))
        data = self.file.write(settled.data, fresh)
        is_saved: bool = yield Call(lambda: self.successors.save(spent, data))
        try:
            saved = yield from self._write(settled.stored, fresh, spent)
        except UnwrittenError as unwritten:
            yield Call(lambda: self._note_spent(spent, fresh))
            is_saved = is_saved or (yield Call(lambda: self.store.leftover(spent))) == data
            replaces = fingerprint_of(settled.stored)
            raise UnsavedTokenError(fresh, unwritten.error, replaces=replaces, is_saved=is_saved) from None
        except errors.CredentialsError as error:
            if isinstance(error, errors.AccountMismatchError) or (yield Call(self._is_removed)):
                yield Call(lambda: self._discard(spent))
            yield Call(lambda: self._note_spent(spent, fresh))
            raise UnsavedTokenError(fresh, error, replaces=fingerprint_of(settled.stored)) from None
        yield Call(lambda: self._finish(settled.stored, fresh, spent))
        return saved

    def _is_removed(self) -> bool:
        try:
            return self.store.read() is None
        except errors.CredentialsError:
            return False

    def _write(self, before: Tokens, fresh: Tokens, spent: str) -> Script[Tokens]:
        try:
            stored, data = yield from self.read()
        except errors.CredentialsError as error:
            message = f"the fresh login was not saved, since it changed while it was refreshed: {error}"
            raise errors.PersistenceError(message, remedy=self.remedy) from None
        if not same_account(stored, before):
            raise other_account(self.store.where)
        if stored.refresh_token != before.refresh_token:
            return fresh if has_ended(stored, self.clock.time()) else stored
        try:
            yield Call(lambda: self.store.write(self.file.write(data, fresh), spent))
        except errors.PersistenceError as error:
            raise UnwrittenError(error) from None
        return fresh

    def _finish(self, stored: Tokens, fresh: Tokens, spent: str) -> None:
        self._note_spent(spent, fresh)
        self.discard_successors(stored)
        self._discard(spent)

    def _note_spent(self, spent: str, fresh: Tokens) -> None:
        """Note that a token is spent; one that the service did not replace may be presented again."""
        if fingerprint_of(fresh) == spent:
            self.notes.withdraw(spent)
        else:
            self.notes.conclude(spent, SPENT)

    def _conclude(self, spent: str, code: str) -> None:
        self.notes.conclude(spent, code)
        self._discard(spent)

    def _withdraw(self, spent: str) -> None:
        self.notes.withdraw(spent)
        self._discard(spent)


def _attempt(reserve: Callable[[], object]) -> Script[tuple[bool, errors.PersistenceError | None]]:
    """Return whether *reserve* reserved space, with its error."""
    try:
        result: object = yield Call(reserve)
    except errors.PersistenceError as error:
        return False, error
    return result is not False, None


def fingerprint_of(tokens: Tokens) -> str:
    """Return the fingerprint of the refresh token, "" if there is none."""
    return fingerprint(tokens.refresh_token) if tokens.refresh_token else ""


def unanswered(current: Tokens) -> errors.TransportError:
    """Return the error for a token that was presented without an answer while its access token still works."""
    until = f" until {moment(current.expires_at)}" if current.expires_at is not None else ""
    return errors.TransportError(
        f"the last refresh of the login was not answered; its access token is used{until} before the next attempt",
        request_sent=False,
    )


def is_torn(data: bytes) -> bool:
    """Whether *data* is not JSON: empty, or only a part of it."""
    try:
        msgspec.json.decode(clean_json(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    return False


def is_successor(found: Tokens, current: Tokens) -> bool:
    """Whether *found*, which was saved under the name of *current*'s refresh token, is newer than *current*."""
    if not same_account(found, current):
        return False
    if found.refresh_token != current.refresh_token:
        return True
    return found.access_token != current.access_token and (found.expires_at or 0.0) > (current.expires_at or 0.0)


def other_account(where: str) -> errors.AccountMismatchError:
    """Return the error for a login that has become another account's."""
    return errors.AccountMismatchError(
        f"{where} now belongs to another account than the one in use; it was not touched",
        remedy="start again to use the account that is there now",
    )
