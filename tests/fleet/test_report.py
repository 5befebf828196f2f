"""Reports of fleets: what they contain, and that text of others has no effect in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fleet.fixtures import CountedDeliveries, FleetFixture, spec_of

from coatcheck import FleetReport, TaskRef, errors
from coatcheck._fleet.quantities import dollars
from coatcheck._fleet.report_building import MAX_POINTS, FleetRows, fleet_report, rate_of, report_of
from coatcheck._fleet.report_words import facts
from coatcheck._model.fleets import (
    CandidateState,
    FleetAccount,
    FleetCandidate,
    FleetDelivery,
    FleetItem,
    FleetRecord,
    FleetState,
    FleetStatus,
    ItemState,
)
from coatcheck.cloud.faults import Status
from coatcheck.testing import CloudResult

START = datetime(2026, 11, 28, 9, tzinfo=UTC)
HOSTILE = "</dd><script>alert(1)</script>|`x`[a](javascript:alert(1)) @team #1 \u202e\x1b[31m <!-- $x$"


def rows_of(state: ItemState = ItemState.OPEN, **changes: Any) -> FleetRows:
    """Return the rows of a fleet with one item in *state* and its candidate; *changes* replace rows."""
    fleet = FleetRecord(id=1, name="typing", digest="", state=FleetState.RUNNING, created_at=START)
    item = FleetItem(id=1, key="p0", state=state, changed_at=START)
    rows = FleetRows(
        FleetStatus(fleet=fleet, items={state.value: 1}),
        [item],
        [FleetCandidate(id=1, item=1, key="", provider="codex")],
        [],
        {},
    )
    return rows._replace(**changes)


def report_after_run(fleet: FleetFixture) -> FleetReport:
    """Return the report of a fleet."""
    return fleet_report(fleet.control, fleet.spec.name)


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str | None] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_delivered_fleet_has_every_item_its_choice_and_its_place(tmp_path: Path) -> None:
    """The report of a fleet that was delivered has what each service did, and of each item the choice and the place."""
    fleet = FleetFixture(tmp_path, spec_of(3))
    fleet.run()
    report = report_after_run(fleet)
    costs = [value for name, value in facts(report) if name == "Cost"]
    assert (["unknown: no service has reported what a task cost"], 3) == (costs, report.status.unknown_costs)

    (service,) = report.services
    places = [each.delivery.url for each in report.items if each.delivery]
    expected = (3, 3, 3, 0, 3, ["/patches/p0", "/patches/p1", "/patches/p2"], (), ())
    assert expected == (
        service.tasks,
        service.submitted,
        service.succeeded,
        service.failed,
        service.chosen,
        places,
        report.unfinished,
        report.commands,
    )


def test_an_item_without_a_change_has_its_reason_and_its_command(tmp_path: Path) -> None:
    """What failed is named with the reason and the command that sends it back."""
    fleet = FleetFixture(tmp_path, spec_of(1), result=CloudResult(messages=("Nothing to do.",)))
    fleet.run()
    report = report_after_run(fleet)
    (unfinished,) = report.unfinished

    assert ("exhausted", "p0", "coatcheck fleet retry typing p0", True) == (
        unfinished.kind,
        unfinished.subject,
        unfinished.command,
        bool(unfinished.why and report.items[0].rejected[0].reasons),
    )


def test_a_failed_delivery_is_in_the_report(tmp_path: Path) -> None:
    """The error of a delivery is the reason of its item, and the report has the command that delivers again."""
    fleet = FleetFixture(tmp_path, spec_of(2))
    fleet.deliveries = CountedDeliveries(errors.ConfigurationError("main is protected", remedy="set deliver.branch"))
    fleet.run()
    report = report_after_run(fleet)

    assert [("failed", "main is protected; set deliver.branch", True)] == [
        (each.kind, each.why, each.command == f"coatcheck fleet retry typing {each.subject}")
        for each in report.unfinished
    ]


def test_a_parked_account_is_in_the_report_with_its_time(tmp_path: Path) -> None:
    """An account without quota is named with the time from which it may submit again."""
    fleet = FleetFixture(tmp_path, spec_of(2), faults=[Status(429, retry_after=1800, on="create_task", times=50)])
    fleet.run()
    report = report_after_run(fleet)

    assert [("parked", "codex")] == [(each.kind, each.subject) for each in report.unfinished]
    assert report.unfinished[0].why.startswith("no submission before 20")


def test_an_uncertain_submission_is_in_the_report(tmp_path: Path) -> None:
    """A task that may exist is named with the command for a person who has looked at the service."""
    candidate = FleetCandidate(
        id=1, item=1, key="", provider="codex", state=CandidateState.UNCERTAIN, error="a task may exist"
    )
    report = report_of(rows_of(candidates=[candidate]), START)

    assert [("uncertain", "p0", "a task may exist", "coatcheck fleet retry --uncertain typing p0")] == [
        (each.kind, each.subject, each.why, each.command) for each in report.unfinished
    ]


@pytest.mark.parametrize("state", [state for state in ItemState if state is not ItemState.DELIVERED])
def test_every_item_that_was_not_delivered_is_explained(state: ItemState) -> None:
    """Of a fleet that is not running each item that was not delivered has a reason, or a command that continues it."""
    rows = rows_of(state)
    fleet = msgspec.structs.replace(rows.status.fleet, state=FleetState.PAUSED)
    item = msgspec.structs.replace(rows.items[0], why="a reason")
    report = report_of(rows._replace(status=msgspec.structs.replace(rows.status, fleet=fleet), items=[item]), START)

    is_moving = state in (ItemState.RANKED, ItemState.APPROVED, ItemState.DELIVERING)
    assert is_moving or report.items[0].why or report.unfinished
    assert "coatcheck fleet resume typing" in report.commands


def test_the_choice_has_the_sentences_of_the_ranking() -> None:
    """The reasons of a choice are those of the ranking, with each comparison that it won."""
    candidates = [
        FleetCandidate(id=number, item=1, key="", provider="codex", ref=TaskRef("codex", f"t{number}"))
        for number in (1, 2)
    ]
    review = {
        "choice": "codex:t1",
        "reason": "it passes tests",
        "steps": [{"higher": "codex:t1", "lower": "codex:t2", "reason": "fewer lines: 3 against 9", "is_tie": False}],
        "cards": [{"candidate": {"name": "codex:t2"}, "rejections": ["it fails lint"]}],
    }
    item = FleetItem(id=1, key="p0", state=ItemState.RANKED, chosen=1)
    (reported,) = report_of(rows_of(items=[item], candidates=candidates, reviews={1: review}), START).items

    assert (
        "codex:t1",
        ("it passes tests", "before codex:t2: fewer lines: 3 against 9"),
        [("codex:t2", ("it fails lint",))],
    ) == (
        reported.chosen,
        reported.reasons,
        [(each.candidate, each.reasons) for each in reported.rejected],
    )


@pytest.mark.parametrize("seconds", [0, 59, 3600, 86_400, 400 * 86_400])
def test_the_rate_counts_everything_once(seconds: int) -> None:
    """Every submission and every end is in one interval, and there are few intervals however long a fleet takes."""
    candidates = [
        FleetCandidate(
            id=number,
            item=1,
            key="",
            provider="codex",
            ref=TaskRef("codex", "t"),
            submitted_at=START,
            ended_at=START + timedelta(seconds=seconds),
        )
        for number in range(3)
    ]
    points = [*rate_of(rows_of(candidates=candidates))]

    assert (3, 3) == (sum(each.submitted for each in points), sum(each.ended for each in points))
    assert len(points) <= MAX_POINTS + 12


def hostile_report() -> FleetReport:
    """Return a report in which every text of others is hostile."""
    item = FleetItem(id=1, key=HOSTILE, repository=HOSTILE, state=ItemState.FAILED, why=HOSTILE, chosen=1)
    waiting = FleetItem(id=2, key="x", state=ItemState.WAITING, why=HOSTILE)
    candidates = [
        FleetCandidate(id=1, item=1, key="", provider=HOSTILE, state=CandidateState.FAILED, error=HOSTILE),
        FleetCandidate(id=2, item=2, key="", provider="codex", state=CandidateState.UNCERTAIN, error=HOSTILE),
    ]
    delivery = FleetDelivery(
        item=1,
        key="k",
        kind="branch",
        state="failed",
        branch=HOSTILE,
        commit=HOSTILE,
        url="javascript:alert(1)",
        error=HOSTILE,
    )
    account = FleetAccount(provider="codex", name=HOSTILE, parked_until=START + timedelta(hours=1), reason=HOSTILE)
    fleet = FleetRecord(
        id=1, name="typing", digest="", state=FleetState.DONE, created_at=START, stopped_because=HOSTILE
    )
    status = FleetStatus(fleet=fleet, items={"failed": 1, "waiting": 1}, candidates={"planned": 1}, accounts=(account,))
    review = {"reason": HOSTILE, "steps": [], "cards": []}
    decisions = {item.key: [HOSTILE]}
    return report_of(FleetRows(status, [item, waiting], candidates, [delivery], {1: review}, decisions), START)


def test_hostile_text_has_no_effect_in_html() -> None:
    """Whatever agents and services write is text on the page, which has no script and nothing that it loads."""
    page = Page(hostile_report().to_html())

    assert set() == page.elements & {"script", "img", "iframe", "link", "object", "form", "a"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.links == []
    assert page.text.count("<script>alert(1)</script>") > 8
    assert not {"\u202e", "\x1b"} & set(page.text)


def test_only_safe_urls_are_links() -> None:
    """The URL of a pull request is a link; another address is text."""
    delivery = FleetDelivery(
        item=1, key="k", kind="pull_request", state="done", url="https://github.com/acme/api/pull/7"
    )
    page = Page(report_of(rows_of(ItemState.DELIVERED, deliveries=[delivery]), START).to_html())

    assert ["https://github.com/acme/api/pull/7"] == page.links


def test_the_policy_of_the_page_allows_its_style_and_nothing_else() -> None:
    """The page has a content security policy with the digest of its style."""
    text = hostile_report().to_html()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    import base64
    import hashlib

    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_hostile_text_has_no_effect_in_markdown() -> None:
    """In Markdown text of others is escaped or code: no HTML, no link, no mention, no further cell of a table."""
    text = hostile_report().to_markdown()
    outside_code = re.sub(r"(`+) .*? \1(?!`)", "", text)
    tables = [line for line in text.splitlines() if line.startswith("|")]

    assert ([], []) == (
        re.findall(r"<|\]\(|@", outside_code),
        [line for line in tables if line.count(" | ") not in (3, 8)],
    )


def test_a_report_is_read_back() -> None:
    """The JSON of a report has every field and is read back as an equal report."""
    report = hostile_report()

    assert report == FleetReport.from_dict(report.to_dict())


def test_a_decision_is_in_the_report_with_who_made_it(tmp_path: Path) -> None:
    """Who approved or rejected an item, and why, is in the report, also after the item was delivered."""
    fleet = FleetFixture(tmp_path, spec_of(2, approve={"otherwise": "person"}))
    fleet.run()
    fleet.control.reject("typing", ["p0"], by="ana", why="too large")
    fleet.control.approve("typing", by="ben", why="read it")
    fleet.run()

    assert [("approved by ben: read it",), ("rejected by ana: too large",)] == sorted(
        each.decisions for each in report_after_run(fleet).items
    )


def test_a_known_cost_is_never_shown_as_nothing() -> None:
    """An amount that would be rounded to nothing is less than a cent."""
    expected = ["$0.00", "less than $0.01", "$0.01", "$1.50"]

    assert expected == [dollars(amount) for amount in (0.0, 0.004, 0.006, 1.5)]
