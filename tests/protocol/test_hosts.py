from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.hosts import is_loopback, may_go_to

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


@given(st.one_of(st.text("0123456789.:abfx%", max_size=16), st.ip_addresses().map(str)))
def test_an_address_is_loopback_where_the_standard_library_finds_it_so(host: str) -> None:
    """A host that is not read as an address is none."""
    try:
        expected = ipaddress.ip_address(host).is_loopback
    except ValueError:
        expected = False

    assert expected == is_loopback(host)
