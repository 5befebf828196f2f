"""When a service says "not before"."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from coatcheck._protocol.retry_after import is_throttled, retry_after

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"
NOW = 1795168800.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": DATE}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT"}, 60.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}, 60.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ms-retry-after-ms": "500"}, 0.5),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 30:.0f}"}, 30.0),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": f"{NOW + 30:.0f}"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 0.0),
    ],
)
def test_every_form_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, dates, milliseconds and GitHub's reset; nonsense is "did not say"."""
    assert seconds == retry_after(headers, now=NOW)


@pytest.mark.parametrize(
    ("status", "headers", "is_limit"),
    [
        (429, {}, True),
        (403, {}, False),
        (403, {"retry-after": "60"}, True),
        (403, {"x-ratelimit-remaining": "0"}, True),
        (403, {"x-ratelimit-remaining": "7"}, False),
        (404, {"x-ratelimit-remaining": "0"}, False),
    ],
)
def test_a_limit_may_say_403(status: int, headers: dict[str, str], *, is_limit: bool) -> None:
    """GitHub's limits say 403 or 429; a 403 that names no time is a refusal."""
    assert is_limit == is_throttled(status, headers)


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    """Our clock may be wrong by an hour: the answer's Date header is what Retry-After counts from."""
    assert 30.0 == retry_after(
        {"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}
    )


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-remaining", "date"]),
        st.text(max_size=40),
    )
)
def test_no_header_can_do_harm(headers: dict[str, str]) -> None:
    """Whatever stands there, the result is None or a number that is not negative."""
    seconds = retry_after(headers, now=NOW)

    assert seconds is None or seconds >= 0
