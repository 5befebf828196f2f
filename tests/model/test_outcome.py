"""Outcomes and the results of single requests."""

from __future__ import annotations

from coatcheck import Failure, Item, Message, Outcome, TaskState


def test_the_text_of_an_item() -> None:
    """The text of an item joins its messages with a blank line, and a failed request has no text."""
    item = Item(id="a", state=TaskState.SUCCEEDED, messages=(Message(text="one"), Message(text="two")))

    assert ("one\n\ntwo", "") == (item.text, Item(id="b", state=TaskState.FAILED).text)


def test_items_in_json() -> None:
    """Every field of an item is in the document of its outcome."""
    item = Item(id="a", state=TaskState.EXPIRED, raw_state="batch_expired", error=Failure(code="x", message="y"))
    (document,) = Outcome(items=(item,)).to_dict()["items"]  # type: ignore[misc] - a list of objects

    assert {
        "id": "a",
        "state": "expired",
        "raw_state": "batch_expired",
        "messages": [],
        "error": {"code": "x", "message": "y"},
        "model": None,
    } == document
