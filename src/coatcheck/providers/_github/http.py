"""Requests to GitHub, and the remedies of its errors. Pure.

Invariants:

- A refusal is one line with what to do: which permission lacks, which word of the request was wrong.
- The next page is the query of ``Link``; it is always requested from the configured origin.

See docs/reference/protocols/services.md, "1.1 Endpoints", "1.2 The id of a dispatched run", "1.3 States" and "1.4 Rate
limits, conditional polling".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from ...provider import USER_AGENT, RateLimit, RateWindow, Request, Usage, check, decode, errors, number, retry_after

if TYPE_CHECKING:
    from ...provider import Pairs, Response

# Every list's largest page (docs/reference/protocols/services.md, "1.1 Endpoints" and "2 GitHub Copilot cloud agent").
PAGE_SIZE = 100
# The primary limit is counted by the hour (docs/reference/protocols/services.md, "1.4 Rate limits, conditional
# polling").
HOUR = 3600
JSON = "application/vnd.github+json"
DIFF = "application/vnd.github.diff"


def headers(version: str, *, accept: str = JSON) -> Pairs:
    """Return what every request carries."""
    return (("user-agent", USER_AGENT), ("accept", accept), ("x-github-api-version", version))


def get(path: str, *, version: str, query: Pairs = (), accept: str = JSON, conditional: bool = False) -> Request:
    """Return the request for what is at *path*."""
    return Request("GET", path, query=query, headers=headers(version, accept=accept), conditional=conditional)


def explained(response: Response, remedies: Mapping[int, str], *, words: Mapping[str, str] | None = None) -> None:
    """Raise the error of the status, with a remedy: by the reason, by permission, or by status."""
    try:
        check(response)
    except errors.ProviderError as error:
        stated = (error.detail or "").lower()
        by_word = next((remedy for word, remedy in (words or {}).items() if word in stated), None)
        if not isinstance(error, errors.RateLimitError):  # which may have status 403 as well
            error.remedy = by_word or lacking(response) or remedies.get(response.status)
        raise


def lacking(response: Response) -> str | None:
    """Return the permission that a refused token lacks, where the service reports it.

    ``x-accepted-github-permissions`` is for fine-grained tokens and apps: lists with commas, any of which will do,
    divided by semicolons. ``x-accepted-oauth-scopes`` is for classic ones.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """
    if response.status not in (403, 404):
        return None
    if permissions := response.headers.get("x-accepted-github-permissions"):
        return f"the token needs the permission {' or '.join(permissions.split('; '))}"
    wanted = {each.strip() for each in response.headers.get("x-accepted-oauth-scopes", "").split(",") if each.strip()}
    has = {each.strip() for each in response.headers.get("x-oauth-scopes", "").split(",")}
    is_short = bool(wanted) and "x-oauth-scopes" in response.headers and not wanted & has
    return f"the token needs the scope {' or '.join(sorted(wanted))}" if is_short else None


_NEXT = re.compile(r"<([^>]*)>\s*;[^<]*?\brel=\"?[^\"<]*\bnext\b")


def next_page(response: Response) -> str | None:
    """Return the query of the next page, as the service's ``Link`` has it; None for the last."""
    match = _NEXT.search(response.headers.get("link", ""))
    return urlsplit(match[1]).query or None if match else None


def query_of(cursor: str | None, first: Mapping[str, str | None]) -> Pairs:
    """Return the query of a page: the cursor's, or that of the first page."""
    if cursor is not None:
        return tuple(parse_qsl(cursor, keep_blank_values=True))
    return tuple((name, value) for name, value in first.items() if value is not None)


def cursor_of(query: Pairs) -> str:
    """Return a query as a cursor."""
    return urlencode(query)


def requested_pause(response: Response) -> float | None:
    """Return how long to wait before the next request, in seconds: ``Retry-After``, or the newer ``x-poll-interval``.

    See docs/reference/protocols/services.md, "1.4 Rate limits, conditional polling".
    """
    requested = retry_after(response.headers)
    poll = retry_after({"retry-after": response.headers.get("x-poll-interval", "")})  # seconds, of the same form
    return requested if poll is None else max(requested or 0.0, poll)


def limit_of(response: Response) -> RateLimit | None:
    """Return the primary limit in a response, None where it has none."""
    stated = {name: response.headers.get(f"x-ratelimit-{name}") for name in ("limit", "used", "remaining", "reset")}
    if stated["limit"] is None:
        return None
    return limit(response.headers.get("x-ratelimit-resource") or "core", stated)


def usage_of(response: Response) -> Usage:
    """Return each limit in the response to ``GET /rate_limit``.

    See docs/reference/protocols/services.md, "1.1 Endpoints".
    """
    resources = decode(response, Limits).resources
    limits = {name: limit(name, stated) for name, stated in resources.items() if isinstance(stated, dict)}
    reached = next((name for name, each in limits.items() if each.is_reached), None)
    core = limits.pop("core", None)
    return Usage(rate_limit=core, extra_limits=tuple(limits.values()), reached=reached, raw=response.body)


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What is used of each limit."""

    resources: dict[str, object]


def limit(name: str, stated: Mapping[str, object]) -> RateLimit:
    """Return a limit from its *limit*, *used*, *remaining* and *reset* (seconds since the epoch)."""
    total, used, left, reset = (number(stated.get(key)) for key in ("limit", "used", "remaining", "reset"))
    percent = 100 * used / total if used is not None and total else None
    window = RateWindow(
        name=name,
        seconds=HOUR if name in ("core", "graphql") else None,
        limit=total,
        used=used,
        used_percent=percent,
        remaining=left,
        resets_at=_moment(reset),
    )
    return RateLimit(
        name=name, limit=total, remaining=left, is_reached=None if left is None else left <= 0, windows=(window,)
    )


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
