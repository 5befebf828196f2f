"""Redirects: GET alone, and no secret across origins."""

from __future__ import annotations

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import errors
from coatcheck._engine.redirect import redirected
from coatcheck._protocol.effects import Request, Response


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def moved(where: str, status: int = 302) -> Response:
    """Return a redirect."""
    return Response(status, {"location": where})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_followed_with_its_login_on_the_same_origin(variant: str, status: int) -> None:
    """Within scheme, host and port a redirect is the same conversation."""
    service = ToyService(moved("/toy/tasks/t1", status))
    service.create({"prompt": "p", "attempts": 1})
    both = Both(variant, ToyProvider(), service)

    assert "p" == both.get_task("elsewhere").prompt


@pytest.mark.parametrize("where", ["http://127.0.0.1:10/x", "http://localhost:9/x", "https://127.0.0.1:9/x"])
def test_another_origin_gets_no_secret(variant: str, where: str) -> None:
    """The Authorization header is not sent where scheme, host or port differ."""
    service = ToyService(moved(where))
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.AuthenticationError):
        both.get_task("t1")

    assert [] == [name for name, _ in service.requests[1].headers if name not in ("accept", "user-agent")]


def test_a_redirected_submit_is_an_error(variant: str) -> None:
    """A POST is never followed anywhere."""
    service = ToyService(None, moved("/toy/tasks", 307))
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.ProviderError, match="HTTP 307"):
        both.create_task("p")

    assert 1 == service.count("POST", "/tasks")


def test_a_loop_of_redirects_ends(variant: str) -> None:
    """Five redirects are followed, a sixth is an error."""
    service = ToyService(*[moved("/toy/tasks/t1") for _ in range(20)])
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.ProviderError, match="redirects more than 5 times"):
        both.get_task("t1")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("http://toy.example/x", "without encryption"),
        ("file:///etc/passwd", "not an http address"),
        ("javascript:x", "not an http"),
    ],
)
def test_some_places_are_never_gone_to(where: str, reason: str) -> None:
    """No downgrade to plain http, and nothing but http."""
    request = Request("GET", "/x", url="https://toy.example/x")

    with pytest.raises(errors.ProviderError, match=reason):
        redirected(request, where, status=302)


@pytest.mark.parametrize("where", ["http://[::1/x", "http://toy.example:99999/x", "/caf\xe9", "\ufffd"])
def test_what_is_no_address_is_unreadable(where: str) -> None:
    """A redirect to no address is an error of the service's answer."""
    request = Request("GET", "/x", url="https://toy.example/x")

    with pytest.raises(errors.UnreadableResponseError) as caught:
        redirected(request, where, status=302)

    assert 302 == caught.value.status
