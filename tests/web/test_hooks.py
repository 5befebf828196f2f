"""The pages of webhooks and of the audit log."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web.web_support import Pages

from coatcheck._store.hooks import HookDelivery


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Pages]:
    """The page of a user who has one hook."""
    pages = Pages(tmp_path)
    pages.site.hooks.add("https://example.com/<hook>?a=1", (), allowed=())
    yield pages
    pages.site.close()


def hook_of(pages: Pages) -> str:
    """Return the id of the hook."""
    (hook,) = pages.site.hooks.hooks.list_hooks()
    return hook.id


def latest(pages: Pages) -> HookDelivery:
    """Return the newest delivery."""
    return pages.site.hooks.deliveries(hook=None, limit=1)[0]


def test_a_hook_is_switched_off_and_on_and_that_is_in_the_log(hooked: Pages) -> None:
    """A hook is shown with its address as text; its switch is recorded with who pressed it."""
    id = hook_of(hooked)
    shown = hooked.browser.get("/hooks")
    words = [hooked.browser.submit("/hooks", f"/hooks/{id}/switch").words for _ in range(2)]
    log = hooked.browser.get("/log").words

    assert (True, True, True, 2) == (
        "https://example.com/&lt;hook&gt;?a=1" in shown.text,
        f"{id} is off." in words[0],
        f"{id} is on." in words[1],
        log.count(f"hook:{id}"),
    )


def test_a_delivery_that_was_given_up_is_sent_again_with_the_button(hooked: Pages) -> None:
    """A failed delivery has a button, which makes it due again with the same id; one that is due has none."""
    hooked.submit()
    due = hooked.browser.get("/hooks").text
    store, delivery = hooked.site.hooks.hooks, latest(hooked)
    store.record_attempt(delivery, state="failed", due_at=None, status=500, detail="no")
    failed = hooked.browser.get(f"/hooks?hook={delivery.hook}")
    hidden = failed.fields("/hooks/replay")
    hooked.browser.post("/hooks/replay", {**hidden, "delivery": delivery.id})
    again = next(each for each in store.list_deliveries() if each.id == delivery.id)

    assert (False, True, "due") == (f'value="{delivery.id}"' in due, "500 no" in failed.words, again.state)


def test_a_test_goes_only_to_addresses_that_the_command_permits(tmp_path: Path) -> None:
    """The page cannot send to an address of the machine or its network, which the command line permits by an option."""
    pages = Pages(tmp_path)
    pages.site.hooks.add("http://127.0.0.1:9/x", (), allowed=("http://127.0.0.1:*",))
    id = hook_of(pages)
    answer = pages.browser.submit("/hooks", f"/hooks/{id}/test")
    pages.site.close()

    assert (True, True) == (400 <= answer.status < 500, "--allow-hook" in answer.words)


def test_a_hook_or_a_delivery_that_does_not_exist_is_an_error_with_a_remedy(hooked: Pages) -> None:
    """An unknown hook in the query or in a form is refused with the command that lists them."""
    csrf = hooked.browser.get("/hooks").fields(f"/hooks/{hook_of(hooked)}/switch")["csrf"]
    answers = [
        hooked.browser.get("/hooks?hook=none"),
        hooked.browser.post("/hooks/none/switch", {"csrf": csrf, "state": "on"}),
        hooked.browser.post("/hooks/replay", {"csrf": csrf, "delivery": "none"}),
    ]

    assert [True] * 3 == [400 <= each.status < 500 and "hook" in each.words for each in answers]


def test_the_log_has_pages(pages: Pages) -> None:
    """A page of the log has 100 entries; the link leads to the older ones, and no entry is left out or repeated."""
    for number in range(130):
        pages.site.events.append([_performed(number)])
    first = pages.browser.get("/log").text
    older = first.rpartition('href="/log?before=')[2].partition('"')[0]
    second = pages.browser.get(f"/log?before={older}").text

    assert [f"text {number}." for number in range(130)] == [
        text for text in (f"text {number}." for number in range(130)) if (first + second).count(text) == 1
    ]


def _performed(number: int) -> object:
    from coatcheck import ActionPerformed

    return ActionPerformed(subject="checkout:/x", action="undo", by="ann", via="web", text=f"text {number}.")


def test_the_deliveries_have_pages(hooked: Pages) -> None:
    """A page has 100 deliveries; the link leads to the older ones, and each is on one page."""
    for number in range(130):
        hooked.site.events.append([_performed(number)])
    first = hooked.browser.get("/hooks").text
    older = html.unescape(first.rpartition('rel="next" href="')[2].partition('"')[0])
    second = hooked.browser.get(older.partition("#")[0]).text
    ids = [each.id for each in hooked.site.hooks.deliveries(hook=None, limit=200)]

    assert (130, ids[:100], ids[100:]) == (
        len(ids),
        [id for id in ids if f">{id}<" in first],
        [id for id in ids if f">{id}<" in second],
    )
