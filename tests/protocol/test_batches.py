"""The common part of batch services."""

from __future__ import annotations

import pytest

from coatcheck import Failure, Item, Message, TaskSpec, TaskState, errors
from coatcheck._protocol.batches import (
    ONLY,
    batch_error,
    batch_model,
    batch_outcome,
    batch_progress,
    batch_requests,
    partial_notices,
    read_json_lines,
)

GOOD = Item(id="b", state=TaskState.SUCCEEDED, messages=(Message(text="yes"),))
BAD = Item(id="a", state=TaskState.FAILED, error=Failure(code="x"))


def test_a_prompt_alone_is_one_request() -> None:
    """A prompt without further requests is one request with a default id."""
    assert {ONLY: "p"} == batch_requests(TaskSpec(prompt="p"), most=10)


def test_each_request_follows_the_prompt() -> None:
    """The text of each request is the prompt, an empty line and its own text."""
    spec = TaskSpec(prompt="Sum up:", requests={"one": "1", "two": "2"})

    assert {"one": "Sum up:\n\n1", "two": "Sum up:\n\n2"} == batch_requests(spec, most=10)


@pytest.mark.parametrize(
    "requests", [{}, {"a": "1", "b": "2", "c": "3"}, {"": "1"}, {"a b": "1"}, {"ä": "1"}, {"x" * 65: "1"}]
)
def test_invalid_requests_are_refused(requests: dict[str, str]) -> None:
    """No request, too many requests, and invalid ids are refused."""
    with pytest.raises(errors.ConfigurationError):
        batch_requests(TaskSpec(prompt="p", requests=requests), most=2)


def test_a_model_has_to_be_named() -> None:
    """The model comes from the task or from the settings; without either it is an error."""
    assert ("a", "b") == (
        batch_model(TaskSpec(prompt="p", model="a"), default="b", provider="x"),
        batch_model(TaskSpec(prompt="p"), default="b", provider="x"),
    )
    with pytest.raises(errors.ConfigurationError) as caught:
        batch_model(TaskSpec(prompt="p"), default=None, provider="x")

    assert "x.model" in (caught.value.remedy or "")


def test_a_broken_line_is_named() -> None:
    """Empty lines are skipped; the error has the number of the line."""
    assert [1, 2] == list(read_json_lines(b"1\n\n2\n", int))
    with pytest.raises(errors.UnreadableResponseError) as caught:
        list(read_json_lines(b'1\n"x"\n', int))

    assert "$[1]" == caught.value.path


def test_items_are_in_order_of_their_ids() -> None:
    """Items are sorted by id, and of two with one id the last is kept."""
    outcome = batch_outcome([GOOD, BAD, GOOD])

    assert ((BAD, GOOD), "yes") == (outcome.items, outcome.text)


def test_failed_requests_are_a_notice() -> None:
    """A notice names some of the failed requests; there is none where all succeeded or there was one."""
    many = batch_outcome([GOOD, *(Item(id=f"f{n}", state=TaskState.EXPIRED) for n in range(7))])

    assert ["7 of 8 requests did not succeed: f0, f1, f2, f3, f4 and 2 more"] == [n.text for n in partial_notices(many)]
    assert ((), (), ()) == (
        partial_notices(batch_outcome([GOOD])),
        partial_notices(batch_outcome([BAD])),
        partial_notices(None),
    )


def test_the_error_of_a_batch() -> None:
    """The first error is the error of a batch in which nothing succeeded; otherwise there is none."""
    assert (BAD.error, None, None) == (
        batch_error(batch_outcome([BAD])),
        batch_error(batch_outcome([BAD, GOOD])),
        batch_error(None),
    )


def test_progress_needs_a_total() -> None:
    """Progress needs a total."""
    assert ("3 of 5 requests done, 1 failed", "0 of 5 requests done", None) == (
        batch_progress(3, 1, 5),
        batch_progress(None, None, 5),
        batch_progress(0, 0, 0),
    )
