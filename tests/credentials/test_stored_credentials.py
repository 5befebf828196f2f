from __future__ import annotations

import json
import os

import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants

from coatcheck import errors
from coatcheck._credentials.stored_credentials import LOCK_PATIENCE
from coatcheck._files.locks import try_lock
from coatcheck.cloud.faults import Body, Refuse, Status
from coatcheck.cloud.issued_tokens import Account, TokenBook

# -- freshness ---------------------------------------------------------------------------------------------------------


def test_a_fresh_secret_costs_nothing(logins: LoginEnvironment) -> None:
    """Once it was read, a secret that is not due yields no effect: no call, no stat, no lock."""
    logins.put(logins.issue())
    login = logins.login()
    first = logins.secret(login)
    script = login.get_secret()
    with pytest.raises(StopIteration) as stopped:
        next(script)

    assert first is stopped.value.value


@pytest.mark.parametrize(
    ("source", "ends_in", "refreshes"),
    [
        ("own", 310, 0),
        ("own", 300, 1),
        ("own", 290, 1),
        ("own", 61, 1),
        ("own", 59, 1),
        ("own", -10, 1),
        ("shared", 310, 0),
        ("shared", 290, 0),
        ("shared", 62, 0),
        ("shared", 60, 1),
        ("shared", -10, 1),
        ("shared-readonly", 290, 0),
        ("shared-readonly", 30, 0),
    ],
)
@both_variants
def test_each_kind_of_login_has_its_windows(
    logins: LoginEnvironment, source: str, ends_in: float, refreshes: int
) -> None:
    """An own login is refreshed from 5 minutes before its end, a shared one from 60 seconds, a read-only one never."""
    logins.put(logins.issue(ends_in=ends_in), logins.own if source == "own" else logins.shared)
    secret = logins.secret(logins.login(source))

    assert (refreshes, True) == (logins.refreshes, logins.accepts(secret))


@pytest.mark.parametrize(("days", "refreshes"), [(7.9, 0), (8.1, 1), (None, 0)])
@both_variants
def test_a_token_without_expiry_is_refreshed_after_eight_days(
    logins: LoginEnvironment, days: float | None, refreshes: int
) -> None:
    """The 8-day rule of docs/reference/protocols/codex-wham.md, 6.3, by `last_refresh`; without one it is never due."""
    import msgspec

    last = None if days is None else logins.clock.time() - days * 86_400
    tokens = msgspec.structs.replace(logins.issue(), access_token="opaque", last_refresh=last)
    logins.put(tokens)
    if last is None:
        document = json.loads(logins.shared.read_bytes())
        del document["last_refresh"]
        logins.shared.write_text(json.dumps(document))
    logins.secret(logins.login())

    assert refreshes == logins.refreshes


@both_variants
def test_a_shared_login_is_read_again_before_it_is_refreshed(logins: LoginEnvironment) -> None:
    """From 5 minutes before the end the file is read again: newer tokens in it are used, and no request is sent."""
    logins.put(logins.issue(ends_in=400))
    login = logins.login()
    logins.secret(login)
    logins.clock.advance(150)
    newer = logins.put(logins.issue(ends_in=3600))

    assert (newer.access_token, 0) == (logins.secret(login).token, logins.refreshes)


@both_variants
def test_an_early_refresh_that_fails_keeps_the_token_and_is_tried_again(logins: LoginEnvironment) -> None:
    """An early refresh is optional: the valid token is used, and the next try follows a minute later with jitter."""
    held = logins.put(logins.issue(ends_in=290), logins.own)
    logins.cloud.faults += [Status(503, on="token"), Status(503, on="token")]
    login = logins.login()
    served = [logins.secret(login).token]
    logins.clock.advance(20)
    served.append(logins.secret(login).token)
    asked = [logins.refreshes]
    logins.clock.advance(40)
    served.append(logins.secret(login).token)
    asked.append(logins.refreshes)
    logins.clock.advance(60)
    fresh = logins.secret(login)

    assert [held.access_token] * 3 == served
    assert [1, 2, 3] == [*asked, logins.refreshes]
    assert logins.accepts(fresh)
    assert fresh.token != held.access_token


@both_variants
def test_a_refresh_that_fails_after_the_end_is_an_error(logins: LoginEnvironment) -> None:
    """Once the access token has expired, an error of the login service is a transport error, not a bad login."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(Status(503, on="token"))

    with pytest.raises(errors.TransportError, match=r"could not be refreshed.*503") as caught:
        logins.secret(logins.login())

    assert caught.value.request_sent is False


def test_an_empty_refresh_response_is_accepted(logins: LoginEnvironment) -> None:
    """``{}`` sets `last_refresh`; see docs/reference/protocols/codex-wham.md, 6.4."""
    logins.put(logins.issue(ends_in=50))
    logins.cloud.faults.append(Body(b"{}", on="token", times=None))
    login = logins.login()
    secrets = [logins.secret(login).token for _ in range(5)]

    assert (1, 1) == (len(set(secrets)), logins.refreshes)
    assert logins.clock.time() == pytest.approx(logins.read().last_refresh)


# -- the file ----------------------------------------------------------------------------------------------------------


@both_variants
def test_writing_replaces_only_the_tokens(logins: LoginEnvironment) -> None:
    """Unknown keys and their order stay, the mode is 0600, `last_refresh` is set, the account is the same."""
    logins.put(logins.issue(ends_in=10), login_owner_id="who", future={"b": 1.50, "a": [1e400, 0.1]})
    text = logins.shared.read_text().replace("Infinity", "123456789012345678901234567890.10")
    logins.shared.write_text(text)
    before = json.loads(text)
    secret = logins.secret(logins.login())
    after = json.loads(logins.shared.read_bytes())

    assert secret.token == after["tokens"]["access_token"]
    assert b"123456789012345678901234567890.10" in logins.shared.read_bytes()
    assert list(before) == list(after)
    assert (before["login_owner_id"], before["future"]) == (after["login_owner_id"], after["future"])
    assert before["tokens"]["account_id"] == after["tokens"]["account_id"]
    assert before["tokens"]["refresh_token"] != after["tokens"]["refresh_token"]
    assert before["last_refresh"] < after["last_refresh"]
    assert 0o600 == logins.shared.stat().st_mode & 0o777
    assert ["auth.json", "auth.json.lock", "auth.lock"] == sorted(os.listdir(logins.shared.parent))


def test_a_symbolic_link_stays_one(logins: LoginEnvironment) -> None:
    """The target is replaced, in its own folder."""
    target = logins.folder / "elsewhere" / "login.json"
    logins.put(logins.issue(ends_in=10), target)
    logins.shared.symlink_to(target)
    secret = logins.secret(logins.login())

    assert logins.shared.is_symlink()
    assert secret.token == logins.read(target).access_token
    assert ["login.json"] == os.listdir(target.parent)


@both_variants
def test_a_read_only_file_is_used_and_never_refreshed(logins: LoginEnvironment) -> None:
    """Its refresh token is not spent, since the result could not be saved; the error gives the expiry."""
    logins.put(logins.issue(ends_in=50))
    logins.shared.chmod(0o400)
    login = logins.login()
    assert logins.accepts(logins.secret(login))
    logins.clock.advance(60)

    with pytest.raises(errors.NotLoggedInError, match="expired at 20"):
        logins.secret(login)

    assert 0 == logins.refreshes


@both_variants
def test_a_read_only_source_names_who_can_refresh(logins: LoginEnvironment) -> None:
    """`shared-readonly` never refreshes; its error gives the expiry, and names the command that refreshes."""
    logins.put(logins.issue(ends_in=-5))

    with pytest.raises(errors.NotLoggedInError, match="expired at") as caught:
        logins.secret(logins.login("shared-readonly"))

    assert "any start of the Codex CLI refreshes it" in (caught.value.remedy or "")
    assert 0 == logins.refreshes


@both_variants
def test_another_accounts_file_is_never_written(logins: LoginEnvironment) -> None:
    """The file changed to another account while this one expired: an error, and the file is unchanged."""
    logins.put(logins.issue(ends_in=400))
    login = logins.login()
    logins.secret(login)
    other = TokenBook(account=Account(account_id="acc-2"), time=logins.clock.time)
    logins.put(logins.issue(book=other))
    before = logins.shared.read_bytes()
    logins.clock.advance(390)

    with pytest.raises(errors.AccountMismatchError, match="another account"):
        logins.secret(login)

    assert (0, before) == (logins.refreshes, logins.shared.read_bytes())


def swap_while_refreshing(logins: LoginEnvironment, write: object) -> None:
    """Run *write* while the login service handles the refresh."""
    handle = logins.cloud.handle

    def meanwhile(request: object) -> object:
        answer = handle(request)
        if request.path == "/oauth/token":
            write()
        return answer

    logins.cloud.handle = meanwhile


@both_variants
def test_an_account_that_is_swapped_under_a_refresh_keeps_its_file(logins: LoginEnvironment) -> None:
    """Neither account's tokens are written to the other's file; ours stay usable in memory."""
    logins.put(logins.issue(ends_in=10))
    other = TokenBook(account=Account(account_id="acc-2"), time=logins.clock.time)
    theirs = logins.issue(book=other)
    swap_while_refreshing(logins, lambda: logins.put(theirs))
    login = logins.login()

    with pytest.raises(errors.AccountMismatchError):
        logins.secret(login)

    assert theirs.access_token == logins.read().access_token
    assert logins.accepts(logins.secret(login))
    assert 1 == logins.refreshes


@both_variants
def test_a_newer_login_is_not_overwritten(logins: LoginEnvironment) -> None:
    """A program without locks logged in again: its newer login is used."""
    logins.put(logins.issue(ends_in=10))
    newer = logins.issue()
    swap_while_refreshing(logins, lambda: logins.put(newer))

    assert newer.access_token == logins.secret(logins.login()).token == logins.read().access_token


@both_variants
def test_a_removed_login_is_not_restored(logins: LoginEnvironment) -> None:
    """After a logout during the refresh no file is written, the tokens stay in memory, and it is reported."""
    logins.put(logins.issue(ends_in=10))
    swap_while_refreshing(logins, logins.shared.unlink)
    login = logins.login()

    with pytest.raises(errors.PersistenceError, match="was not saved"):
        logins.secret(login)

    assert logins.accepts(logins.secret(login))
    assert not logins.shared.exists()


@pytest.mark.parametrize("torn", [b"", b'{"tokens": {"acc'])
@both_variants
def test_a_torn_file_is_read_again(logins: LoginEnvironment, torn: bytes) -> None:
    """The older official client truncates in place: a file that is whole within two seconds was never broken."""
    logins.put(logins.issue())
    whole, sleep, asleep = logins.shared.read_bytes(), logins.clock.sleep, logins.clock.asleep
    logins.shared.write_bytes(torn)

    def repair(seconds: float) -> None:
        logins.shared.write_bytes(whole)
        sleep(seconds)

    async def arepair(seconds: float) -> None:
        logins.shared.write_bytes(whole)
        await asleep(seconds)

    logins.clock.sleep, logins.clock.asleep = repair, arepair

    assert logins.accepts(logins.secret(logins.login()))


@both_variants
def test_a_file_that_stays_torn_is_one_clear_error(logins: LoginEnvironment) -> None:
    """After two seconds it is broken."""
    logins.shared.write_bytes(b"{")
    started = logins.clock.monotonic()

    with pytest.raises(errors.NotLoggedInError, match="is not JSON"):
        logins.secret(logins.login())

    assert 2.0 == pytest.approx(logins.clock.monotonic() - started, abs=0.2)


# -- single flight -----------------------------------------------------------------------------------------------------


@both_variants
def test_whoever_gets_the_lock_second_adopts(logins: LoginEnvironment) -> None:
    """Two processes with one expiring login: one refresh, one token."""
    logins.put(logins.issue(ends_in=10))
    one, two = logins.login(), logins.login()

    assert logins.secret(one).token == logins.secret(two).token
    assert 1 == logins.refreshes


@both_variants
def test_a_lock_that_is_never_released_is_a_clear_error(logins: LoginEnvironment) -> None:
    """It is polled for a limited time, then named."""
    logins.put(logins.issue(ends_in=10))
    held = try_lock(str(logins.shared.parent / "auth.lock"))
    assert held is not None
    started = logins.clock.monotonic()
    try:
        with pytest.raises(errors.CredentialsError, match=r"held .*auth\.lock") as caught:
            logins.secret(logins.login())
    finally:
        os.close(held)

    assert "fuser" in (caught.value.remedy or "")
    assert LOCK_PATIENCE <= logins.clock.monotonic() - started < LOCK_PATIENCE + 1
    assert 0 == logins.refreshes


def test_both_of_the_official_locks_are_held_around_the_call(logins: LoginEnvironment) -> None:
    """`auth.lock` and `auth.json.lock`, while the login service works; and neither afterwards."""
    logins.put(logins.issue(ends_in=10))
    paths = [str(logins.shared.parent / name) for name in ("auth.lock", "auth.json.lock")]
    seen = []
    swap_while_refreshing(logins, lambda: seen.extend(try_lock(path) for path in paths))
    logins.secret(logins.login())
    free = [try_lock(path) for path in paths]
    for descriptor in free:
        os.close(descriptor)

    assert [None, None] == seen
    assert all(free)


# -- 401 ---------------------------------------------------------------------------------------------------------------


@both_variants
def test_a_rejected_secret_is_replaced_by_what_the_file_has(logins: LoginEnvironment) -> None:
    """After a new login no refresh is needed."""
    logins.put(logins.issue())
    login = logins.login()
    rejected = logins.secret(login)
    newer = logins.put(logins.issue())
    renewed = logins.do(login.renew_secret(rejected))

    assert (newer.access_token, 0) == (renewed.token, logins.refreshes)


@both_variants
def test_a_rejected_secret_is_refreshed_once(logins: LoginEnvironment) -> None:
    """One refresh serves all requests that were answered with 401."""
    logins.put(logins.issue())
    login = logins.login()
    rejected = logins.secret(login)
    renewed = {logins.do(login.renew_secret(rejected)).token for _ in range(5)}

    assert (1, 1) == (len(renewed), logins.refreshes)
    assert rejected.token not in renewed


@both_variants
def test_a_rejected_secret_that_may_not_be_refreshed_stays_rejected(logins: LoginEnvironment) -> None:
    """Read-only: None, and the caller gets the service's refusal."""
    logins.put(logins.issue())
    login = logins.login("shared-readonly")

    assert None is logins.do(login.renew_secret(logins.secret(login)))


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "reason", "words"),
    [
        ("expired", "refresh_token_expired", "has expired"),
        ("used", "refresh_token_reused", "was already used"),
        ("invalidated", "refresh_token_invalidated", "was revoked"),
    ],
)
@both_variants
def test_a_permanent_refusal_is_recorded(logins: LoginEnvironment, fate: str, reason: str, words: str) -> None:
    """It has reason and remedy, and no process presents that token again."""
    held = logins.put(logins.issue(ends_in=-10))
    logins.cloud.book.end(held.refresh_token, fate)
    login = logins.login()
    seen = []
    for each in (login, login, logins.login()):
        with pytest.raises(errors.RefreshError, match=words) as caught:
            logins.secret(each)
        seen.append((caught.value.reason, "coatcheck login codex" in (caught.value.remedy or "")))

    assert [(reason, True)] * 3 == seen
    assert 1 == logins.refreshes


def test_any_401_of_the_login_service_is_for_good(logins: LoginEnvironment) -> None:
    """With or without one of the codes (docs/reference/protocols/codex-wham.md, 6.4)."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(Status(401, on="token"))
    login = logins.login()
    for _ in range(2):
        with pytest.raises(errors.RefreshError, match="not accepted any more"):
            logins.secret(login)

    assert 1 == logins.refreshes


@both_variants
def test_a_token_that_another_program_just_used_is_waited_for(logins: LoginEnvironment) -> None:
    """After `refresh_token_reused` the file is read for up to 5 s, since the other program may be saving its tokens."""
    held = logins.put(logins.issue(ends_in=10))
    winner = logins.cloud.book.rotate(held.refresh_token)
    waits = []
    sleep, asleep = logins.clock.sleep, logins.clock.asleep

    def note(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 10:
            from tests.credentials.login_environment import tokens_of

            logins.put(tokens_of(winner, logins.clock.time(), "acc-1"))

    def watched(seconds: float) -> None:
        note(seconds)
        sleep(seconds)

    async def awatched(seconds: float) -> None:
        note(seconds)
        await asleep(seconds)

    logins.clock.sleep, logins.clock.asleep = watched, awatched

    assert winner.access_token == logins.secret(logins.login()).token
    assert 1 == logins.refreshes


@pytest.mark.parametrize("fault", [Refuse(on="token"), Status(429, on="token"), Status(503, on="token")])
@both_variants
def test_an_unaccepted_token_may_be_presented_again(logins: LoginEnvironment, fault: object) -> None:
    """A failed connection and an unusable response spend nothing; the token may be presented again."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults += [fault] * 3
    login = logins.login()
    for _ in range(3):
        with pytest.raises(errors.TransportError) as caught:
            logins.secret(login)
        assert caught.value.request_sent is False

    assert logins.accepts(logins.secret(login))
