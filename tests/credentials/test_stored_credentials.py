from __future__ import annotations

import json
import os

import pytest
from tests.credentials.household import Household

from coatcheck import errors
from coatcheck._credentials.stored_credentials import LOCK_PATIENCE
from coatcheck._files.locks import try_lock
from coatcheck.cloud.faults import Body, Refuse, Status
from coatcheck.cloud.issued_tokens import Account, TokenBook

# -- freshness ---------------------------------------------------------------------------------------------------------


def test_a_fresh_secret_costs_nothing(house: Household) -> None:
    """Once it was read, a secret that is not due yields no effect: no call, no stat, no lock."""
    house.put(house.issue())
    login = house.login()
    first = house.secret(login)
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
def test_each_kind_of_login_has_its_windows(household: Household, source: str, ends_in: float, refreshes: int) -> None:
    """An own login is refreshed from 5 minutes before its end, a shared one from 60 seconds, a read-only one never."""
    house = household
    house.put(house.issue(ends_in=ends_in), house.own if source == "own" else house.shared)
    secret = house.secret(house.login(source))

    assert (refreshes, True) == (house.refreshes, house.accepts(secret))


@pytest.mark.parametrize(("days", "refreshes"), [(7.9, 0), (8.1, 1), (None, 0)])
def test_a_token_that_does_not_say_its_end_is_refreshed_after_eight_days(
    household: Household, days: float | None, refreshes: int
) -> None:
    """The 8-day rule of docs/reference/protocols/codex-wham.md, 6.3, by `last_refresh`; without one it is never due."""
    import msgspec

    house = household
    last = None if days is None else house.clock.time() - days * 86_400
    tokens = msgspec.structs.replace(house.issue(), access_token="opaque", last_refresh=last)
    house.put(tokens)
    if last is None:
        document = json.loads(house.shared.read_bytes())
        del document["last_refresh"]
        house.shared.write_text(json.dumps(document))
    house.secret(house.login())

    assert refreshes == house.refreshes


def test_a_shared_login_is_read_again_before_it_is_refreshed(household: Household) -> None:
    """From 5 minutes before the end the file is looked at: what its owner put there is adopted, nothing is asked."""
    house = household
    house.put(house.issue(ends_in=400))
    login = house.login()
    house.secret(login)
    house.clock.advance(150)
    newer = house.put(house.issue(ends_in=3600))

    assert (newer.access_token, 0) == (house.secret(login).token, house.refreshes)


def test_an_early_refresh_that_fails_keeps_the_token_and_is_tried_again(household: Household) -> None:
    """Early is advisory: the valid token is served, the next try comes a jittered minute later."""
    house = household
    held = house.put(house.issue(ends_in=290), house.own)
    house.cloud.faults += [Status(503, on="token"), Status(503, on="token")]
    login = house.login()
    served = [house.secret(login).token]
    house.clock.advance(20)
    served.append(house.secret(login).token)
    asked = [house.refreshes]
    house.clock.advance(40)
    served.append(house.secret(login).token)
    asked.append(house.refreshes)
    house.clock.advance(60)
    fresh = house.secret(login)

    assert [held.access_token] * 3 == served
    assert [1, 2, 3] == [*asked, house.refreshes]
    assert house.accepts(fresh)
    assert fresh.token != held.access_token


def test_a_refresh_that_fails_after_the_end_is_an_error(household: Household) -> None:
    """Once the access token has expired, an error of the login service is a transport error, not a bad login."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(Status(503, on="token"))

    with pytest.raises(errors.TransportError, match=r"could not be refreshed.*503") as caught:
        house.secret(house.login())

    assert caught.value.request_sent is False


def test_a_service_that_gives_nothing_new_is_not_asked_for_ever(house: Household) -> None:
    """``{}`` is a good answer: `last_refresh` is set, and the next look comes some seconds later.

    See docs/reference/protocols/codex-wham.md, 6.4.
    """
    house.put(house.issue(ends_in=50))
    house.cloud.faults.append(Body(b"{}", on="token", times=None))
    login = house.login()
    secrets = [house.secret(login).token for _ in range(5)]

    assert (1, 1) == (len(set(secrets)), house.refreshes)
    assert house.clock.time() == pytest.approx(house.read().last_refresh)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_was_there_with_other_tokens(household: Household) -> None:
    """Unknown keys and their order stay, the mode is 0600, `last_refresh` is set, the account is the same."""
    house = household
    house.put(house.issue(ends_in=10), login_owner_id="who", future={"b": 1.50, "a": [1e400, 0.1]})
    text = house.shared.read_text().replace("Infinity", "123456789012345678901234567890.10")
    house.shared.write_text(text)
    before = json.loads(text)
    secret = house.secret(house.login())
    after = json.loads(house.shared.read_bytes())

    assert secret.token == after["tokens"]["access_token"]
    assert b"123456789012345678901234567890.10" in house.shared.read_bytes()
    assert list(before) == list(after)
    assert (before["login_owner_id"], before["future"]) == (after["login_owner_id"], after["future"])
    assert before["tokens"]["account_id"] == after["tokens"]["account_id"]
    assert before["tokens"]["refresh_token"] != after["tokens"]["refresh_token"]
    assert before["last_refresh"] < after["last_refresh"]
    assert 0o600 == house.shared.stat().st_mode & 0o777
    assert ["auth.json", "auth.json.lock", "auth.lock"] == sorted(os.listdir(house.shared.parent))


def test_a_symbolic_link_stays_one(house: Household) -> None:
    """The target is replaced, in its own folder."""
    target = house.folder / "elsewhere" / "login.json"
    house.put(house.issue(ends_in=10), target)
    house.shared.symlink_to(target)
    secret = house.secret(house.login())

    assert house.shared.is_symlink()
    assert secret.token == house.read(target).access_token
    assert ["login.json"] == os.listdir(target.parent)


def test_a_read_only_file_is_used_and_never_refreshed(household: Household) -> None:
    """Its refresh token is not spent, since what came of it could not be saved; the error says when it ended."""
    house = household
    house.put(house.issue(ends_in=50))
    house.shared.chmod(0o400)
    login = house.login()
    assert house.accepts(house.secret(login))
    house.clock.advance(60)

    with pytest.raises(errors.NotLoggedInError, match="expired at 20"):
        house.secret(login)

    assert 0 == house.refreshes


def test_a_read_only_source_names_who_can_refresh(household: Household) -> None:
    """`shared-readonly` never refreshes; its error says when the token ended and that any start of codex helps."""
    house = household
    house.put(house.issue(ends_in=-5))

    with pytest.raises(errors.NotLoggedInError, match="expired at") as caught:
        house.secret(house.login("shared-readonly"))

    assert "any start of the Codex CLI refreshes it" in (caught.value.remedy or "")
    assert 0 == house.refreshes


def test_another_accounts_file_is_never_written(household: Household) -> None:
    """The login was changed to another account while ours ran out: an error, and the file stays as it is."""
    house = household
    house.put(house.issue(ends_in=400))
    login = house.login()
    house.secret(login)
    other = TokenBook(account=Account(account_id="acc-2"), time=house.clock.time)
    house.put(house.issue(book=other))
    before = house.shared.read_bytes()
    house.clock.advance(390)

    with pytest.raises(errors.AccountMismatchError, match="another account"):
        house.secret(login)

    assert (0, before) == (house.refreshes, house.shared.read_bytes())


def swap_while_refreshing(house: Household, write: object) -> None:
    """Let *write* happen while the login service works."""
    handle = house.cloud.handle

    def meanwhile(request: object) -> object:
        answer = handle(request)
        if request.path == "/oauth/token":
            write()
        return answer

    house.cloud.handle = meanwhile


def test_an_account_that_is_swapped_under_a_refresh_keeps_its_file(household: Household) -> None:
    """Neither account's tokens end in the other's file; ours stay usable in memory."""
    house = household
    house.put(house.issue(ends_in=10))
    other = TokenBook(account=Account(account_id="acc-2"), time=house.clock.time)
    theirs = house.issue(book=other)
    swap_while_refreshing(house, lambda: house.put(theirs))
    login = house.login()

    with pytest.raises(errors.AccountMismatchError):
        house.secret(login)

    assert theirs.access_token == house.read().access_token
    assert house.accepts(house.secret(login))
    assert 1 == house.refreshes


def test_what_somebody_wrote_meanwhile_is_not_overwritten(household: Household) -> None:
    """A program that takes no locks logged in again: its newer login is adopted, ours is dropped."""
    house = household
    house.put(house.issue(ends_in=10))
    newer = house.issue()
    swap_while_refreshing(house, lambda: house.put(newer))

    assert newer.access_token == house.secret(house.login()).token == house.read().access_token


def test_a_login_that_was_removed_meanwhile_is_not_brought_back(household: Household) -> None:
    """Somebody logged out during the refresh: the file stays away, the tokens are kept in memory, and it is told."""
    house = household
    house.put(house.issue(ends_in=10))
    swap_while_refreshing(house, house.shared.unlink)
    login = house.login()

    with pytest.raises(errors.PersistenceError, match="was not saved"):
        house.secret(login)

    assert house.accepts(house.secret(login))
    assert not house.shared.exists()


@pytest.mark.parametrize("torn", [b"", b'{"tokens": {"acc'])
def test_a_torn_file_is_read_again(household: Household, torn: bytes) -> None:
    """The older official client truncates in place: a file that is whole within two seconds was never broken."""
    house = household
    house.put(house.issue())
    whole, sleep, asleep = house.shared.read_bytes(), house.clock.sleep, house.clock.asleep
    house.shared.write_bytes(torn)

    def mend(seconds: float) -> None:
        house.shared.write_bytes(whole)
        sleep(seconds)

    async def amend(seconds: float) -> None:
        house.shared.write_bytes(whole)
        await asleep(seconds)

    house.clock.sleep, house.clock.asleep = mend, amend

    assert house.accepts(house.secret(house.login()))


def test_a_file_that_stays_torn_is_one_clear_error(household: Household) -> None:
    """After two seconds it is broken."""
    house = household
    house.shared.write_bytes(b"{")
    started = house.clock.monotonic()

    with pytest.raises(errors.NotLoggedInError, match="is not JSON"):
        house.secret(house.login())

    assert 2.0 == pytest.approx(house.clock.monotonic() - started, abs=0.2)


# -- single flight -----------------------------------------------------------------------------------------------------


def test_whoever_gets_the_lock_second_adopts(household: Household) -> None:
    """Two processes with one expiring login: one refresh, one token."""
    house = household
    house.put(house.issue(ends_in=10))
    one, two = house.login(), house.login()

    assert house.secret(one).token == house.secret(two).token
    assert 1 == house.refreshes


def test_a_lock_that_is_never_given_back_is_a_clear_error(household: Household) -> None:
    """It is polled for a while, then named."""
    house = household
    house.put(house.issue(ends_in=10))
    held = try_lock(str(house.shared.parent / "auth.lock"))
    assert held is not None
    started = house.clock.monotonic()
    try:
        with pytest.raises(errors.CredentialsError, match=r"held .*auth\.lock") as caught:
            house.secret(house.login())
    finally:
        os.close(held)

    assert "fuser" in (caught.value.remedy or "")
    assert LOCK_PATIENCE <= house.clock.monotonic() - started < LOCK_PATIENCE + 1
    assert 0 == house.refreshes


def test_both_of_the_official_locks_are_held_around_the_call(house: Household) -> None:
    """`auth.lock` and `auth.json.lock`, while the login service works; and neither afterwards."""
    house.put(house.issue(ends_in=10))
    paths = [str(house.shared.parent / name) for name in ("auth.lock", "auth.json.lock")]
    seen = []
    swap_while_refreshing(house, lambda: seen.extend(try_lock(path) for path in paths))
    house.secret(house.login())
    free = [try_lock(path) for path in paths]
    for descriptor in free:
        os.close(descriptor)

    assert [None, None] == seen
    assert all(free)


# -- 401 ---------------------------------------------------------------------------------------------------------------


def test_a_rejected_secret_is_replaced_by_what_the_file_has(household: Household) -> None:
    """Somebody logged in again: no refresh is needed."""
    house = household
    house.put(house.issue())
    login = house.login()
    rejected = house.secret(login)
    newer = house.put(house.issue())
    renewed = house.do(login.renew_secret(rejected))

    assert (newer.access_token, 0) == (renewed.token, house.refreshes)


def test_a_rejected_secret_is_refreshed_once_for_everybody(household: Household) -> None:
    """However many requests were answered 401, one refresh serves them all."""
    house = household
    house.put(house.issue())
    login = house.login()
    rejected = house.secret(login)
    renewed = {house.do(login.renew_secret(rejected)).token for _ in range(5)}

    assert (1, 1) == (len(renewed), house.refreshes)
    assert rejected.token not in renewed


def test_a_rejected_secret_that_may_not_be_refreshed_stays_rejected(household: Household) -> None:
    """Read-only: None, and the service's own refusal is what the caller sees."""
    house = household
    house.put(house.issue())
    login = house.login("shared-readonly")

    assert None is house.do(login.renew_secret(house.secret(login)))


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "reason", "words"),
    [
        ("expired", "refresh_token_expired", "has expired"),
        ("used", "refresh_token_reused", "was already used"),
        ("invalidated", "refresh_token_invalidated", "was revoked"),
    ],
)
def test_a_refusal_for_good_is_remembered(household: Household, fate: str, reason: str, words: str) -> None:
    """It says what happened and the remedy, and no process of ours presents that token again."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    house.cloud.book.end(held.refresh_token, fate)
    login = house.login()
    seen = []
    for each in (login, login, house.login()):
        with pytest.raises(errors.RefreshError, match=words) as caught:
            house.secret(each)
        seen.append((caught.value.reason, "coatcheck login codex" in (caught.value.remedy or "")))

    assert [(reason, True)] * 3 == seen
    assert 1 == house.refreshes


def test_any_401_of_the_login_service_is_for_good(house: Household) -> None:
    """With or without one of the codes (docs/reference/protocols/codex-wham.md, 6.4)."""
    house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(Status(401, on="token"))
    login = house.login()
    for _ in range(2):
        with pytest.raises(errors.RefreshError, match="not accepted any more"):
            house.secret(login)

    assert 1 == house.refreshes


def test_a_token_that_somebody_else_just_used_is_waited_for(household: Household) -> None:
    """`refresh_token_reused`: the winner may be about to save what it got, so the file is read for up to 5 s."""
    house = household
    held = house.put(house.issue(ends_in=10))
    winner = house.cloud.book.rotate(held.refresh_token)
    waits = []
    sleep, asleep = house.clock.sleep, house.clock.asleep

    def note(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 10:
            from tests.credentials.household import tokens_of

            house.put(tokens_of(winner, house.clock.time(), "acc-1"))

    def watched(seconds: float) -> None:
        note(seconds)
        sleep(seconds)

    async def awatched(seconds: float) -> None:
        note(seconds)
        await asleep(seconds)

    house.clock.sleep, house.clock.asleep = watched, awatched

    assert winner.access_token == house.secret(house.login()).token
    assert 1 == house.refreshes


@pytest.mark.parametrize("fault", [Refuse(on="token"), Status(429, on="token"), Status(503, on="token")])
def test_a_token_that_was_not_taken_may_be_presented_again(household: Household, fault: object) -> None:
    """A connection that never stood, and an answer that is no answer, spend nothing: as often as it takes."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults += [fault] * 3
    login = house.login()
    for _ in range(3):
        with pytest.raises(errors.TransportError) as caught:
            house.secret(login)
        assert caught.value.request_sent is False

    assert house.accepts(house.secret(login))
