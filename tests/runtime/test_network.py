"""What the transports agree on, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.effects import Request
from coatcheck._runtime.network import (
    Clients,
    TransportOptions,
    address,
    failure,
    find_proxy,
    read_certificates,
    unsendable,
)

if TYPE_CHECKING:
    from pathlib import Path

P, Q = "http://p:1", "http://q:2"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.test/", {}, None),
        ("https://a.test/", {"http_proxy": P}, None),
        ("https://a.test/", {"HTTPS_PROXY": P}, P),
        ("https://a.test/", {"https_proxy": P, "HTTPS_PROXY": Q}, P),
        ("https://a.test/", {"ALL_PROXY": P, "HTTPS_PROXY": ""}, P),
        ("https://a.test/", {"all_proxy": Q, "https_proxy": P}, P),
        ("https://a.test/", {"https_proxy": " p:1 "}, P),
        ("https://a.test/", {"https_proxy": "socks5h://p:1"}, "socks5h://p:1"),
        ("http://a.test/", {"HTTP_PROXY": P}, P),
        ("http://a.test/", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://a.test/", {"http_proxy": P, "REQUEST_METHOD": "GET"}, P),
        ("http://localhost:8/", {"all_proxy": P}, None),
        ("http://x.localhost/", {"all_proxy": P}, None),
        ("http://127.8.8.8/", {"all_proxy": P}, None),
        ("http://[::1]:80/", {"all_proxy": P}, None),
        ("ftp://a.test/", {"all_proxy": P}, None),
        ("http://[broken/", {"all_proxy": P}, None),
    ],
)
def test_proxy_of_the_environment(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """The scheme's own variable goes before ALL_PROXY and lower case before upper; CGI's HTTP_PROXY does not count."""
    assert proxy == find_proxy(url, environ)


@pytest.mark.parametrize(
    ("url", "exempt", "is_direct"),
    [
        ("https://a.test/", "*", True),
        ("https://a.test/", "b.test, a.test", True),
        ("https://a.test/", "b.test a.test", True),
        ("https://A.test/", "a.TEST", True),
        ("https://x.a.test/", "a.test", True),
        ("https://x.a.test/", ".a.test", True),
        ("https://xa.test/", "a.test", False),
        ("https://a.test/", "x.a.test", False),
        ("https://a.test/", "a.test:443", True),
        ("https://a.test/", "a.test:80", False),
        ("https://a.test:8443/", "a.test:8443", True),
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://10.1.2.3/", "10.1.2.3:443", True),
        ("https://[2001:db8::1]/", "2001:db8::1", True),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443", True),
        ("https://[2001:db8::1]/", "2001:db8::/32", True),
        ("https://10.1.2.3/", "nonsense/99", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy(url: str, exempt: str, is_direct: bool, name: str) -> None:
    """NO_PROXY names hosts with all below them, addresses, networks, ports, or everything."""
    assert (None if is_direct else P) == find_proxy(url, {"all_proxy": P, name: exempt})


@pytest.mark.parametrize("value", ["gopher://u:s3cret@p", "http://", "http://u:s3cret@p:port", "http://[s3cret"])
def test_bad_proxy_is_not_shown(value: str) -> None:
    """A variable that is no proxy's URL is named; its value, which may hold a password, is not."""
    with pytest.raises(errors.ConfigurationError) as caught:
        find_proxy("https://a.test/", {"https_proxy": value})

    assert "https_proxy is not the URL of a proxy" == str(caught.value)


def test_first_certificate_variable_has_precedence(tmp_path: Path) -> None:
    """Our variable precedes Codex's, and that the common one."""
    path = tmp_path / "a.pem"
    path.write_text("-----BEGIN CERTIFICATE-----")
    environ = {"COATCHECK_CA_CERTIFICATE": str(path), "CODEX_CA_CERTIFICATE": "/none", "SSL_CERT_FILE": "/none"}

    assert b"-----BEGIN CERTIFICATE-----" == read_certificates(environ)


def test_missing_certificates(tmp_path: Path) -> None:
    """A file that is not there is a configuration error that names variable and file."""
    with pytest.raises(errors.ConfigurationError) as caught:
        read_certificates({"CODEX_CA_CERTIFICATE": f"{tmp_path}/none.pem"})

    assert f"CODEX_CA_CERTIFICATE: {tmp_path}/none.pem: No such file or directory" == str(caught.value)


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1), st.sampled_from(["", "?x=1"]))
def test_query_is_kept(query: list[tuple[str, str]], start: str) -> None:
    """Query parameters are sent after those of the URL."""
    url = address(Request("GET", "/", query=tuple(query), url=f"https://u:p@a.test/b{start}"))

    expected = ("a.test", "/b", [("x", "1")][: len(start)] + query)
    parts = urlsplit(url)
    assert expected == (parts.netloc, parts.path, parse_qsl(parts.query, keep_blank_values=True))


def test_options_hide_the_environment() -> None:
    """Printing options shows no environment: it may hold tokens."""
    assert "TransportOptions(timeout=5.0)" == repr(TransportOptions(timeout=5.0, environ={"TOKEN": "s3cret"}))


def test_one_client_per_route() -> None:
    """Requests with one route share a client; streams, plain http and each proxy have another one."""
    clients = Clients(TransportOptions(environ={"https_proxy": P, "no_proxy": "b.test"}), lambda _, route: route)
    urls = ("https://a.test/1", "https://a.test/2", "https://b.test/", "http://a.test/")
    routes = [clients.take(Request("GET", "/", url=url)) for url in urls]
    routes.append(clients.take(Request("GET", "/", url=urls[0], stream=True)))

    expected = [(P, False, False), (P, False, False), (None, False, False), (None, True, False), (P, False, True)]
    assert (expected, True) == (routes, routes[0] is routes[1])


@pytest.mark.parametrize(
    ("reason", "words", "has_remedy"),
    [
        ("invalid peer certificate: UnknownIssuer", "the server's certificate is not trusted", True),
        ("tunnel error: proxy authorization required", "the proxy makes no connection", True),
        ("Connection refused (os error 111)", "the connection was refused", True),
        ("something\n new", "something new", False),
        ("error sending request for url (http://a.test/?s3cret)", "error sending request", False),
        ("", "the connection failed", False),
    ],
)
def test_reasons(reason: str, words: str, has_remedy: bool) -> None:
    """A reason is one line in plain words, with a remedy where there is one."""
    error = failure(Request("GET", "/", url="https://u:s3cret@a.test/b?s3cret"), reason, is_sent=True)

    assert (f"GET https://a.test/b: {words}", has_remedy) == (str(error), error.remedy is not None)


def test_unreadable_address() -> None:
    """An address that not even we can read is not shown."""
    error = unsendable(Request("GET", "/", url="http://[s3cret/"))

    assert "GET an address that cannot be read: not a request that can be sent" == str(error)
