from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from coatcheck import Usage, errors
from coatcheck._protocol.effects import Response
from coatcheck.providers.codex.rate_limits import task_rate_limit, usage

from .exchange_support import PROVIDER, answer, answer_exchange, recorded


def read(document: object) -> Usage:
    """Return the usage in *document*."""
    return usage(Response(200, body=json.dumps(document).encode()))


def test_every_window_credit_and_limit_is_reported() -> None:
    """Both windows with their length and reset, credits as text, and the limits metered beside them.

    See docs/reference/protocols/codex-wham.md, "7.1 GET /wham/usage".
    """
    shown = answer_exchange(PROVIDER.get_usage(), answer(recorded("usage_plus_two_windows")))
    found = shown.result
    primary, secondary = found.window("primary"), found.window("secondary")

    assert ["GET /wham/usage"] == shown.lines
    assert (42.0, 18000, 600.0, datetime(2026, 9, 29, 23, 24, 10, tzinfo=UTC)) == (
        primary.used_percent,
        primary.seconds,
        primary.resets_after,
        primary.resets_at,
    )
    assert ("plus", 85.0, "9.99", "gpt_6_sol", 3.0) == (
        found.plan,
        secondary.used_percent,
        found.credits.balance,
        found.extra_limits[0].feature,
        found.extra_limits[0].windows[0].used_percent,
    )


def test_a_plan_may_have_one_window_or_none() -> None:
    """Windows differ by plan: a weekly one alone, or none at all.

    See docs/reference/protocols/codex-wham.md, "7.1 GET /wham/usage".
    """
    weekly = usage(Response(200, body=recorded("usage_pro_weekly_only")))
    free = usage(Response(200, body=recorded("usage_free_no_windows")))

    assert ([604800], None, 1, False) == (
        [window.seconds for window in weekly.rate_limit.windows],
        weekly.window("secondary"),
        weekly.reset_credits,
        weekly.spend_control.is_reached,
    )
    assert ("some_new_plan", None, "workspace_owner_usage_limit_reached") == (free.plan, free.rate_limit, free.reached)


def test_a_ceiling_is_reported() -> None:
    """A workspace's ceiling for its member is there with its amounts, which are texts.

    See docs/reference/protocols/codex-wham.md, "7.1 GET /wham/usage".
    """
    control = read(
        {"spend_control": {"reached": True, "individual_limit": {"limit": "50", "used": 12.5}}}
    ).spend_control

    assert (True, "50", "12.5", None) == (control.is_reached, control.limit, control.used, control.remaining)


def test_what_the_official_client_cannot_read_we_can() -> None:
    """Floats, texts for numbers, bare strings and unknown windows are read; a wrong type is only that field's loss."""
    odd = read(
        {
            "plan_type": 5,
            "rate_limit": {
                "primary_window": {"used_percent": 1.5, "reset_at": 10**30},
                "monthly_window": {"used_percent": "7"},
            },
            "rate_limit_reached_type": "rate_limit_reached",
            "code_review_rate_limit": {"allowed": True, "primary_window": {"used_percent": 2}},
            "credits": "none",
        }
    )

    assert (None, 1.5, None, 7.0, "rate_limit_reached", "code_review", None) == (
        odd.plan,
        odd.window("primary").used_percent,
        odd.window("primary").resets_at,
        odd.window("monthly").used_percent,
        odd.reached,
        odd.extra_limits[0].feature,
        odd.credits,
    )


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"', b"", b"<html>"])
def test_what_is_no_object_is_unreadable(body: bytes) -> None:
    """Only a document that is no object at all is an error."""
    with pytest.raises(errors.UnreadableResponseError):
        usage(Response(200, body=body))


def test_nothing_is_estimated() -> None:
    """An empty document gives no limits."""
    assert Usage(raw=b"{}") == read({})


def test_the_answer_of_a_submission_carries_counters() -> None:
    """Limit, rest and reset of the task counters, floats as they are; no block, no limit.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    block = json.loads(recorded("create_response"))["rate_limit"]
    limit = task_rate_limit(block)

    assert (True, 1283.0, 1282.43, "pro", 604800, 591600.043) == (
        limit.is_allowed,
        limit.limit,
        limit.remaining,
        limit.plan,
        limit.windows[0].seconds,
        limit.windows[0].resets_after,
    )
    assert task_rate_limit(None) is None
