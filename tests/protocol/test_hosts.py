from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.hosts import may_go_to

TRUSTED = frozenset({"auth.example"})


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example/oauth/token",
        "https://AUTH.example:443",
        "http://127.0.0.1:1/x",
        "http://[::1]",
        "https://localhost:9",
    ],
)
def test_where_a_stored_secret_may_go(url: str) -> None:
    """A stored secret goes to a trusted host over https on port 443, or to this machine."""
    assert may_go_to(url, TRUSTED)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example",
        "https://auth.example:8443",
        "https://auth.example@evil.example",
        "https://evil.example@auth.example",
        "https://auth.example.evil.example",
        "https://evil.example/auth.example",
        "https://auth.example:99999",
        "https://[",
        "file://localhost/etc/passwd",
        "auth.example",
        "",
    ],
)
def test_where_a_stored_secret_may_not_go(url: str) -> None:
    """A stored secret goes nowhere else, and no URL raises."""
    assert not may_go_to(url, TRUSTED)


@given(st.text(st.characters(exclude_characters="/?#@\\"), max_size=40))
def test_no_text_is_mistaken_for_a_trusted_host(text: str) -> None:
    """A host that only ends in a trusted name is refused, and no text raises."""
    assert not may_go_to(f"https://{text}.evil.example/", TRUSTED)
