"""A refresh without a response: the login is used while it works, and is refreshed after the outage."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants, tokens_of

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
@both_variants
def test_a_login_works_again_after_any_number_of_unanswered_refreshes(logins: LoginEnvironment, fault: Fault) -> None:
    """However often an expired login's refresh is not answered, the token is good once the service answers again."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(msgspec.structs.replace(fault, times=None))
    seen = []
    for _ in range(4):
        with pytest.raises(errors.TransportError) as caught:
            logins.secret(logins.login())
        seen.append(caught.value.request_sent)
    logins.cloud.faults.clear()

    assert (True, {False}) == (logins.accepts(logins.secret(logins.login())), set(seen))


@both_variants
def test_an_outage_is_tested_without_the_token(logins: LoginEnvironment) -> None:
    """While the service does not respond, the refresh token is presented once, and then an empty one."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults += [Reset(on="token")] * 5
    for _ in range(5):
        with pytest.raises(errors.TransportError):
            logins.secret(logins.login())

    assert ([1], 5) == (list(logins.presented.values()), len(logins.cloud.seen("token")))


@pytest.mark.parametrize("fault", UNANSWERED, ids=named)
@pytest.mark.parametrize("source", ["own", "shared"])
@both_variants
def test_a_login_that_still_works_is_used_and_not_presented_again(
    logins: LoginEnvironment, source: str, fault: Fault
) -> None:
    """Until the access token expires, the unanswered token is presented by no process of ours a second time."""
    held = logins.put(logins.issue(ends_in=50), logins.own if source == "own" else logins.shared)
    logins.cloud.faults.append(fault)
    login = logins.login(source)
    served = [logins.secret(each).token for each in (login, logins.login(source), login)]
    logins.clock.advance(45)
    served += [logins.secret(each).token for each in (login, logins.login(source))]
    before = logins.refreshes
    logins.clock.advance(10)
    fresh = [logins.secret(each) for each in (login, logins.login(source))]

    assert [held.access_token] * 5 == served
    assert (1, 2, {True}) == (before, logins.refreshes, {logins.accepts(each) for each in fresh})


@both_variants
def test_what_another_program_got_during_the_outage_is_used(logins: LoginEnvironment) -> None:
    """The official client refreshed the login after our answer was lost: its tokens are adopted, nothing is presented."""
    held = logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(Reset(on="token"))
    login = logins.login()
    with pytest.raises(errors.TransportError):
        logins.secret(login)
    newer = logins.put(tokens_of(logins.cloud.book.rotate(held.refresh_token or ""), logins.clock.time(), "acc-1"))

    assert (newer.access_token, 1) == (logins.secret(login).token, logins.refreshes)


@both_variants
def test_the_file_is_read_again_after_a_lost_answer(logins: LoginEnvironment) -> None:
    """Another program saved its own refresh while ours was lost: no error at all."""
    held = logins.put(logins.issue(ends_in=-10))
    handle = logins.cloud.handle

    def lose(request: object) -> object:
        logins.cloud.handle = handle
        logins.put(tokens_of(logins.cloud.book.rotate(held.refresh_token or ""), logins.clock.time(), "acc-1"))
        raise errors.TransportError("the connection was reset", request_sent=True)

    logins.cloud.handle = lose

    secret = logins.secret(logins.login())

    assert (True, logins.read().access_token) == (logins.accepts(secret), secret.token)


@pytest.mark.parametrize("fault", [ResetAfterAccept(on="token"), StatusAfterAccept(502, on="token")], ids=named)
@both_variants
def test_a_token_that_was_taken_is_refused_by_the_service_alone(logins: LoginEnvironment, fault: Fault) -> None:
    """Only the service's own refusal ends a login: the token is presented twice, then never again."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(fault)
    with pytest.raises(errors.TransportError):
        logins.secret(logins.login())
    for _ in range(2):
        with pytest.raises(errors.RefreshError, match="was already used"):
            logins.secret(logins.login())

    assert [2] == list(logins.presented.values())


@both_variants
def test_a_refusal_does_not_end_a_login_that_still_works(logins: LoginEnvironment) -> None:
    """The access token is used until it expires; then the error reports the revoked refresh token."""
    held = logins.put(logins.issue(ends_in=30))
    logins.cloud.book.end(held.refresh_token or "", "invalidated")
    login = logins.login()
    served = [logins.secret(login).token for _ in range(3)]
    logins.clock.advance(31)
    with pytest.raises(errors.RefreshError, match="was revoked"):
        logins.secret(login)

    assert ([held.access_token] * 3, 1) == (served, logins.refreshes)


@both_variants
def test_a_rejected_access_token_is_no_longer_waited_for(logins: LoginEnvironment) -> None:
    """The service rejects an access token that has not expired: the unanswered token is presented again."""
    held = logins.put(logins.issue(ends_in=3600))
    login = logins.login()
    rejected = logins.secret(login)
    logins.cloud.book.end(held.access_token)
    logins.cloud.faults.append(Reset(on="token"))
    with pytest.raises(errors.TransportError):
        logins.do(login.renew_secret(rejected))

    assert logins.accepts(logins.do(login.renew_secret(rejected)))


@both_variants
def test_a_refresh_on_demand_waits_for_the_end_as_well(logins: LoginEnvironment) -> None:
    """After a lost answer it is a transport error that names the end of the access token."""
    logins.put(logins.issue(ends_in=3600))
    logins.cloud.faults.append(Reset(on="token"))
    login = logins.login()
    for match in ("reset", "not answered; its access token is used until 20"):
        with pytest.raises(errors.TransportError, match=match):
            logins.do(login.refresh_tokens())

    assert 1 == logins.refreshes


@both_variants
def test_a_good_refresh_token_beside_a_bad_access_token_is_kept(logins: LoginEnvironment) -> None:
    """The new access token cannot be sent: its refresh token is saved, and refreshes the next time."""
    held = logins.put(logins.issue(ends_in=50))
    successor = logins.cloud.book.rotate(held.refresh_token or "").refresh_token
    body = json.dumps({"access_token": "café", "refresh_token": successor}).encode()
    logins.cloud.faults.append(Body(body, on="token"))
    logins.secret(logins.login())
    logins.clock.advance(60)

    assert logins.accepts(logins.secret(logins.login()))


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@both_variants
def test_an_answer_with_a_byte_order_mark_and_half_a_surrogate_is_read(logins: LoginEnvironment, mark: bytes) -> None:
    """RFC 8259 sections 8.1 and 8.2: the tokens are used, and the successor is not lost."""
    held = logins.put(logins.issue(ends_in=-10))
    issued = logins.cloud.book.rotate(held.refresh_token or "")
    answer = {
        "id_token": issued.id_token,
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "note": "HALF",
    }
    body = mark + msgspec.json.encode(answer).replace(b"HALF", rb"\ud83d")
    logins.cloud.faults.append(Body(body, on="token"))

    assert (issued.access_token, issued.refresh_token) == (
        logins.secret(logins.login()).token,
        logins.read().refresh_token,
    )


@pytest.mark.parametrize(("ahead", "refreshes"), [(3600, 1), (-3600, 0), (7200, 1)])
@both_variants
def test_a_clock_that_is_wrong_by_hours_ends_no_login(logins: LoginEnvironment, ahead: float, refreshes: int) -> None:
    """A fresh token is used and not refreshed again although the clocks differ by hours."""
    service_time = logins.clock.time
    logins.cloud.book._time = lambda: service_time() - ahead
    issued = logins.cloud.book.issue(lifetime=3000)
    logins.put(tokens_of(issued, logins.clock.time() - 60, "acc-1"))
    login = logins.login()
    secrets = [logins.secret(login) for _ in range(3)]

    assert ({True}, refreshes) == ({logins.accepts(each) for each in secrets}, logins.refreshes)


@both_variants
def test_a_clock_that_is_an_hour_late_is_corrected_by_the_services_401(logins: LoginEnvironment) -> None:
    """The access token has expired for the service, not for us: its refusal leads to one refresh."""
    service_time = logins.clock.time
    logins.cloud.book._time = lambda: service_time() + 3600
    logins.put(tokens_of(logins.cloud.book.issue(lifetime=-60), logins.clock.time() - 60, "acc-1"))
    login = logins.login()
    rejected = logins.secret(login)
    renewed = logins.do(login.renew_secret(rejected))

    assert (False, True, 1) == (logins.accepts(rejected), logins.accepts(renewed), logins.refreshes)
