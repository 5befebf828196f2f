"""A refresh that is not answered: the login goes on while it works, and works again after the outage."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.credentials.household import Household, tokens_of

from coatcheck import errors
from coatcheck.cloud.faults import Body, Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept, Timeout

UNANSWERED = [
    Reset(on="token"),
    Timeout(on="token"),
    Status(500, on="token"),
    Status(502, on="token"),
    Status(504, on="token"),
    Status(520, is_html=True, on="token"),
    Body(b'{"access_token": "ey', on="token"),
    Body(b"<html>Bad gateway</html>", on="token"),
    Body(b"[]", on="token"),
    Body(b"", on="token"),
    Body(b'{"access_token": 5, "refresh_token": [6]}', on="token"),
    Body(b'{"error": {"code": "server_error"}}', on="token"),
]


def named(fault: Fault) -> str:
    """Return the name of a fault in a test's id."""
    return f"{type(fault).__name__}-{getattr(fault, 'status', '') or getattr(fault, 'body', b'')!r}"


@pytest.mark.parametrize("fault", UNANSWERED, ids=named)
def test_a_login_works_again_after_any_number_of_unanswered_refreshes(household: Household, fault: Fault) -> None:
    """However often an expired login's refresh is not answered, the token is good once the service answers again."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(msgspec.structs.replace(fault, times=None))
    seen = []
    for _ in range(4):
        with pytest.raises(errors.TransportError) as caught:
            house.secret(house.login())
        seen.append(caught.value.request_sent)
    house.cloud.faults.clear()

    assert (True, {False}) == (house.accepts(house.secret(house.login())), set(seen))


def test_an_outage_is_asked_about_without_the_token(household: Household) -> None:
    """While the service does not answer, the refresh token is presented once and an empty one instead of it."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults += [Reset(on="token")] * 5
    for _ in range(5):
        with pytest.raises(errors.TransportError):
            house.secret(house.login())

    assert ([1], 5) == (list(house.presented.values()), len(house.cloud.seen("token")))


@pytest.mark.parametrize("fault", UNANSWERED, ids=named)
@pytest.mark.parametrize("source", ["own", "shared"])
def test_a_login_that_still_works_is_used_and_not_presented_again(
    household: Household, source: str, fault: Fault
) -> None:
    """Until the access token expires, the unanswered token is presented by no process of ours a second time."""
    house = household
    held = house.put(house.issue(ends_in=50), house.own if source == "own" else house.shared)
    house.cloud.faults.append(fault)
    login = house.login(source)
    served = [house.secret(each).token for each in (login, house.login(source), login)]
    house.clock.advance(45)
    served += [house.secret(each).token for each in (login, house.login(source))]
    before = house.refreshes
    house.clock.advance(10)
    fresh = [house.secret(each) for each in (login, house.login(source))]

    assert [held.access_token] * 5 == served
    assert (1, 2, {True}) == (before, house.refreshes, {house.accepts(each) for each in fresh})


def test_what_another_program_got_during_the_outage_is_used(household: Household) -> None:
    """The official client refreshed the login after our answer was lost: its tokens are adopted, nothing is presented."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(Reset(on="token"))
    login = house.login()
    with pytest.raises(errors.TransportError):
        house.secret(login)
    newer = house.put(tokens_of(house.cloud.book.rotate(held.refresh_token or ""), house.clock.time(), "acc-1"))

    assert (newer.access_token, 1) == (house.secret(login).token, house.refreshes)


def test_the_file_is_read_again_after_a_lost_answer(household: Household) -> None:
    """Another program saved its own refresh while ours was lost: no error at all."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    handle = house.cloud.handle

    def lose(request: object) -> object:
        house.cloud.handle = handle
        house.put(tokens_of(house.cloud.book.rotate(held.refresh_token or ""), house.clock.time(), "acc-1"))
        raise errors.TransportError("the connection was reset", request_sent=True)

    house.cloud.handle = lose

    secret = house.secret(house.login())

    assert (True, house.read().access_token) == (house.accepts(secret), secret.token)


@pytest.mark.parametrize("fault", [ResetAfterAccept(on="token"), StatusAfterAccept(502, on="token")], ids=named)
def test_a_token_that_was_taken_is_refused_by_the_service_alone(household: Household, fault: Fault) -> None:
    """Only the service's own refusal ends a login: the token is presented twice, then never again."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(fault)
    with pytest.raises(errors.TransportError):
        house.secret(house.login())
    for _ in range(2):
        with pytest.raises(errors.RefreshError, match="was already used"):
            house.secret(house.login())

    assert [2] == list(house.presented.values())


def test_a_refusal_does_not_end_a_login_that_still_works(household: Household) -> None:
    """The access token is used to its end; then the error says that the refresh token was revoked."""
    house = household
    held = house.put(house.issue(ends_in=30))
    house.cloud.book.end(held.refresh_token or "", "invalidated")
    login = house.login()
    served = [house.secret(login).token for _ in range(3)]
    house.clock.advance(31)
    with pytest.raises(errors.RefreshError, match="was revoked"):
        house.secret(login)

    assert ([held.access_token] * 3, 1) == (served, house.refreshes)


def test_a_rejected_access_token_is_no_longer_waited_for(household: Household) -> None:
    """The service does not take the access token although it has not expired: the unanswered token is presented again."""
    house = household
    held = house.put(house.issue(ends_in=3600))
    login = house.login()
    rejected = house.secret(login)
    house.cloud.book.end(held.access_token)
    house.cloud.faults.append(Reset(on="token"))
    with pytest.raises(errors.TransportError):
        house.do(login.renew_secret(rejected))

    assert house.accepts(house.do(login.renew_secret(rejected)))


def test_a_refresh_on_demand_waits_for_the_end_as_well(household: Household) -> None:
    """After a lost answer it is a transport error that names the end of the access token."""
    house = household
    house.put(house.issue(ends_in=3600))
    house.cloud.faults.append(Reset(on="token"))
    login = house.login()
    for match in ("reset", "not answered; its access token is used until 20"):
        with pytest.raises(errors.TransportError, match=match):
            house.do(login.refresh_tokens())

    assert 1 == house.refreshes


def test_a_good_refresh_token_beside_a_bad_access_token_is_kept(household: Household) -> None:
    """The answer's access token cannot be sent: its refresh token is saved, and gives a good one next time."""
    house = household
    held = house.put(house.issue(ends_in=50))
    successor = house.cloud.book.rotate(held.refresh_token or "").refresh_token
    body = json.dumps({"access_token": "café", "refresh_token": successor}).encode()
    house.cloud.faults.append(Body(body, on="token"))
    house.secret(house.login())
    house.clock.advance(60)

    assert house.accepts(house.secret(house.login()))


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_an_answer_with_a_byte_order_mark_and_half_a_surrogate_is_read(household: Household, mark: bytes) -> None:
    """RFC 8259 sections 8.1 and 8.2: the tokens are used, and the successor is not lost."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    issued = house.cloud.book.rotate(held.refresh_token or "")
    answer = {
        "id_token": issued.id_token,
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "note": "HALF",
    }
    body = mark + msgspec.json.encode(answer).replace(b"HALF", rb"\ud83d")
    house.cloud.faults.append(Body(body, on="token"))

    assert (issued.access_token, issued.refresh_token) == (
        house.secret(house.login()).token,
        house.read().refresh_token,
    )


@pytest.mark.parametrize(("ahead", "refreshes"), [(3600, 1), (-3600, 0), (7200, 1)])
def test_a_clock_that_is_wrong_by_hours_ends_no_login(household: Household, ahead: float, refreshes: int) -> None:
    """Our clock and the service's differ: a fresh token is used, however its times look here, and not refreshed again."""
    house = household
    service_time = house.clock.time
    house.cloud.book._time = lambda: service_time() - ahead
    issued = house.cloud.book.issue(lifetime=3000)
    house.put(tokens_of(issued, house.clock.time() - 60, "acc-1"))
    login = house.login()
    secrets = [house.secret(login) for _ in range(3)]

    assert ({True}, refreshes) == ({house.accepts(each) for each in secrets}, house.refreshes)


def test_a_clock_that_is_an_hour_late_is_corrected_by_the_services_401(household: Household) -> None:
    """The access token has expired for the service, not for us: its refusal leads to one refresh."""
    house = household
    service_time = house.clock.time
    house.cloud.book._time = lambda: service_time() + 3600
    house.put(tokens_of(house.cloud.book.issue(lifetime=-60), house.clock.time() - 60, "acc-1"))
    login = house.login()
    rejected = house.secret(login)
    renewed = house.do(login.renew_secret(rejected))

    assert (False, True, 1) == (house.accepts(rejected), house.accepts(renewed), house.refreshes)
