from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coatcheck._protocol import lenient


@pytest.mark.parametrize(("value", "expected"), [(5, 5), (True, None), (5.0, None), ("5", None), (None, None)])
def test_counts_are_integers(value: object, expected: int | None) -> None:
    """A boolean is not a count."""
    assert expected == lenient.whole(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5.0), ("1.5", 1.5), (True, None), ("nan", None), ("x", None), (10**400, None), ([], None)],
)
def test_numbers_are_finite(value: object, expected: float | None) -> None:
    """Numeric text is a number; infinity, NaN and other values are not."""
    assert expected == lenient.number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1970-01-01T01:00:00+01:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1970-01-01T00:00:00", datetime(1970, 1, 1, tzinfo=UTC)),
        (10**30, None),
        (True, None),
        ("yesterday", None),
    ],
)
def test_times_are_in_utc(value: object, expected: datetime | None) -> None:
    """Unix seconds and ISO 8601 are times; anything else is not."""
    assert expected == lenient.instant(value)


@pytest.mark.parametrize(("value", "expected"), [("x", "x"), ("", None), (5, None)])
def test_an_empty_text_is_missing(value: object, expected: str | None) -> None:
    """An empty text counts as missing."""
    assert expected == lenient.text(value)


@pytest.mark.parametrize(
    "text", ["1_000", "+5", " 5", "5 ", "0x10", "nan", "inf", "Infinity", "\u0665", "", "1e999", "05"]
)
def test_text_that_is_no_json_number(text: str) -> None:
    """Text that is not a JSON number is not read, although `float()` accepts it."""
    assert lenient.number(text) is None


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("-1.5", -1.5), ("1e3", 1000.0), ("0", 0.0)])
def test_a_number_may_be_sent_as_text(text: str, value: float) -> None:
    """A number may be sent as text."""
    assert value == lenient.number(text)
