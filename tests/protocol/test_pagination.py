"""Pagination: every item once, and an end."""

from __future__ import annotations

import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyPage, ToyProvider, ToyService, ToyTask, reply

from coatcheck import errors
from coatcheck._protocol.effects import Response
from coatcheck._protocol.pagination import MAX_PAGES
from coatcheck.testing import FakeClock


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def page(*ids: str, next: str | None = None) -> ToyPage:
    """Return a page of tasks."""
    return ToyPage(tasks=[ToyTask(id=id, state="done") for id in ids], next=next)


def listed(variant: str, pages: list[ToyPage], **options: int) -> tuple[list[str], int]:
    """Return the ids of a list, and the number of requests."""
    service = ToyService()
    service.pages = pages
    tasks = Both(variant, ToyProvider(), service).list_tasks(**options)
    return [task.ref.id for task in tasks], len(service.requests)


def test_pages_are_followed_to_the_end(variant: str) -> None:
    """Every page is requested once."""
    assert (["a", "b", "c"], 2) == listed(variant, [page("a", "b", next="1"), page("c")])


def test_a_limit_requests_no_further_page(variant: str) -> None:
    """The limit counts items, and no page is requested after it is reached."""
    assert (["a", "b"], 1) == listed(variant, [page("a", "b", next="1"), page("c")], limit=2)


def test_a_cursor_that_repeats_is_the_end(variant: str) -> None:
    """A cursor that was sent before ends the list."""
    assert (["a", "b"], 2) == listed(variant, [page("a", next="1"), page("b", next="1")])


def test_an_item_that_moved_between_pages_is_listed_once(variant: str) -> None:
    """An item that moved to the next page is emitted once."""
    assert (["a", "b", "c"], 2) == listed(variant, [page("a", "b", next="1"), page("b", "c")])


def test_an_empty_page_with_a_cursor_is_not_the_end(variant: str) -> None:
    """An empty page with a cursor is followed by the next page."""
    assert (["a"], 2) == listed(variant, [page(next="1"), page("a")])


@pytest.mark.parametrize("ids", [True, False], ids=["items", "empty pages"])
def test_a_list_without_an_end_is_stopped(variant: str, *, ids: bool) -> None:
    """After too many pages the items are emitted, then the error has the cursor of the rest."""
    service = ToyService()
    service.page = lambda cursor: reply(page(*[f"t{cursor}"] * ids, next=str(int(cursor or 0) + 1)))  # type: ignore[method-assign]
    both = Both(variant, ToyProvider(), service)
    with pytest.raises(errors.ListUnfinishedError) as caught:
        both.list_tasks()

    assert (str(MAX_PAGES), MAX_PAGES) == (caught.value.cursor, len(service.requests))


def test_pages_that_come_slowly_are_stopped_by_the_clock() -> None:
    """After too many seconds the items are emitted, then the error has the cursor of the rest."""
    clock, service = FakeClock(), ToyService()

    def slow(cursor: str | None) -> Response:
        clock.advance(50)
        return reply(page(f"t{cursor}", next=str(int(cursor or 0) + 1)))

    service.page = slow  # type: ignore[method-assign]
    came = []
    with pytest.raises(errors.ListUnfinishedError, match="after 150 seconds"):
        came.extend(Both("blocking", ToyProvider(), service, clock=clock).client.list_tasks())

    assert 3 == len(service.requests)
