"""Where a GitHub is."""

from __future__ import annotations

import pytest

from coatcheck import errors
from coatcheck.providers._github import location


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (None, "https://api.github.com"),
        ("https://github.com", "https://api.github.com"),
        ("https://api.github.com/", "https://api.github.com"),
        ("https://github.example.com", "https://github.example.com/api/v3"),
        ("https://github.example.com/api/v3/", "https://github.example.com/api/v3"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://api.octo.ghe.com", "https://api.octo.ghe.com"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_a_servers_own_address_will_do(given: str | None, base: str) -> None:
    """The API of a server is below its address, that of a cloud beside it."""
    assert base == location.base_of(given, of="x")


@pytest.mark.parametrize(
    ("base", "site"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://github.example.com/api/v3", "https://github.example.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com"),
    ],
)
def test_people_see_it_on_its_site(base: str, site: str) -> None:
    """Where the service's own answers have no address."""
    assert site == location.site_of(base)


def test_only_servers_have_that_path() -> None:
    """Their API is an older one."""
    assert [False, True] == [location.is_server(base) for base in ("https://api.github.com", "https://h/api/v3")]


def test_a_repository_is_named_or_the_error_has_a_remedy() -> None:
    """By owner and name, or by a remote."""
    assert "o/r" == location.repository_in("git@github.com:o/r.git")
    with pytest.raises(errors.ConfigurationError, match="names no repository"):
        location.repository_in("somewhere")


def test_names_are_segments_of_paths() -> None:
    """Any character is encoded."""
    assert "/repos/o/r%3Fx/y" == location.repository_path("o/r?x", "/y")
