from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.urls import base_url, encoded, origin_of


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
