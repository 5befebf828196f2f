"""Addresses that a webhook may be sent to."""

from __future__ import annotations

import ipaddress

import pytest

from coatcheck import errors
from coatcheck._webhooks.targets import Target, check_addresses, is_global, read_target

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    ("url", "allowed", "expected"),
    [
        ("https://example.com", (), Target("https", "example.com", 443, "/", False)),
        ("https://EXAMPLE.com:443/a?b=c", (), Target("https", "example.com", 443, "/a?b=c", False)),
        ("http://127.0.0.1:80/x", ("http://127.0.0.1:*",), Target("http", "127.0.0.1", 80, "/x", True)),
        ("http://127.0.0.1/x", ("http://127.0.0.1",), Target("http", "127.0.0.1", 80, "/x", True)),
        ("http://[::1]:8080/", ("http://[::1]:8080",), Target("http", "::1", 8080, "/", True)),
        ("https://hooks.internal/", ("https://hooks.internal",), Target("https", "hooks.internal", 443, "/", True)),
    ],
)
def test_targets_that_are_read(url: str, allowed: tuple[str, ...], expected: Target) -> None:
    """A target is https on port 443, or has an origin that was allowed."""
    assert expected == read_target(url, allowed=allowed)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://example.com/", ()),
        ("https://example.com:8443/", ()),
        ("https://user:password@example.com/", ()),
        ("https://user@example.com/", ("https://example.com",)),
        ("ftp://example.com/", ()),
        ("https:///path", ()),
        ("https://example.com:99999/", ()),
        ("https://exa mple.com/", ()),
        ("https://example.com/#part", ()),
        ("file:///etc/passwd", ()),
        ("", ()),
        ("http://127.0.0.1:8081/", ("http://127.0.0.1:8080",)),
        ("http://127.0.0.1:8080/", ("https://127.0.0.1:*",)),
        ("http://127.0.0.1.example.com/", ("http://127.0.0.1:*",)),
    ],
)
def test_targets_that_are_refused(url: str, allowed: tuple[str, ...]) -> None:
    """Anything else is refused, and a password is not repeated."""
    with pytest.raises(errors.ConfigurationError) as raised:
        read_target(url, allowed=allowed)

    assert "password@" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (PUBLIC, True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff0e::1", False),
        ("::ffff:127.0.0.1", False),
        (f"::ffff:{PUBLIC}", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_global_addresses(address: str, expected: bool) -> None:
    """An address is global when it, and an IPv4 address inside it, is of the public internet."""
    assert expected == is_global(ipaddress.ip_address(address))


def test_one_inner_address_refuses_all() -> None:
    """A name with a public and an inner address is refused, in any order."""
    target = read_target("https://example.com/")
    refused = []
    for addresses in ((PUBLIC, "10.0.0.1"), ("10.0.0.1", PUBLIC), (), ("fe80::1%eth0",)):
        with pytest.raises(errors.ConfigurationError):
            check_addresses(target, addresses)
        refused.append(addresses)

    assert (4, PUBLIC) == (len(refused), check_addresses(target, [PUBLIC]))


def test_an_allowed_origin_may_be_inside() -> None:
    """An origin that was allowed by name may resolve to an address of this machine."""
    target = read_target("http://localhost:8080/", allowed=["http://localhost:8080"])

    assert "127.0.0.1" == check_addresses(target, ["127.0.0.1"])
