"""Responses of all GitHub services are read the same way."""

from __future__ import annotations

import pytest

from coatcheck import errors
from coatcheck._protocol.effects import Response
from coatcheck.providers._github import http


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ('<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x?page=9>; rel="last"', "page=2"),
        ('<https://a/x?page=1>; rel="prev", <https://a/x?page=3&per_page=2>; rel="next"', "page=3&per_page=2"),
        ('<https://a/x?page=1>; rel="first"', None),
        ("<https://evil.example/steal?after=abc>; rel=next", "after=abc"),
        ("", None),
        ("nonsense", None),
    ],
)
def test_the_next_page_is_that_of_the_link(link: str, query: str | None) -> None:
    """Its parameters are used, and never its host (RFC 8288)."""
    assert query == http.next_page(Response(200, {"link": link}))


def test_a_cursor_is_a_query() -> None:
    """The first page has the given query, the others the query of the cursor."""
    assert (("per_page", "2"),) == http.query_of(None, {"per_page": "2", "event": None})
    assert (("a", "1 2"), ("b", "")) == http.query_of("a=1+2&b=", {"per_page": "2"})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-poll-interval": "60"}, 60.0),
        ({"x-poll-interval": "60", "retry-after": "90"}, 90.0),
        ({"x-poll-interval": "soon"}, None),
        ({"x-poll-interval": "1e9"}, None),
        ({"x-poll-interval": "-5"}, None),
        ({"retry-after": "5"}, 5.0),
    ],
)
def test_the_longer_pause_is_used(headers: dict[str, str], seconds: float | None) -> None:
    """Two headers may request a pause."""
    assert seconds == http.requested_pause(Response(200, headers))


def test_an_answer_reports_its_limit() -> None:
    """In full, or not at all."""
    said = {"limit": "60", "used": "15", "remaining": "45", "reset": "1790000000", "resource": "core"}
    found = http.limit_of(Response(200, {f"x-ratelimit-{name}": value for name, value in said.items()}))

    assert found is not None
    assert (60.0, 45.0, False, 25.0) == (found.limit, found.remaining, found.is_reached, found.windows[0].used_percent)
    assert None is http.limit_of(Response(200))


@pytest.mark.parametrize("reset", [1e300, float("nan"), "later", None])
def test_a_time_that_is_none_is_left_out(reset: object) -> None:
    """A limit is a limit without it."""
    assert None is http.limit("core", {"limit": 1, "reset": reset}).windows[0].resets_at


@pytest.mark.parametrize(
    ("status", "headers", "remedy"),
    [
        (403, {"x-accepted-github-permissions": "actions=write"}, "the token needs the permission actions=write"),
        (403, {"x-accepted-oauth-scopes": "repo", "x-oauth-scopes": ""}, "the token needs the scope repo"),
        (403, {"x-accepted-oauth-scopes": "repo", "x-oauth-scopes": "repo, gist"}, "by status"),
        (403, {"x-accepted-oauth-scopes": "repo"}, "by status"),
        (422, {"x-accepted-github-permissions": "actions=write"}, None),
    ],
)
def test_a_missing_permission_is_named(status: int, headers: dict[str, str], remedy: str | None) -> None:
    """Fine-grained tokens by permission, classic ones by scope; a token that has it lacks something else."""
    with pytest.raises(errors.ProviderError) as caught:
        http.explained(Response(status, headers, b'{"message": "no"}'), {403: "by status"})

    assert remedy == caught.value.remedy
