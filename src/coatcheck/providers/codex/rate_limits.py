"""From the usage document and the rate-limit block to `Usage`. Pure.

The official client loses the whole document for one field of another type; here such a field is None.

See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks" and "7.1 GET /wham/usage".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...provider import (
    Credits,
    RateLimit,
    RateWindow,
    Response,
    SpendControl,
    Usage,
    fields,
    flag,
    instant,
    items,
    number,
    read_json,
    text,
    whole,
)

_WINDOW = "_window"


def usage(answer: Response) -> Usage:
    """Return what the account has used; raises `UnreadableResponseError` when it is no object."""
    document = read_json(answer.body, dict[str, object], response=answer)
    reached = document.get("rate_limit_reached_type")
    return Usage(
        plan=text(document.get("plan_type")),
        rate_limit=_rate_limit(document.get("rate_limit")),
        extra_limits=tuple(_extra_limits(document)),
        credits=_credits(fields(document.get("credits"))),
        spend_control=_spend_control(fields(document.get("spend_control"))),
        reached=text(fields(reached).get("type")) or text(reached),
        reset_credits=whole(fields(document.get("rate_limit_reset_credits")).get("available_count")),
        raw=answer.body,
    )


def task_rate_limit(value: object) -> RateLimit | None:
    """Return the counters that the answer to a submission carries.

    See docs/reference/protocols/codex-wham.md, "2.2 POST /wham/tasks".
    """
    block = fields(value)
    if not block:
        return None
    return RateLimit(
        feature="tasks",
        is_allowed=flag(block.get("allowed")),
        is_reached=flag(block.get("limit_reached")),
        limit=number(block.get("limit")),
        remaining=number(block.get("remaining")),
        resets_after=number(block.get("resets_after")),
        plan=text(block.get("user_plan_type")),
        windows=tuple(_task_window(i, fields(window)) for i, window in enumerate(items(block.get("windows")), 1)),
    )


def _task_window(position: int, window: Mapping[str, object]) -> RateWindow:
    minutes = number(window.get("limit_window_mins"))
    return RateWindow(
        name=f"window {position}",
        seconds=None if minutes is None else round(minutes * 60),
        resets_after=number(window.get("resets_after_secs")),
        limit=number(window.get("limit")),
        remaining=number(window.get("remaining")),
    )


def _extra_limits(document: Mapping[str, object]) -> Iterator[RateLimit]:
    for extra in map(fields, items(document.get("additional_rate_limits"))):
        name, feature = text(extra.get("limit_name")), text(extra.get("metered_feature"))
        yield _rate_limit(extra.get("rate_limit"), name=name, feature=feature) or RateLimit(name=name, feature=feature)
    if review := _rate_limit(document.get("code_review_rate_limit"), name="Code review", feature="code_review"):
        yield review


def _rate_limit(value: object, *, name: str | None = None, feature: str | None = None) -> RateLimit | None:
    block = fields(value)
    if not block:
        return None
    return RateLimit(
        name=name,
        feature=feature,
        is_allowed=flag(block.get("allowed")),
        is_reached=flag(block.get("limit_reached")),
        windows=tuple(_windows(block)),
    )


def _windows(block: Mapping[str, object]) -> Iterator[RateWindow]:
    """Yield every window there is: plans differ, and the second one is often null.

    See docs/reference/protocols/codex-wham.md, "7.1 GET /wham/usage".
    """
    for key, value in block.items():
        if key.endswith(_WINDOW) and (window := fields(value)):
            seconds = number(window.get("limit_window_seconds"))
            yield RateWindow(
                name=key.removesuffix(_WINDOW),
                used_percent=number(window.get("used_percent")),
                seconds=None if seconds is None else round(seconds),
                resets_after=number(window.get("reset_after_seconds")),
                resets_at=instant(window.get("reset_at")),
            )


def _credits(block_fields: Mapping[str, object]) -> Credits | None:
    if not block_fields:
        return None
    balance = block_fields.get("balance")
    return Credits(
        has_credits=flag(block_fields.get("has_credits")),
        is_unlimited=flag(block_fields.get("unlimited")),
        balance=_amount(balance),
    )


def _spend_control(block_fields: Mapping[str, object]) -> SpendControl | None:
    if not block_fields:
        return None
    limit = fields(block_fields.get("individual_limit"))
    return SpendControl(
        is_reached=flag(block_fields.get("reached")),
        limit=_amount(limit.get("limit")),
        used=_amount(limit.get("used")),
        remaining=_amount(limit.get("remaining")),
        used_percent=number(limit.get("used_percent")),
        remaining_percent=number(limit.get("remaining_percent")),
        resets_after=number(limit.get("reset_after_seconds")),
        resets_at=instant(limit.get("reset_at")),
    )


def _amount(value: object) -> str | None:
    """Return an amount as text; the service sends texts, a number is shown as it is."""
    return text(value) or (None if number(value) is None else str(value))
