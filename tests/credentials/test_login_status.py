from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants

from coatcheck._credentials.login_status import LoginStatus, status_of
from coatcheck._files.locks import try_lock
from coatcheck._protocol.login_contract import Secret
from coatcheck.cloud.faults import Reset


def status(logins: LoginEnvironment, source: str = "auto", **environ: str) -> LoginStatus:
    """Return the status that a new process shows."""
    return logins.do(status_of(logins.login(source, **environ)))


@both_variants
def test_a_working_login(logins: LoginEnvironment) -> None:
    """Place, account and expiry are shown, and no request is sent."""
    logins.put(logins.issue(ends_in=3600))

    assert LoginStatus(
        provider="codex",
        source="shared",
        origin="default",
        is_logged_in=True,
        place=str(logins.shared),
        account_id="acc-1",
        plan="plus",
        expires_at=datetime.fromtimestamp(logins.clock.time() + 3600, UTC),
        last_refresh=datetime.fromtimestamp(logins.clock.time() - 3600, UTC),
        can_refresh=True,
        lock="free",
    ) == status(logins)
    assert [] == logins.cloud.requests


@both_variants
def test_problems_are_sentences(logins: LoginEnvironment) -> None:
    """A file that others can read, that is read-only, that ended."""
    logins.put(logins.issue(ends_in=-10))
    logins.shared.chmod(0o444)
    seen = status(logins)

    assert (False, False) == (seen.is_logged_in, seen.can_refresh)
    assert ["is read-only, so it is not refreshed", "other people", "it ended at"] == [
        next(
            words
            for words in ("is read-only, so it is not refreshed", "other people", "it ended at")
            if words in problem
        )
        for problem in seen.problems
    ]


@both_variants
def test_a_read_only_login_names_the_program_that_refreshes_it(logins: LoginEnvironment) -> None:
    """It shows the expiry, and that any start of the Codex CLI refreshes it."""
    logins.put(logins.issue(ends_in=600))
    (problem,) = status(logins, "shared-readonly").problems

    assert "ends at 20" in problem
    assert "any start of the Codex CLI" in problem


@both_variants
def test_no_login_is_a_status_too(logins: LoginEnvironment) -> None:
    """With the remedy; nothing raises."""
    seen = status(logins)

    assert (False, "shared") == (seen.is_logged_in, seen.source)
    assert "there is no" in seen.problems[0]


@both_variants
def test_a_token_from_the_environment_shows_its_variable(logins: LoginEnvironment) -> None:
    """The name of the variable is shown; such a token cannot be refreshed."""
    seen = status(logins, CODEX_ACCESS_TOKEN=logins.issue().access_token)

    assert ("environment", "CODEX_ACCESS_TOKEN", "acc-1", False) == (
        seen.source,
        seen.place,
        seen.account_id,
        seen.can_refresh,
    )
    explicit = logins.do(status_of(logins.login(explicit=Secret(token="t", source="argument"))))
    assert ("argument", True) == (explicit.source, explicit.is_logged_in)


@both_variants
def test_a_lock_that_is_held_is_shown(logins: LoginEnvironment) -> None:
    """Its file is named, and reading the status creates no lock file."""
    logins.put(logins.issue())
    free = status(logins).lock
    files = os.listdir(logins.shared.parent)
    lock = try_lock(str(logins.shared.parent / "auth.json.lock"))
    held = status(logins).lock
    os.close(lock or 0)

    assert ("free", ["auth.json"], True) == (free, files, "held: " in (held or "") and "auth.json.lock" in (held or ""))


@pytest.mark.parametrize("fate", ["used", "expired", "invalidated"])
@both_variants
def test_a_refused_refresh_token_is_a_problem(logins: LoginEnvironment, fate: str) -> None:
    """Another process learnt it; this one does not have to."""
    held = logins.put(logins.issue(ends_in=-10))
    logins.cloud.book.end(held.refresh_token or "", fate)
    with pytest.raises(Exception, match="could not be refreshed"):
        logins.secret(logins.login())
    seen = status(logins)

    assert not seen.can_refresh
    assert any("its refresh token" in problem for problem in seen.problems)


@both_variants
def test_an_unanswered_refresh_is_shown(logins: LoginEnvironment) -> None:
    """The status shows when the refresh is tried again."""
    logins.put(logins.issue(ends_in=-10))
    logins.cloud.faults.append(Reset(on="token"))
    with pytest.raises(Exception, match="reset"):
        logins.secret(logins.login())

    assert status(logins).problems[0].startswith("its last refresh was not answered; it is tried again once")
