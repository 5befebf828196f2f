"""Errors of responses, and reading their bodies."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._protocol.decode import MAX_DETAIL, decode, detail_of, read_json, scrub
from coatcheck._protocol.effects import Response

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


class Shape(msgspec.Struct):
    number: int
    inner: list[dict[str, int]] = []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, errors.ProviderError),
        (400, errors.InvalidRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (418, errors.ProviderError),
        (422, errors.InvalidRequestError),
        (429, errors.RateLimitError),
        (500, errors.ProviderUnavailableError),
        (503, errors.ProviderUnavailableError),
    ],
)
def test_a_status_has_its_error(status: int, kind: type[errors.ProviderError]) -> None:
    """Each status has its class of error, with the attributes that a caller needs."""
    after = {} if status == 403 else {"retry-after": "3"}  # a 403 that says when is a limit
    response = Response(status, {"x-request-id": "r1", **after}, b'{"detail": "why"}')

    with pytest.raises(kind) as caught:
        decode(response, Shape)

    assert (kind, status, "why", "r1") == (
        type(caught.value),
        caught.value.status,
        caught.value.detail,
        caught.value.request_id,
    )
    assert getattr(caught.value, "retry_after", 3.0) == 3.0


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"detail": "Invalid task ID"}', "Invalid task ID"),
        (b'{"detail": {"message": "deep"}}', "deep"),
        (b'{"detail": [{"msg": "one", "loc": ["a"]}, {"msg": "two"}]}', "one; two"),
        (b'{"error": {"message": "bad", "type": "x"}}', "bad"),
        (b'{"error": "invalid_grant", "error_description": "gone"}', "gone"),
        (b'{"type": "about:blank", "title": "No", "status": 400}', "No"),
        (b"plain   text\n here", "plain text here"),
        (b"<!DOCTYPE html><title>Just a moment...</title>" + b"x" * 10_000, "an HTML page titled 'Just a moment...'"),
        (b"", None),
        (b"{}", None),
        (b"[" * 100_000, "[" * MAX_DETAIL + "…"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_reason_of_an_error(body: bytes, detail: str | None) -> None:
    """The reason is read from detail, error.message, a problem's title, text or an HTML title, as one short line."""
    assert detail == detail_of(Response(400, {}, body))


@pytest.mark.parametrize(
    "text",
    [
        f"token {JWT} refused",
        "Authorization: Bearer abc.def",
        "key sk-abcdefghijklmnopqrstuvwx",
        "of someone@example.com",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    """JWTs, bearer headers, keys and addresses in a service's response are masked in messages."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        decode(Response(400, {}, msgspec.json.encode({"detail": text})), Shape)

    assert "[hidden]" in str(caught.value)
    assert not {JWT, "abc.def", "sk-abcdefghijklmnopqrstuvwx", "someone@example.com"} & set(str(caught.value).split())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"number": "one"}', "$.number"),
        (b"{}", "$"),
        (b'{"number": 1, "inner": [{}, {"a": null}]}', "$.inner[1][...]"),
        (b"not json", "$"),
        (b"", "$"),
        (b"[1]", "$"),
        (b'{"number": 1', "$"),
        (b"\xff", "$"),
        (b"[" * 5000, "$"),
    ],
)
def test_an_unreadable_answer_names_the_place(body: bytes, path: str) -> None:
    """The JSON path of what is wrong is data, and the body is not in the message."""
    with pytest.raises(errors.UnreadableResponseError) as caught:
        read_json(body, Shape)

    assert path == caught.value.path


def test_html_with_a_good_status_is_named() -> None:
    """The error for an HTML page in place of JSON names HTML."""
    with pytest.raises(errors.UnreadableResponseError, match="text/html instead of JSON"):
        decode(Response(200, {"content-type": "text/html; charset=utf-8"}, b"<html>"), Shape)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_the_one_error(body: bytes) -> None:
    """Any bytes give a value or `UnreadableResponseError`."""
    try:
        value = read_json(body, Shape)
    except errors.UnreadableResponseError as error:
        value = error

    assert isinstance(value, Shape | errors.UnreadableResponseError)


@given(st.text(max_size=200))
def test_masking_is_idempotent(text: str) -> None:
    """Masking twice gives the same text as masking once."""
    assert scrub(text) == scrub(scrub(text))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\ude00b"', "\ufffdb"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\UD83D"', None),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'"\ud83d\n"', "\ufffd\n"),
        (rb'"\uD83D\uDE00"', "\U0001f600"),
        (b'"cut \xf0\x9f"', "cut \ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
        (b'\xef\xbb\xbf"marked"', "marked"),
        (b'\xef\xbb\xbf"a\\ud83d"', "a\ufffd"),
    ],
)
@pytest.mark.parametrize("shape", [str, object])
def test_half_surrogates_and_byte_order_marks(body: bytes, text: str | None, shape: type) -> None:
    """Halves of surrogate pairs become U+FFFD, escaped backslashes stay, and a byte-order mark is ignored (RFC 8259, 8.1 and 8.2)."""
    try:
        read = read_json(body, shape)
    except errors.UnreadableResponseError:
        read = None

    assert text == read


def test_half_a_surrogate_changes_no_other_item() -> None:
    """The other items of a page, also those that are decoded later, are unchanged."""
    page = read_json(rb'[{"text": "a\ud83d"}, {"text": "\u00e9"}]', list[dict[str, msgspec.Raw]])

    assert ["a\ufffd", "\u00e9"] == [read_json(item["text"], str) for item in page]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_codings_are_refused(coding: str) -> None:
    """JSON in another encoding than UTF-8 is refused (RFC 8259, 8.1)."""
    body = (("\ufeff" if coding == "utf-16-be" else "") + '{"number": 1}').encode(coding)

    with pytest.raises(errors.UnreadableResponseError) as caught:
        read_json(body, Shape)

    assert ("UTF-16" in str(caught.value)) == (coding != "utf-32-be")


@given(st.text(), st.text())
def test_valid_json_is_unchanged(before: str, after: str) -> None:
    """Cleaning changes nothing in JSON text without half surrogate pairs."""
    body = msgspec.json.encode(before)[:-1] + rb"\ud83d" + msgspec.json.encode(after)[1:]

    assert f"{before}\ufffd{after}" == read_json(body, str)
