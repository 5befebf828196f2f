"""A message of a result is recognised in the messages of a stream, which may be parts of it."""

from __future__ import annotations

import pytest

from coatcheck._engine.reported_messages import ReportedMessages


@pytest.mark.parametrize(
    ("reported", "text", "expected"),
    [
        (["done"], "done", ""),
        (["done"], " done \r\n", ""),
        (["one", "two"], "one\n\ntwo", ""),
        (["zero", "one", "two", "three"], "one\ntwo", ""),
        (["one\n\ntwo"], "one\ntwo\n", ""),
        (["one"], "one\n\n  two\nthree\n", "  two\nthree"),
        ([], "one", "one"),
        (["one\ntwo"], "two", "two"),
        (["one\ntwo"], "one", "one"),
        (["done with nothing"], "done", "done"),
        (["two", "one"], "one\ntwo", "two"),
        (["one"], "", ""),
        (["one"], " \n", ""),
        (["\ud800"], "\ud800", ""),
        (["one\ntwo\nthree", "four"], "[…]\ntwo\n\nthree\nfour", ""),
        (["one\ntwo"], "[…]\ntwo\nthree", "three"),
        (["one\ntwo"], "[…]\nthree", "[…]\nthree"),
        (["one\n[…]\ntwo"], "[…]\ntwo", ""),
    ],
)
def test_what_is_unreported_of_a_message(reported: list[str], text: str, expected: str) -> None:
    """Nothing where consecutive messages have its lines, the rest where the last ones are its beginning, else all."""
    messages = ReportedMessages()
    for each in reported:
        messages.add(each)

    assert expected == messages.unreported(text)


def test_a_repeated_message_is_found_once_for_each_time() -> None:
    """Messages are found in their order; lines that may be reported alone are found one by one."""
    messages = ReportedMessages()
    for text in ("done", "done"):
        messages.add(text)
    divided = ReportedMessages()
    divided.add("one\n\ntwo\nthree", is_divided=True)

    assert (["", "", "done"], ["", "", ""]) == (
        [messages.unreported("done") for _ in range(3)],
        [divided.unreported(text) for text in ("one", "three", "")],
    )
