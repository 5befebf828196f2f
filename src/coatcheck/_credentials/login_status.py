"""Login status without secrets: where the login is, whose it is, when it expires, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from .. import errors
from .._protocol.effects import Call, Exclusive, Lock, Script
from .._protocol.login_contract import Tokens
from .._values.value import JsonFields, Value
from .login_sources import LoginCredentials, Source
from .refresh_log import SPENT, RefreshRecord
from .refresh_policy import Mode, fingerprint, has_ended, is_newer, moment, same_account, to_datetime
from .stored_credentials import StoredCredentials


class LoginStatus(Value, frozen=True, kw_only=True):
    """A login as it is now. Never a token, never an address.

    `source` is its source and `origin` where that was chosen; `place` is its file, variable or keyring entry,
    `account` our name for it. `lock` is "held" while a program changes it. `problems` are sentences.
    """

    provider: str
    source: str
    origin: str
    is_logged_in: bool = False
    place: str | None = None
    account: str | None = None
    account_id: str | None = None
    plan: str | None = None
    expires_at: datetime | None = None
    last_refresh: datetime | None = None
    can_refresh: bool = False
    lock: str | None = None
    problems: tuple[str, ...] = ()

    _json: ClassVar[JsonFields] = {
        "provider": "whose login it is",
        "is_logged_in": "whether requests can be sent with it",
        "source": '"argument", "environment", "own", "shared", "shared-readonly", "keyring" or "chain"',
        "origin": "who chose that: a setting's place, or the default order",
        "place": "its file, variable or keyring entry",
        "account": "our name for it; null for logins that are not ours",
        "account_id": "the service's id of the account",
        "plan": "the plan",
        "expires_at": "when its access token ends",
        "last_refresh": "when it was last refreshed",
        "can_refresh": "whether we may refresh it",
        "lock": '"free", or "held: " and the lock file',
        "problems": "what is wrong with it, in sentences",
    }


def status_of(login: LoginCredentials) -> Script[LoginStatus]:
    """Return the status of the login in use. Sends a request only for tokens without account claims."""
    try:
        chosen = yield from login.find()
        if isinstance(chosen, StoredCredentials):
            return (yield from _of_stored(login, chosen))
        secret = yield from login.get_secret()
    except errors.CoatcheckError as error:
        return _status(login, problems=(_sentence(error),))
    return _status(
        login,
        is_logged_in=True,
        place=secret.source,
        account_id=secret.account_id,
        expires_at=to_datetime(secret.expires_at),
    )


def _of_stored(login: LoginCredentials, chosen: StoredCredentials) -> Script[LoginStatus]:
    place = chosen.place
    lock = yield from _lock_state(place.store.locks)
    try:
        tokens = yield from chosen.read()
        stored, _ = yield from place.read()
    except errors.CoatcheckError as error:
        return _status(login, place=place.store.where, lock=lock, problems=(_sentence(error),))
    note: RefreshRecord = yield Call(lambda: place.notes.find(fingerprint(tokens.refresh_token or "")))
    obstacle: str | None = yield Call(place.store.obstacle)
    is_open: bool = yield Call(lambda: is_open_to_others(place.store.where))
    now = place.clock.time()
    is_refused = bool(note.outcome)
    can_refresh = place.mode is not Mode.READONLY and bool(tokens.refresh_token) and not obstacle and not is_refused
    problems = list(_problems(chosen, tokens, note, obstacle=obstacle, is_open=is_open, can_refresh=can_refresh))
    if is_newer(tokens, stored) and same_account(tokens, stored):
        problems.append(f"its newest tokens are in {place.successors.folder} until {place.store.where} can be written")
    return _status(
        login,
        is_logged_in=can_refresh or not has_ended(tokens, now),
        place=place.store.where,
        account_id=tokens.account_id,
        plan=tokens.plan,
        expires_at=to_datetime(tokens.expires_at),
        last_refresh=to_datetime(tokens.last_refresh),
        can_refresh=can_refresh,
        lock=lock,
        problems=tuple(problems),
    )


def _problems(
    chosen: StoredCredentials,
    tokens: Tokens,
    note: RefreshRecord,
    *,
    obstacle: str | None,
    is_open: bool,
    can_refresh: bool,
) -> Iterator[str]:
    place = chosen.place
    if note.outcome:
        code = place.oauth.reused if note.outcome == SPENT else note.outcome
        yield f"its refresh token {place.oauth.refusals.get(code, 'is not accepted any more')}; {place.remedy}"
    elif note.presented:
        yield "its last refresh was not answered; it is tried again once the access token has expired"
    if obstacle:
        yield f"{obstacle}, so it is not refreshed here"
    if is_open:
        yield f"other people of this machine can read {place.store.where}; chmod 600 it"
    if not can_refresh and tokens.expires_at is not None:
        word = "ended" if has_ended(tokens, place.clock.time()) else "ends"
        yield f"it {word} at {moment(tokens.expires_at)}; any start of {place.file.owner} refreshes its own login"
    if chosen.problem:
        yield chosen.problem


def _lock_state(paths: tuple[str, ...]) -> Script[str | None]:
    """Return "held" or "free"; lock files that are not there are not made for it."""
    there: tuple[str, ...] = yield Call(lambda: tuple(path for path in paths if os.path.exists(path)))
    try:
        yield Exclusive(Lock(there, timeout=0.0), _nothing())
    except TimeoutError as error:
        return f"held: {error}"
    except (OSError, errors.UnsupportedError):
        return None
    return "free"


def _nothing() -> Script[None]:
    yield from ()


def is_open_to_others(path: str) -> bool:
    """Whether other users may read the file."""
    try:
        return os.name == "posix" and bool(os.stat(path).st_mode & 0o077)
    except OSError:
        return False


def _status(login: LoginCredentials, **fields: object) -> LoginStatus:
    account = login.choice.account or "default"
    return LoginStatus(
        provider=login.login.name,
        source=login.source.value,
        origin=login.choice.origin,
        account=account if login.source is Source.OWN else None,
        **fields,  # type: ignore[arg-type]
    )


def _sentence(error: errors.CoatcheckError) -> str:
    return f"{error}; {error.remedy}" if error.remedy else str(error)
