"""What a session has used: tokens, and its cost at list price. Pure; nothing is estimated.

The amounts of the service are in minor units: "2500" is $25.00 (Anthropic's SDK 2.11, ``types/beta_monetary_amount.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...provider import Notice, fields, number, text, whole


def amount_of(cents: int) -> Mapping[str, str]:
    """Return the service's structure of an amount of US dollars."""
    return {"amount": str(cents), "currency": "USD"}


def usage_text(usage: object) -> str | None:
    """Return the usage in one line, None where the service reports none."""
    document = fields(usage)
    counts = {
        "input tokens": whole(document.get("input_tokens")),
        "input tokens from the cache": whole(document.get("cache_read_input_tokens")),
        "output tokens": whole(document.get("output_tokens")),
    }
    parts = [f"{count:,} {name}" for name, count in counts.items() if count]
    cost = fields(document.get("list_cost"))
    if minor := number(cost.get("amount")):
        parts.append(f"{minor / 100:,.2f} {text(cost.get('currency')) or ''} at list price".replace("  ", " "))
    return ", ".join(parts) or None


def usage_notices(usage: object) -> tuple[Notice, ...]:
    """Return the notice about what a session has used, with its cost where that is in US dollars."""
    words = usage_text(usage)
    cost = fields(fields(usage).get("list_cost"))
    minor = number(cost.get("amount")) if text(cost.get("currency")) == "USD" else None
    dollars = None if minor is None else minor / 100
    return (Notice(kind="usage", text=words, cost=dollars),) if words else ()
