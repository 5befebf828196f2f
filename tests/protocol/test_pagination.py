"""Lists: every item once, and an end."""

from __future__ import annotations

import pytest
from tests.clients import COLOURS, Both
from tests.toy import ToyPage, ToyProvider, ToyService, ToyTask


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return request.param


def page(*ids: str, next: str | None = None) -> ToyPage:
    return ToyPage(tasks=[ToyTask(id=id, state="done") for id in ids], next=next)


def listed(colour: str, pages: list[ToyPage], **options: int) -> tuple[list[str], int]:
    service = ToyService()
    service.pages = pages
    tasks = Both(colour, ToyProvider(), service).list_tasks(**options)
    return [task.ref.id for task in tasks], len(service.requests)


def test_pages_are_followed_to_the_end(colour: str) -> None:
    """Every page is asked for once."""
    assert (["a", "b", "c"], 2) == listed(colour, [page("a", "b", next="1"), page("c")])


def test_a_limit_asks_for_no_page_too_many(colour: str) -> None:
    """The limit counts items, and a full limit asks nothing more."""
    assert (["a", "b"], 1) == listed(colour, [page("a", "b", next="1"), page("c")], limit=2)


def test_a_cursor_that_repeats_is_the_end(colour: str) -> None:
    """A server that sends us round in circles is left after the first round."""
    assert (["a", "b"], 2) == listed(colour, [page("a", next="1"), page("b", next="1")])


def test_an_item_that_moved_between_pages_is_listed_once(colour: str) -> None:
    """A list that grows while it is read shows nothing twice."""
    assert (["a", "b", "c"], 2) == listed(colour, [page("a", "b", next="1"), page("b", "c")])


def test_an_empty_page_with_a_cursor_is_not_the_end(colour: str) -> None:
    """Filtered pages may be empty."""
    assert (["a"], 2) == listed(colour, [page(next="1"), page("a")])
