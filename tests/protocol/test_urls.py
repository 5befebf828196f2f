from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.urls import base_url, encoded, encoded_query, origin_of


@given(st.text(min_size=1).filter(lambda text: "\ud800" not in text))
def test_a_segment_stays_one_segment(text: str) -> None:
    """An id is one segment of a path, whatever it contains."""
    segment = encoded(text.encode("utf-8", "replace").decode())

    assert not set("/?# ") & set(segment)
    assert segment not in {".", ".."}


@pytest.mark.parametrize("text", ["", "h/x", "ftp://h", "http://", "http://user:pass@h", "http://h/?q", "http://h#f"])
def test_what_is_no_base_url_is_refused(text: str) -> None:
    """The message names the provider and not the text, which may hold a password."""
    with pytest.raises(errors.ConfigurationError) as caught:
        base_url(text, of="acme")

    assert "the base URL of acme is not usable" == str(caught.value)


def test_an_origin_has_its_schemes_own_port() -> None:
    """https://x and https://X:443 are one origin."""
    assert origin_of("https://x/a") == origin_of("https://X:443/b")


HOSTS = st.text("aZ0.-:@[]\\\t\n /?#é%", max_size=12)
PORTS = st.sampled_from(["", ":", ":0", ":80", ":443", ":38475", ":65535", ":65536", ":99999", ":x", ":443\n"])


def outcome_of(read: object, url: str) -> object:
    """Return what *read* makes of *url*, None where it raises."""
    try:
        return read(url)  # type: ignore[operator]
    except ValueError:
        return None


def origin_by_urllib(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port as urllib reads them."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


@given(st.sampled_from(["http://", "https://", "HTTP://", "http:/", "ftp://"]), HOSTS, PORTS, HOSTS)
def test_an_origin_is_the_one_that_urllib_reads(scheme: str, host: str, port: str, rest: str) -> None:
    """An address that is read without urllib has the origin that urllib finds in it."""
    url = f"{scheme}{host}{port}{rest}"

    assert outcome_of(origin_by_urllib, url) == outcome_of(origin_of, url)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_a_query_is_encoded_as_urllib_does(pairs: list[tuple[str, str]]) -> None:
    """A query that needs no encoding is written without urllib, and is the same."""
    pairs = [
        (name.encode("utf-8", "replace").decode(), text.encode("utf-8", "replace").decode()) for name, text in pairs
    ]

    assert urlencode(pairs) == encoded_query(pairs)
