"""One login in use: fresh when it is asked for, refreshed once for everybody, saved where others find it.

Law 1. A fresh secret costs nothing: no effect is yielded while nothing is due.
Law 2. Single flight: whoever waits for the lock looks whether somebody in this process has finished, and whoever gets
       it looks whether somebody on this machine has.
Law 3. An early refresh that fails is tried again later, with jitter, and the valid token is served meanwhile.
       A late one that fails is an error.
Law 4. A refresh token that was refused for good is not tried again.
Law 5. State is one value, replaced at once: threads see the old one or the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from .. import errors
from .._protocol.effects import Call, Exclusive, Lock, Script, Sleep
from .._protocol.login_contract import Secret, Tokens
from .oauth_requests import RefusedError
from .refresh import UNANSWERED, LoginLocation, Unsaved, UnsavedTokenError, other_account
from .refresh_policy import (
    LOOK_EVERY,
    TRY_EVERY,
    Mode,
    RefreshNeed,
    fingerprint,
    has_ended,
    is_newer,
    need_of,
    next_look,
    same_account,
)

T = TypeVar("T")

# Two requests of 15 s and their file work: whoever is not done by then hangs (seconds).
LOCK_PATIENCE = 40.0
# How often a lock that somebody holds is tried (seconds), before jitter; its holders take tenths of a second.
LOCK_EVERY = 0.05
# After `refresh_token_reused` somebody else may have won, and be about to save what he got (codex-wham.md 6.6) (seconds).
WINNER_PATIENCE, WINNER_EVERY = 5.0, 0.2

# The official client's words for why (6.4).
EXPIRING, SCHEDULED, FORCED, REJECTED = "proactive_expiry", "scheduled", "forced", "unauthorized_recovery"

# What became of a refresh token, in words; the login service's own codes come with the login.
OUR_REFUSALS = {
    UNANSWERED: "was presented twice and never answered",
    "missing": "is not there",
}


class ReadOnlyError(Exception):
    """The login cannot be written, so it must not be refreshed."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What we hold: tokens, the secret made of them, when to look again, and what is not saved yet."""

    tokens: Tokens
    secret: Secret
    look_at: float
    unsaved: Unsaved | None = None

    def __repr__(self) -> str:
        return f"State(look_at={self.look_at!r})"


class StoredCredentials:
    """The credentials of one stored login.

    `on_change` is called when there are other tokens, `on_trouble` with a sentence about what failed and was not
    raised; the last of them is `problem`.
    """

    def __init__(self, place: LoginLocation, *, random: Callable[[], float]) -> None:
        self.place = place
        self.on_change: Callable[[], object] = lambda: None
        self.on_trouble: Callable[[str], object] = lambda _: None
        self.problem: str | None = None
        self._clock, self._random = place.clock, random
        self._lock = Lock(place.store.locks, timeout=0.0)
        self._state: State | None = None
        self._refused: dict[str, str] = {}

    # -- what the engine asks ----------------------------------------------------------------------------------------

    def get_secret(self) -> Script[Secret]:
        """Return a secret fit to send now. Raises `CredentialsError`, or `TransportError` before a late refresh."""
        state = self._state
        if state is not None and self._clock.time() < state.look_at:
            return state.secret
        return (yield from self._attend())

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return what the login holds by now, else what a refresh gives; None where we may not refresh."""
        state = self._state or (yield from self._load())
        if state.secret.token != rejected.token:
            return state.secret
        found = yield from self._look(state)
        if found.secret.token != rejected.token and not has_ended(found.tokens, self._clock.time()):
            return found.secret
        if not self._may_refresh(found.tokens):
            return None
        try:
            return (yield from self._refresh(found.tokens, REJECTED)).secret
        except ReadOnlyError:
            return None

    # -- what people ask ---------------------------------------------------------------------------------------------

    def refresh_tokens(self) -> Script[Tokens]:
        """Refresh now, unless somebody else just did. Raises `CredentialsError`."""
        state = self._state or (yield from self._load())
        if self.place.mode is Mode.READONLY:
            raise errors.CredentialsError(
                f"{self.place.store.where} is used read-only", remedy=f"let {self.place.file.owner} refresh it"
            )
        try:
            return (yield from self._refresh(state.tokens, FORCED)).tokens
        except ReadOnlyError as error:
            raise errors.CredentialsError(f"the login cannot be refreshed: {error}") from None

    def store_tokens(self, tokens: Tokens) -> Script[None]:
        """Save *tokens* as this login. Raises `AccountMismatchError` where another account's are, `PersistenceError`."""
        yield from self.require_writable()
        yield from self._locked(lambda: self._store(tokens))
        self._hold(tokens)

    def require_writable(self) -> Script[None]:
        """Raise `PersistenceError` where this login cannot be saved: before a person logs in for nothing."""
        if self.place.mode is Mode.READONLY:
            raise errors.PersistenceError("the login is only read here, and not saved", remedy=self.place.remedy)
        yield Call(self.place.store.prepare)
        obstacle: str | None = yield Call(self.place.store.obstacle)
        if obstacle:
            raise errors.PersistenceError(f"the login cannot be saved: {obstacle}", remedy="mend the permissions")

    def _store(self, tokens: Tokens) -> Script[None]:
        place = self.place
        data: bytes | None = yield Call(place.store.read)
        if data is not None:
            there, data = yield from place.read()
            if not same_account(there, tokens):
                raise errors.AccountMismatchError(
                    f"{place.store.where} belongs to another account",
                    remedy="log out first, or keep both with: --account NAME",
                )
        yield Call(lambda: place.store.write(place.file.write(data, tokens)))

    def forget(self) -> Script[None]:
        """Delete the login."""
        yield from self._locked(self._delete)
        self._state = None

    def _delete(self) -> Script[None]:
        yield Call(self.place.store.delete)

    # -- looking after it --------------------------------------------------------------------------------------------

    def keep_fresh(self) -> Script[None]:
        """Refresh whenever it is due, until there is nothing to look after or the login is no good any more."""
        while (state := self._state) is not None and state.look_at != float("inf"):
            yield Sleep(max(state.look_at - self._clock.time(), 0.0))
            try:
                yield from self.get_secret()
            except errors.TransportError as error:
                self._note(error)
                yield Sleep(self._pause())
            except errors.CoatcheckError as error:
                self._note(error)
                return

    def _note(self, error: Exception) -> None:
        """Keep in mind what is not raised, and tell it once."""
        before, self.problem = self.problem, str(error)
        if self.problem != before:
            self.on_trouble(self.problem)

    def _attend(self) -> Script[Secret]:
        """Do what the tokens need now."""
        state, now = self._state, self._clock.time()
        if state is None:
            state = yield from self._load()
        elif state.unsaved is not None:
            state = yield from self._save(state, state.unsaved)
        elif need_of(state.tokens, mode=self.place.mode, now=now):
            state = yield from self._look(state)
        need = need_of(state.tokens, mode=self.place.mode, now=now)
        if need is RefreshNeed.TRY:
            state = yield from self._try(state)
        elif need is RefreshNeed.MUST:
            state = yield from self._must(state)
        if has_ended(state.tokens, self._clock.time()):
            raise self._ended(state.tokens)
        return state.secret

    def _load(self) -> Script[State]:
        tokens, _ = yield from self.place.read()
        return self._hold(tokens)

    def _look(self, state: State) -> Script[State]:
        """Read the login again and adopt what is newer; while ours holds, nothing that is wrong there matters."""
        try:
            found, _ = yield from self.place.read()
        except errors.CredentialsError:
            if has_ended(state.tokens, self._clock.time()):
                raise
            return self._postpone(state)
        if is_newer(found, state.tokens) and same_account(found, state.tokens):
            return self._hold(found)
        return self._postpone(state)

    def _save(self, state: State, unsaved: Unsaved) -> Script[State]:
        """Try again to save what could not be saved; it was reported when it happened."""
        try:
            kept = yield from self._locked(lambda: self.place.settle(state.tokens, unsaved))
        except errors.CredentialsError:
            return self._postpone(state, pause=self._pause())
        return self._hold(kept if not has_ended(kept, self._clock.time()) else state.tokens)

    def _try(self, state: State) -> Script[State]:
        """Refresh early: whatever goes wrong, the token still holds."""
        reason = SCHEDULED if state.tokens.expires_at is None else EXPIRING
        try:
            return (yield from self._refresh(state.tokens, reason))
        except ReadOnlyError:
            return self._postpone(state)
        except errors.PersistenceError:
            raise
        except (errors.CredentialsError, errors.TransportError) as error:
            self._note(error)
            return self._postpone(self._state or state, pause=self._pause())

    def _must(self, state: State) -> Script[State]:
        """Refresh now; as long as that fails, nothing is served."""
        state = self._postpone(state, pause=0.0)
        try:
            return (yield from self._refresh(state.tokens, EXPIRING))
        except ReadOnlyError as error:
            self._note(error)
            return self._postpone(state)

    # -- refreshing --------------------------------------------------------------------------------------------------

    def _refresh(self, held: Tokens, reason: str) -> Script[State]:
        """Return newer tokens than *held*: those that somebody has got meanwhile, or else our own."""
        token = held.refresh_token or ""
        if code := self._refused.get(fingerprint(token)):
            raise self._refusal(code)
        obstacle: str | None = yield Call(self.place.store.obstacle)
        if obstacle:
            raise ReadOnlyError(obstacle)
        try:
            return (yield from self._locked(lambda: self._refresh_locked(held, reason), lambda: self._newer(held)))
        except RefusedError as refused:
            winner = (yield from self._await_winner(held)) if refused.code == self.place.oauth.reused else None
            if winner is not None:
                return self._hold(winner)
            self._refused[fingerprint(token)] = refused.code
            raise self._refusal(refused.code) from None

    def _refresh_locked(self, held: Tokens, reason: str) -> Script[State]:
        unsaved = self._state.unsaved if self._state else None
        try:
            fresh = yield from self.place.refresh(held, reason=reason, unsaved=unsaved)
            self.problem = None
            return self._hold(fresh)
        except UnsavedTokenError as unkept:
            can_retry = type(unkept.error) is errors.PersistenceError
            self._hold(unkept.tokens, unsaved=Unsaved(unkept.tokens, unkept.replaces) if can_retry else None)
            self.problem = str(unkept.error)
            raise unkept.error from None

    def _newer(self, held: Tokens) -> State | None:
        """Return what somebody in this process got meanwhile."""
        state = self._state
        return state if state is not None and is_newer(state.tokens, held) else None

    def _locked(self, script: Callable[[], Script[T]], shortcut: Callable[[], T | None] = lambda: None) -> Script[T]:
        """Perform *script* under the login's lock, or return what *shortcut* finds while somebody else has it."""
        deadline = self._clock.monotonic() + LOCK_PATIENCE
        while (found := shortcut()) is None:
            try:
                result: T = yield Exclusive(self._lock, script(), is_whole=True)
            except TimeoutError as error:
                if self._clock.monotonic() >= deadline:
                    raise held_too_long(str(error)) from None
            except OSError as error:
                raise unlockable(error) from None
            else:
                return result
            yield Sleep(LOCK_EVERY * (0.5 + self._random()))
        return found

    def _await_winner(self, held: Tokens) -> Script[Tokens | None]:
        """Return what somebody else saves within five seconds, None if nobody does."""
        deadline = self._clock.monotonic() + WINNER_PATIENCE
        while self._clock.monotonic() < deadline:
            try:
                found, _ = yield from self.place.read()
            except errors.CredentialsError:
                return None
            if not same_account(found, held):
                raise other_account(self.place.store.where)
            if is_newer(found, held) and not has_ended(found, self._clock.time()):
                return found
            yield Sleep(WINNER_EVERY)
        return None

    # -- state -------------------------------------------------------------------------------------------------------

    def _hold(self, tokens: Tokens, *, unsaved: Unsaved | None = None) -> State:
        now = self._clock.time()
        secret = tokens.to_secret(self.place.store.where)
        look_at = next_look(tokens, now=now) if unsaved is None else now + self._pause()
        self._state = state = State(tokens=tokens, secret=secret, look_at=look_at, unsaved=unsaved)
        self.on_change()
        return state

    def _postpone(self, state: State, *, pause: float = LOOK_EVERY) -> State:
        held = self._state
        if held is not None and held.tokens is not state.tokens:
            return held  # another thread was faster
        look_at = next_look(state.tokens, now=self._clock.time(), pause=pause)
        self._state = state = msgspec.structs.replace(state, look_at=look_at)
        return state

    def _pause(self) -> float:
        return TRY_EVERY * (0.5 + self._random())

    def _may_refresh(self, tokens: Tokens) -> bool:
        return self.place.mode is not Mode.READONLY and bool(tokens.refresh_token)

    # -- errors ------------------------------------------------------------------------------------------------------

    def _refusal(self, code: str) -> errors.RefreshError:
        place = self.place
        words = {**OUR_REFUSALS, **place.oauth.refusals}.get(code, "is not accepted any more")
        return errors.RefreshError(
            f"{place.store.where} could not be refreshed: its refresh token {words}", reason=code, remedy=place.remedy
        )

    def _ended(self, tokens: Tokens) -> errors.NotLoggedInError:
        place = self.place
        owner = place.file.owner
        remedy = place.remedy if self._may_refresh(tokens) else f"any start of {owner} refreshes it; or {place.remedy}"
        return errors.NotLoggedInError(
            f"the login {place.store.where} expired at {moment(tokens.expires_at)}", remedy=remedy
        )


def held_too_long(path: str) -> errors.CredentialsError:
    """Return the error for a lock that somebody does not give back."""
    return errors.CredentialsError(
        f"another program has held {path} for {LOCK_PATIENCE:g} seconds", remedy=f"see who: fuser {path}"
    )


def unlockable(error: OSError) -> errors.CredentialsError:
    """Return the error for a lock file that cannot be made."""
    return errors.CredentialsError(
        f"the login cannot be locked: {error.filename}: {error.strerror}", remedy="mend the permissions of its folder"
    )


def moment(seconds: float | None) -> str:
    """Return a time as people read it."""
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d %H:%M UTC")
