"""Requests of an ASGI server: framing and names of hosts."""

from __future__ import annotations

import pytest

from coatcheck._server.asgi_requests import body_size, is_loopback_host


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", True),
        ("127.0.0.1:80", True),
        ("LOCALHOST", True),
        ("[::1]:1", True),
        ("localhost.example.com", False),
        ("127.0.0.1@example.com", False),
        ("127.0.0.1:", False),
        ("127.0.0.1.", False),
    ],
)
def test_only_loopback_names_are_accepted(host: str, expected: bool) -> None:
    """A Host header is accepted only when it is a name of loopback with an optional port."""
    actual = is_loopback_host(host)

    assert expected == actual


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], "1.1"),
        ([(b"transfer-encoding", b"chunked")], "1.0"),
        ([], "2"),
    ],
)
def test_a_body_framed_in_two_ways_is_refused(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """A request whose body two programs could read in two ways raises an error."""
    with pytest.raises(ValueError, match="chunked") as caught:
        body_size({"headers": headers, "http_version": version})

    expected, actual = ValueError, caught.type

    assert expected == actual
