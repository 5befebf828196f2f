"""One login in use: kept fresh, refreshed once for all that share it, saved where others find it.

Invariants:

- a fresh secret costs nothing: no effect is yielded while nothing is due;
- several first calls read the login once;
- single flight: while one caller holds the lock, the others check whether a refresh in this process has ended, and the next
  one to get the lock checks whether one in another process has;
- an access token that still works is returned although a refresh fails, which is tried again after a pause with
  jitter; an error is raised once the token has expired, or when fresh tokens could not be saved anywhere;
- a refresh token that was refused for good is not presented again; an unanswered one is no refusal;
- the state is one value, replaced at once: threads see the old one or the new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from .. import errors
from .._protocol.effects import Call, Exclusive, Lock, Script, Sleep
from .._protocol.login_contract import Secret, Tokens
from .oauth_requests import RefusedError
from .refresh import REJECTED, LoginLocation, NoSpaceError, Settled, Unsaved, UnsavedTokenError, other_account
from .refresh_policy import (
    CHECK_EVERY,
    TRY_EVERY,
    Mode,
    RefreshNeed,
    fingerprint,
    has_ended,
    is_newer,
    moment,
    need_of,
    next_check,
    same_account,
)
from .saving import delete_login, save_login

T = TypeVar("T")

# The longest that a lock is waited for: two requests of 15 s and their file work (seconds).
LOCK_PATIENCE = 40.0
# How often a lock that is held is tried again (seconds), before jitter; a refresh takes tenths of a second.
LOCK_EVERY = 0.05
# After `refresh_token_reused` another program may be about to save what it got
# (docs/reference/protocols/codex-wham.md, 6.6) (seconds).
WINNER_PATIENCE, WINNER_EVERY = 5.0, 0.2

# The official client's words for the reason of a refresh (6.4).
EXPIRING, SCHEDULED, FORCED = "proactive_expiry", "scheduled", "forced"

# Why a refresh token is not presented, in words; the codes of the login service are declared by the login.
OUR_REFUSALS = {"missing": "is missing"}


class ReadOnlyError(Exception):
    """The login cannot be written, so it must not be refreshed."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, the secret made of them, when to check them again, and what is not saved in its place yet."""

    tokens: Tokens
    secret: Secret
    check_at: float
    unsaved: Unsaved | None = None

    def __repr__(self) -> str:
        return f"State(check_at={self.check_at!r})"


class StoredCredentials:
    """The credentials of one stored login.

    `on_change` is called when there are other tokens, `on_trouble` with a sentence about an error that was not raised;
    the last of them is `problem`.
    """

    def __init__(self, place: LoginLocation, *, random: Callable[[], float]) -> None:
        self.place = place
        self.on_change: Callable[[], object] = lambda: None
        self.on_trouble: Callable[[str], object] = lambda _: None
        self.problem: str | None = None
        self._clock, self._random = place.clock, random
        self._lock = Lock(place.store.locks, timeout=0.0)
        self._state: State | None = None
        self._reading = threading.Lock()
        self._first: Tokens | None = None  # read, but not yet in `_state`
        self._refused: dict[str, str] = {}
        self._failure: errors.TransportError | None = None

    # -- for the engine ----------------------------------------------------------------------------------------------

    def get_secret(self) -> Script[Secret]:
        """Return a secret to send now. Raises `CredentialsError`, or `TransportError` once the access token has expired."""
        state = self._state
        if state is not None and self._clock.time() < state.check_at:
            return state.secret
        return (yield from self._current_secret())

    def renew_secret(self, rejected: Secret) -> Script[Secret | None]:
        """Return the secret that the login holds by now, else refresh it; None where we may not refresh."""
        before = self._failure
        state = self._state or (yield from self._load())
        if state.secret.token != rejected.token:
            return state.secret
        found = yield from self._read_again(state)
        if found.secret.token != rejected.token and not has_ended(found.tokens, self._clock.time()):
            return found.secret
        if not self._may_refresh(found.tokens):
            return None
        try:
            return (yield from self._refresh(found.tokens, REJECTED, before)).secret
        except ReadOnlyError:
            return None
        except NoSpaceError as full:
            raise full.error from None

    # -- for users ---------------------------------------------------------------------------------------------------

    def refresh_tokens(self) -> Script[Tokens]:
        """Refresh now, unless another caller just did. Raises `CredentialsError`."""
        before = self._failure
        state = self._state or (yield from self._load())
        if self.place.mode is Mode.READONLY:
            raise errors.CredentialsError(
                f"{self.place.store.where} is used read-only", remedy=f"let {self.place.file.owner} refresh it"
            )
        try:
            return (yield from self._refresh(state.tokens, FORCED, before)).tokens
        except ReadOnlyError as error:
            raise errors.CredentialsError(f"the login cannot be refreshed: {error}") from None
        except NoSpaceError as full:
            raise full.error from None

    def store_tokens(self, tokens: Tokens) -> Script[None]:
        """Save *tokens* as this login. Raises `AccountMismatchError` where another account's are, `PersistenceError`."""
        yield from self.require_writable()
        yield from self._locked(lambda: save_login(self.place, tokens))
        self._hold(tokens)

    def require_writable(self) -> Script[None]:
        """Raise `PersistenceError` where this login cannot be saved, before a person logs in."""
        if self.place.mode is Mode.READONLY:
            raise errors.PersistenceError("the login is only read here, and not saved", remedy=self.place.remedy)
        yield Call(self.place.store.prepare)
        obstacle: str | None = yield Call(self.place.store.obstacle)
        if obstacle:
            raise errors.PersistenceError(f"the login cannot be saved: {obstacle}", remedy="fix the permissions")

    def read(self) -> Script[Tokens]:
        """Return the newest tokens of this login. Raises `CredentialsError`.

        Tokens that a process could save only in the second place are saved in their own place first, if that works.
        """
        stored, _ = yield from self.place.read()
        newest = yield from self.place.find_successor(stored)
        if newest is None:
            return stored
        if self.place.mode is Mode.READONLY:
            return newest
        try:
            settled: Settled = yield Exclusive(self._lock, self.place.settle(stored, None), is_whole=True)
        except errors.AccountMismatchError:
            raise
        except (OSError, errors.CredentialsError):  # TimeoutError: the lock is held
            return newest
        return settled.tokens

    def forget(self) -> Script[None]:
        """Delete the login."""
        yield from self._locked(lambda: delete_login(self.place))
        self._state = self._first = None

    # -- keeping it fresh --------------------------------------------------------------------------------------------

    def keep_fresh(self) -> Script[None]:
        """Refresh whenever it is due, until there is nothing to refresh or the login does not work any more."""
        while (state := self._state) is not None and state.check_at != float("inf"):
            yield Sleep(max(state.check_at - self._clock.time(), 0.0))
            try:
                yield from self.get_secret()
            except errors.TransportError as error:
                self._note(error)
                yield Sleep(self._pause())
            except errors.CoatcheckError as error:
                self._note(error)
                return

    def _note(self, error: Exception | str) -> None:
        """Remember an error that is not raised, and report it once."""
        before, self.problem = self.problem, str(error)
        if self.problem != before:
            self.on_trouble(self.problem)

    def _current_secret(self) -> Script[Secret]:
        """Do what the tokens need now."""
        state, now, before = self._state, self._clock.time(), self._failure
        if state is None:
            state = yield from self._load()
        elif state.unsaved is not None:
            state = yield from self._save(state, state.unsaved)
        elif need_of(state.tokens, mode=self.place.mode, now=now):
            state = yield from self._read_again(state)
        need = need_of(state.tokens, mode=self.place.mode, now=now)
        if need >= RefreshNeed.TRY:
            is_late = need is RefreshNeed.MUST
            is_scheduled = state.tokens.expires_at is None
            state = yield from self._try(state, SCHEDULED if is_scheduled else EXPIRING, before, is_late=is_late)
        if has_ended(state.tokens, self._clock.time()):
            raise self._ended(state.tokens)
        return state.secret

    def _load(self) -> Script[State]:
        """Return the state of this login, read once if several threads or tasks need it at the same time."""
        tokens: Tokens | None = yield Call(self._read_once)
        if tokens is None:
            tokens = yield from self.read()
        return self._state or self._hold(tokens)

    def _read_once(self) -> Tokens | None:
        """Return what the first caller read, None where reading the file once is not enough. Blocks."""
        with self._reading:
            if self._state is not None:
                return self._state.tokens
            self._first = self._first or self.place.read_plain()
            return self._first

    def _read_again(self, state: State) -> Script[State]:
        """Read the login again and adopt newer tokens; while ours work, errors of reading do not matter."""
        try:
            found = yield from self.read()
        except errors.CredentialsError:
            if has_ended(state.tokens, self._clock.time()):
                raise
            return self._postpone(state)
        if is_newer(found, state.tokens) and same_account(found, state.tokens):
            return self._hold(found)
        return self._postpone(state)

    def _save(self, state: State, unsaved: Unsaved) -> Script[State]:
        """Try again to save tokens in their place; that they were not was reported when it happened."""
        try:
            settled = yield from self._locked(lambda: self.place.settle(state.tokens, unsaved))
        except errors.CredentialsError:
            return self._postpone(state, pause=self._pause())
        saved, self.problem = settled.tokens, None
        return self._hold(saved if not has_ended(saved, self._clock.time()) else state.tokens)

    def _try(self, state: State, reason: str, before: errors.TransportError | None, *, is_late: bool) -> Script[State]:
        """Refresh. While the access token works, it is returned in spite of errors; later, they are raised."""
        if is_late:
            state = self._postpone(state, pause=0.0)
        try:
            return (yield from self._refresh(state.tokens, reason, before))
        except ReadOnlyError as error:
            if is_late:
                self._note(error)
            return self._postpone(state)
        except NoSpaceError as full:
            return self._usable_after(state, full.error)
        except errors.AccountMismatchError as error:
            if is_late:
                raise
            return self._usable_after(state, error)
        except (errors.CredentialsError, errors.TransportError) as error:
            return self._usable_after(state, error)

    def _usable_after(self, state: State, error: errors.CoatcheckError) -> State:
        """Return what we can still use after a refresh failed; raises *error* if that is nothing.

        A refresh whose tokens could not be saved is an error that the caller must see, though they work.
        """
        newer = self._newer(state.tokens)
        if newer is not None and not isinstance(error, errors.CredentialsError):
            return newer
        if newer is not None or has_ended(state.tokens, self._clock.time()):
            raise error
        self._note(error)
        return self._postpone(self._state or state, pause=self._pause())

    # -- refreshing --------------------------------------------------------------------------------------------------

    def _refresh(self, held: Tokens, reason: str, before: errors.TransportError | None) -> Script[State]:
        """Return newer tokens than *held*: those that another caller got meanwhile, or fresh ones.

        *before* is the last failure when the call began: a later one is this call's as well.
        """
        token = held.refresh_token or ""
        if code := self._refused.get(fingerprint(token)):
            raise self._refusal(code)
        obstacle: str | None = yield Call(self.place.store.obstacle)
        if obstacle:
            raise ReadOnlyError(obstacle)
        try:
            return (yield from self._single_flight(held, reason, before))
        except RefusedError as refused:
            winner = (yield from self._await_winner(held)) if refused.code == self.place.oauth.reused else None
            if winner is not None:
                return self._hold(winner)
            self._refused[fingerprint(token)] = refused.code
            raise self._refusal(refused.code) from None
        except errors.TransportError:
            renewed = yield from self._renewed(held)  # another program may have been answered
            if renewed is None:
                raise
            return self._hold(renewed)

    def _single_flight(self, held: Tokens, reason: str, before: errors.TransportError | None) -> Script[State]:
        """Refresh under the lock, or share the result of one that is under way in this process."""

        def shared() -> State | None:
            failure = self._failure
            if failure is not None and failure is not before:
                raise type(failure)(str(failure), request_sent=False, remedy=failure.remedy)
            return self._newer(held)

        return (yield from self._locked(lambda: self._refresh_locked(held, reason), shared))

    def _refresh_locked(self, held: Tokens, reason: str) -> Script[State]:
        unsaved = self._state.unsaved if self._state else None
        try:
            fresh = yield from self.place.refresh(held, reason=reason, unsaved=unsaved)
        except errors.TransportError as error:
            self._failure = error
            raise
        except UnsavedTokenError as unkept:
            return self._hold_unsaved(unkept)
        self.problem = None
        return self._hold(fresh)

    def _hold_unsaved(self, unkept: UnsavedTokenError) -> State:
        """Use tokens that are not in their place. Raises the error unless the second place has them."""
        can_retry = type(unkept.error) is errors.PersistenceError
        unsaved = Unsaved(unkept.tokens, unkept.replaces) if can_retry else None
        state = self._hold(unkept.tokens, unsaved=unsaved)
        if unkept.is_saved:
            self._note(f"{unkept.error}; it is kept in {self.place.successors.folder} until that works")
            return state
        self.problem = str(unkept.error)
        raise unkept.error from None

    def _newer(self, held: Tokens) -> State | None:
        """Return what a refresh in this process got meanwhile."""
        state = self._state
        return state if state is not None and is_newer(state.tokens, held) else None

    def _locked(self, script: Callable[[], Script[T]], shortcut: Callable[[], T | None] = lambda: None) -> Script[T]:
        """Perform *script* under the login's lock, or return what *shortcut* returns while another caller holds it."""
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
        """Return what another program saves within five seconds, None if none does."""
        deadline = self._clock.monotonic() + WINNER_PATIENCE
        while self._clock.monotonic() < deadline:
            try:
                found = yield from self.read()
            except errors.CredentialsError:
                return None
            if not same_account(found, held):
                raise other_account(self.place.store.where)
            if is_newer(found, held) and not has_ended(found, self._clock.time()):
                return found
            yield Sleep(WINNER_EVERY)
        return None

    def _renewed(self, held: Tokens) -> Script[Tokens | None]:
        """Return usable tokens that another program has saved, None if there are none."""
        try:
            found = yield from self.read()
        except errors.CredentialsError:
            return None
        is_usable = same_account(found, held) and not has_ended(found, self._clock.time())
        return found if is_usable and is_newer(found, held) else None

    # -- state -------------------------------------------------------------------------------------------------------

    def _hold(self, tokens: Tokens, *, unsaved: Unsaved | None = None) -> State:
        now = self._clock.time()
        secret = tokens.to_secret(self.place.store.where)
        check_at = next_check(tokens, now=now) if unsaved is None else now + self._pause()
        state = State(tokens=tokens, secret=secret, check_at=check_at, unsaved=unsaved)
        self._state, self._first = state, None
        self.on_change()
        return state

    def _postpone(self, state: State, *, pause: float = CHECK_EVERY) -> State:
        held = self._state
        if held is not None and held.tokens is not state.tokens:
            return held  # another thread was faster
        now = self._clock.time()
        check_at = next_check(state.tokens, now=now, pause=pause) if state.unsaved is None else now + pause
        self._state = state = msgspec.structs.replace(state, check_at=check_at)
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
    """Return the error for a lock that is not released in time."""
    return errors.CredentialsError(
        f"another program has held {path} for {LOCK_PATIENCE:g} seconds", remedy=f"see who: fuser {path}"
    )


def unlockable(error: OSError) -> errors.CredentialsError:
    """Return the error for a lock file that cannot be created."""
    return errors.CredentialsError(
        f"the login cannot be locked: {error.filename}: {error.strerror}", remedy="fix the permissions of its folder"
    )
