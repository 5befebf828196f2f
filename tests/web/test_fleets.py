"""The pages of fleets: their progress, items, delivery, and what a person decides on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.fixtures import FirstCandidate, FleetFixture, spec_of
from tests.web.web_support import Pages, query_of

from coatcheck._model.fleets import CandidateState, ItemState

PATCH = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-old\n+{1}\n"
HOSTILE = '<img src=x onerror="hacked=true">'
HIDDEN = f"{HOSTILE}\u202e"


class FleetPages(Pages):
    """The page of one user beside a fleet of the same store."""

    def __init__(self, folder: Path, *, is_automatic: bool = False, count: int = 3, **sections: Any) -> None:
        super().__init__(folder, COATCHECK_STATE_HOME=str(folder / "state"))
        self.fleet = FleetFixture(folder, spec_of(count, **sections), clock=self.clock)
        self.fleet.review = FirstCandidate(is_automatic=is_automatic)

    def item(self, key: str) -> str:
        """Return the path of an item's page."""
        (item,) = self.fleet.control.items("typing", keys=[key])
        return f"/fleets/typing/items/{item.id}"

    def states(self) -> list[str]:
        """Return the states of the items."""
        return [each.state.value for each in self.fleet.control.items("typing")]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetPages]:
    """A fleet of which every item waits for a decision."""
    pages = FleetPages(tmp_path, approve={})
    pages.fleet.run()
    yield pages
    pages.site.close()


def test_a_fleet_shows_its_progress_and_its_items(fleet: FleetPages) -> None:
    """The list has the fleet, its page has states, waves, services and items, and a picture has a text."""
    listed, shown = fleet.browser.get("/fleets").words, fleet.browser.get("/fleets/typing")
    expected = ["3 waiting", "To decide: 3 items", "codex 3 of 3", "1 to 3 of 3", "Page 1 of 1", "p0", "p1", "p2"]
    charts = re.findall(r'<svg[^>]*aria-label="([^"]*)"', shown.text)

    assert (True, expected, True) == (
        "typing It waits for a person." in listed,
        [each for each in expected if each in shown.words],
        "items by state" in charts and len(charts) == 3,
    )


def test_a_fleet_names_what_was_left_out(fleet: FleetPages) -> None:
    """The page of a fleet says which items its last plan left out, and why; markup in a reason has no effect."""
    reasons = {f"p{number}": "<b>./gone</b> does not exist" for number in range(7)}
    fleet.fleet.control.store.save("typing", spec="{}", digest="", items=(), left_out=reasons)
    text = fleet.browser.get("/fleets/typing").text

    assert (5, 1, 0) == (
        text.count("&lt;b&gt;./gone&lt;/b&gt; does not exist"),
        text.count("2 more items were left out"),
        text.count("<b>./gone"),
    )


def test_items_are_approved_on_the_page_as_on_the_command_line(fleet: FleetPages) -> None:
    """One item is decided on its page, ticked ones in the table, the rest at once; the log has who, why and the way."""
    path = fleet.item("p0")
    one = fleet.browser.follow(_decide(fleet, path, "approve", why="read it"))
    hidden = fleet.browser.get("/fleets/typing").fields("/fleets/typing/chosen")
    fleet.browser.post("/fleets/typing/chosen", {**hidden, "action": "reject", "key": "p1"})
    fleet.browser.post("/fleets/typing/actions/approve", {"csrf": hidden["csrf"], "why": "the rest"})
    decided = [each.event for each in fleet.site.events.last(100, family="gate.decided")]
    log = fleet.browser.get("/log").words

    assert (["approved", "rejected", "approved"], {"web"}, True, True) == (
        fleet.states(),
        {getattr(each, "via", "") for each in decided},
        "Approved 1 item." in one.words,
        all(text in log for text in ("read it", "the rest", "approved", "rejected", "p1: by")),
    )


def _decide(fleet: FleetPages, path: str, word: str, **fields: str) -> Any:
    page = fleet.browser.get(path).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page))
    return fleet.browser.post(f"{path}/{word}", {**hidden, **fields})


def test_an_item_that_has_changed_since_it_was_shown_is_not_decided(fleet: FleetPages) -> None:
    """A decision about an older state of an item is refused, and changes nothing."""
    path = fleet.item("p0")
    page = fleet.browser.get(path).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page))
    fleet.fleet.control.reject("typing", ["p0"], by="ann")
    answer = fleet.browser.post(f"{path}/approve", hidden)

    assert (409, "rejected") == (answer.status, fleet.states()[0])


def test_the_table_decides_nothing_where_no_item_is_ticked(fleet: FleetPages) -> None:
    """Without a ticked item the buttons of the table are refused: they never mean all items."""
    hidden = fleet.browser.get("/fleets/typing").fields("/fleets/typing/chosen")
    answer = fleet.browser.post("/fleets/typing/chosen", {**hidden, "action": "approve"})

    assert (True, ["waiting"] * 3) == (answer.status >= 400, fleet.states())


def test_a_fleet_is_paused_resumed_retried_and_cancelled(fleet: FleetPages) -> None:
    """Each button does what its command does, and the page that follows has the result."""
    csrf = fleet.browser.get("/fleets/typing").fields("/fleets/typing/chosen")["csrf"]
    fleet.fleet.control.reject("typing", ["p2"], by="ann")

    def act(word: str, **fields: str) -> str:
        return fleet.browser.follow(
            fleet.browser.post(f"/fleets/typing/actions/{word}", {"csrf": csrf, **fields})
        ).words

    words = [act("pause"), act("resume"), act("retry", key="p2"), act("cancel", why="no need")]
    expected = ["typing is paused.", "typing may run again.", "Sent back to work: 1 item.", "typing is cancelled."]

    assert (expected, "stopping") == (
        [text for text, page in zip(expected, words, strict=True) if text in page],
        fleet.fleet.control.get("typing").state,
    )


def test_a_wave_that_waits_is_approved_with_the_button(tmp_path: Path) -> None:
    """The page names the wave that waits, and approving begins it."""
    pages = FleetPages(tmp_path, is_automatic=True, count=2, rollout={"waves": [1, "100%"]})
    pages.fleet.run()
    csrf = pages.browser.get("/fleets/typing").fields("/fleets/typing/chosen")["csrf"]
    words = pages.browser.get("/fleets/typing").words
    pages.browser.post("/fleets/typing/actions/approve", {"csrf": csrf})
    wave = pages.fleet.control.get("typing").wave
    pages.site.close()

    assert (True, 1) == ("wave 2" in words, wave)


def test_items_are_shown_by_pages_and_found_by_words_and_states(tmp_path: Path) -> None:
    """A page has 100 items; the next one has the rest; a search has no wildcard; an unknown state is an error."""
    pages = FleetPages(tmp_path, items={"package": [*(f"p{number}" for number in range(120)), "a_b", "a%b"]})
    get = pages.browser.get
    counts = [
        len(re.findall("data-item", get(f"/fleets/typing?{query}").text)) for query in ("", "page=2", "q=a_", "q=P11")
    ]
    after = re.search('rel="next" href="([^"]*)"', get("/fleets/typing").text)
    wrong = get("/fleets/typing?state=made-up").status
    pages.site.close()

    assert ([100, 22, 1, 11], {"page": "2"}, 400) == (
        counts,
        query_of(after[1].replace("#items", "")) if after else {},
        wrong,
    )


def test_the_candidates_of_an_item_are_compared_with_the_diffs_of_the_fleet(tmp_path: Path) -> None:
    """An item's comparison shows the stored diffs side by side, also of tasks that the history has not."""
    pages = FleetPages(
        tmp_path, count=1, approve={}, candidates=[{"provider": "codex", "environment": "env_1", "attempts": 2}]
    )
    pages.fleet.run()
    shown = pages.browser.get(pages.item("p0"))
    compared = pages.browser.get(f"{pages.item('p0')}/compare")
    pages.site.close()

    assert (200, True, True) == (
        compared.status,
        "side by side" in shown.words and f'href="{pages.item("p0")}" data-up' in compared.text,
        "Candidate 2" in compared.words and "hello world" in compared.words,
    )


def test_what_is_delivered_next_is_a_picture_and_a_table(fleet: FleetPages) -> None:
    """The delivery page has the merge order as SVG without style or script, and a table that says the same."""
    shown = fleet.browser.get("/fleets/typing/delivery")
    (picture,) = re.findall(r'<svg class="order".*?</svg>', shown.text, re.DOTALL)

    assert (3, 3, []) == (
        picture.count("<circle"),
        shown.text.count("data-open"),
        re.findall(r"<style|<script|\son\w+=|style=", picture),
    )


def test_the_button_delivers_once_in_the_background(fleet: FleetPages) -> None:
    """Deliver starts one delivery, whose result is on the page; a failure is an error there and not a lost request."""
    fleet.fleet.control.approve("typing", ["p0"], by="ann")
    csrf = fleet.browser.get("/fleets/typing").fields("/fleets/typing/chosen")["csrf"]
    fleet.browser.post("/fleets/typing/actions/deliver", {"csrf": csrf})
    job = fleet.site.delivery_jobs.get("typing")
    assert job is not None
    assert job.thread is not None
    job.thread.join()
    shown = fleet.browser.get("/fleets/typing/delivery").words
    actions = [getattr(each.event, "action", "") for each in fleet.site.events.last(10, family="action.")]

    assert (["deliver", "deliver"], True, False) == (actions, "delivery" in shown, job.is_running)


def test_hostile_text_of_a_fleet_is_escaped(tmp_path: Path) -> None:
    """Keys, repositories, reasons and errors with markup or hidden characters are shown as text on every page of a fleet."""
    pages = FleetPages(tmp_path, items={"package": [HOSTILE]}, count=1)
    (item,) = pages.fleet.control.items("typing")
    store = pages.fleet.control.store
    (candidate,) = store.candidates(pages.fleet.fleet.id)
    store.change_candidate(candidate.id, CandidateState.PLANNED, CandidateState.CANCELLED, error=HIDDEN)
    store.change_item(item.id, ItemState.OPEN, ItemState.EXHAUSTED, why=HIDDEN)
    paths = ["/fleets", "/fleets/typing", f"/fleets/typing/items/{item.id}", "/fleets/typing/delivery", "/log"]
    texts = [pages.browser.get(path).text for path in paths]
    pages.site.close()

    assert [] == [path for path, text in zip(paths, texts, strict=True) if "<img" in text or "\u202e" in text]


@pytest.mark.parametrize(
    "path", ["/fleets/none", "/fleets/typing/items/999", "/fleets/typing/items/x", "/fleets/typing/items/1/2/3"]
)
def test_what_does_not_exist_is_a_page_with_the_next_step(fleet: FleetPages, path: str) -> None:
    """An unknown fleet or item is 404 with a remedy."""
    assert (404, True) == ((answer := fleet.browser.get(path)).status, "coatcheck" in answer.words)


def test_a_gate_leads_to_the_change_that_is_decided(fleet: FleetPages) -> None:
    """The gate of a delivery links to the page of its item, whose comparison shows the change; an unknown key is 404."""
    shown = fleet.browser.get("/gates").text
    links = set(re.findall(r'href="(/fleets/typing/find[^"]*)"', shown))
    targets = {fleet.browser.get(link.replace("&amp;", "&")).location for link in links}

    assert ({fleet.item(key) for key in ("p0", "p1", "p2")}, 404) == (
        targets,
        fleet.browser.get("/fleets/typing/find?key=none").status,
    )
