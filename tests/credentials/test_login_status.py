from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from tests.credentials.household import Household

from coatcheck._credentials.login_status import LoginStatus, status_of
from coatcheck._files.locks import try_lock
from coatcheck._protocol.login_contract import Secret
from coatcheck.cloud.faults import Reset


def status(house: Household, source: str = "auto", **environ: str) -> LoginStatus:
    """Return the status that a new process sees."""
    return house.do(status_of(house.login(source, **environ)))


def test_a_login_that_is_well(household: Household) -> None:
    """Where it is, whose, how long; nothing else, and nothing is asked."""
    house = household
    house.put(house.issue(ends_in=3600))

    assert LoginStatus(
        provider="codex",
        source="shared",
        origin="default",
        is_logged_in=True,
        place=str(house.shared),
        account_id="acc-1",
        plan="plus",
        expires_at=datetime.fromtimestamp(house.clock.time() + 3600, UTC),
        last_refresh=datetime.fromtimestamp(house.clock.time() - 3600, UTC),
        can_refresh=True,
        lock="free",
    ) == status(house)
    assert [] == house.cloud.requests


def test_problems_are_sentences(household: Household) -> None:
    """A file that others can read, that is read-only, that ended."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.shared.chmod(0o444)
    seen = status(house)

    assert (False, False) == (seen.is_logged_in, seen.can_refresh)
    assert ["is read-only, so it is not refreshed", "other people", "it ended at"] == [
        next(
            words
            for words in ("is read-only, so it is not refreshed", "other people", "it ended at")
            if words in problem
        )
        for problem in seen.problems
    ]


def test_a_login_that_ends_says_who_refreshes_it(household: Household) -> None:
    """Read-only: when it will end, and that any start of the Codex CLI helps."""
    house = household
    house.put(house.issue(ends_in=600))
    (problem,) = status(house, "shared-readonly").problems

    assert "ends at 20" in problem
    assert "any start of the Codex CLI" in problem


def test_no_login_is_a_status_too(household: Household) -> None:
    """With the remedy; nothing raises."""
    seen = status(household)

    assert (False, "shared") == (seen.is_logged_in, seen.source)
    assert "there is no" in seen.problems[0]


def test_a_token_from_elsewhere_shows_its_place(household: Household) -> None:
    """The variable's name; a token that nobody can refresh."""
    house = household
    seen = status(house, CODEX_ACCESS_TOKEN=house.issue().access_token)

    assert ("environment", "CODEX_ACCESS_TOKEN", "acc-1", False) == (
        seen.source,
        seen.place,
        seen.account_id,
        seen.can_refresh,
    )
    explicit = house.do(status_of(house.login(explicit=Secret(token="t", source="argument"))))
    assert ("argument", True) == (explicit.source, explicit.is_logged_in)


def test_a_lock_that_is_held_is_shown(household: Household) -> None:
    """With its file; and looking makes no lock file."""
    house = household
    house.put(house.issue())
    free = status(house).lock
    files = os.listdir(house.shared.parent)
    lock = try_lock(str(house.shared.parent / "auth.json.lock"))
    held = status(house).lock
    os.close(lock or 0)

    assert ("free", ["auth.json"], True) == (free, files, "held: " in (held or "") and "auth.json.lock" in (held or ""))


@pytest.mark.parametrize("fate", ["used", "expired", "invalidated"])
def test_a_refused_refresh_token_is_a_problem(household: Household, fate: str) -> None:
    """Another process learnt it; this one does not have to."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    house.cloud.book.end(held.refresh_token or "", fate)
    with pytest.raises(Exception, match="could not be refreshed"):
        house.secret(house.login())
    seen = status(house)

    assert not seen.can_refresh
    assert any("its refresh token" in problem for problem in seen.problems)


def test_an_answer_that_never_came_is_told(household: Household) -> None:
    """The status says so, and when the refresh is tried again."""
    house = household
    house.put(house.issue(ends_in=-10))
    house.cloud.faults.append(Reset(on="token"))
    with pytest.raises(Exception, match="reset"):
        house.secret(house.login())

    assert status(house).problems[0].startswith("its last refresh was not answered; it is tried again once")
