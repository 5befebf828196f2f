from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck._credentials.refresh_policy import (
    CHECK_EVERY,
    EARLY,
    LATE,
    Mode,
    RefreshNeed,
    due_at,
    fingerprint,
    has_ended,
    need_of,
    next_check,
)
from coatcheck._protocol.login_contract import Tokens

NOW = 1_000_000.0


def tokens(left: float | None = None, *, refreshed: float | None = None, refresh_token: str | None = "r") -> Tokens:
    """Return tokens that end in *left* seconds and were refreshed at *refreshed*."""
    ends = None if left is None else NOW + left
    return Tokens(access_token="a", refresh_token=refresh_token, expires_at=ends, last_refresh=refreshed)


@pytest.mark.parametrize("mode", Mode)
def test_without_a_refresh_token_nothing_is_refreshed(mode: Mode) -> None:
    """Without a refresh token, any mode only reads the login again."""
    assert RefreshNeed.READ is need_of(tokens(10, refresh_token=None), mode=mode, now=NOW)


@given(st.floats(-1000, 1000), st.sampled_from(Mode))
def test_needs_only_grow(left: float, mode: Mode) -> None:
    """The need never decreases as the end approaches; a read-only login is only read again."""
    needs = [need_of(tokens(left), mode=mode, now=NOW + later) for later in (0, 100, 250, 500)]

    assert sorted(needs) == needs
    assert mode is not Mode.READONLY or max(needs) <= RefreshNeed.READ


@given(st.floats(-1000, 1000), st.floats(0, 100))
def test_the_next_check_is_never_too_late(left: float, pause: float) -> None:
    """Not after a refresh is due or required; past that moment, within seconds."""
    held = tokens(left)
    look = next_check(held, now=NOW, pause=pause)

    assert NOW <= look
    assert look <= max(NOW + CHECK_EVERY, left + NOW - LATE)


def test_unknown_times_are_never_due() -> None:
    """No end and no last refresh: infinity."""
    assert (float("inf"), False) == (due_at(tokens()), has_ended(tokens(), NOW))
    assert NOW + 1000 - EARLY == due_at(tokens(1000))


def test_a_fingerprint_is_short_and_distinct() -> None:
    """128 bits, equal for equal tokens."""
    assert (32, True, False) == (
        len(fingerprint("a")),
        fingerprint("a") == fingerprint("a"),
        fingerprint("a") == fingerprint("b"),
    )
