"""The report of a fleet as one HTML file. Pure.

Invariants:

- it has no script and refers to no other file, and its content security policy allows neither;
- text of agents and services is escaped (`markup.element`), and a URL is a link only where `is_safe_url` allows it;
- it is readable on a phone, on paper, and in dark and light.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from . import report_words as words
from .markup import Markup, element, joined, linked, table
from .report_charts import rate_chart, rate_legend, state_bar, state_legend, success_bar
from .report_style import STYLE
from .report_values import ReportData, ReportedItem, Unfinished

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
META = (
    '<meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="referrer" content="no-referrer">'
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
)


def html_report(report: ReportData) -> str:
    """Return the report as an HTML document."""
    title = element("title", f"Fleet {report.status.fleet.name}")
    head = element("head", Markup(META), title, Markup(f"<style>{STYLE}</style>"))
    body = element("body", element("main", *_sections(report)))
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _sections(report: ReportData) -> Iterator[Markup]:
    yield _header(report)
    if report.unfinished or report.commands:
        yield _section("What is unfinished", *_unfinished(report))
    if report.services:
        yield _section("Services", _services(report))
    if report.rate:
        each = f"Each group of bars is {words.span(report.rate[0].seconds)}; times are UTC."
        yield _section("Rate", rate_legend(), rate_chart(report.rate), element("p", each, class_="note"))
    if len(report.waves) > 1:
        yield _section("Waves", table(words.WAVE_HEADER, (words.wave_row(each) for each in report.waves)))
    yield _section("Items", *map(_item, report.items))


def _section(title: str, *content: Markup) -> Markup:
    return element("section", element("h2", title), *content)


def _header(report: ReportData) -> Markup:
    facts = (_fact(name, value) for name, value in words.facts(report) if name != words.ITEMS)
    return element(
        "header",
        element("h1", f"Fleet {report.status.fleet.name}"),
        state_bar(report.status.items),
        state_legend(report.status.items),
        element("dl", *facts),
    )


def _services(report: ReportData) -> Markup:
    header = ("Service", "", *words.SERVICE_HEADER[1:])
    return table(header, ((each.provider, success_bar(each), *words.service_row(each)) for each in report.services))


def _unfinished(report: ReportData) -> Iterator[Markup]:
    if report.unfinished:
        header = ("Item or account", "State", "Reason", "Command")
        yield table(header, map(_unfinished_row, report.unfinished), class_="stacked")
    if report.commands:
        yield element("p", "Commands for the fleet as a whole:")
        yield element("ul", *(element("li", element("code", each)) for each in report.commands))


def _unfinished_row(each: Unfinished) -> tuple[str, ...]:
    return (each.subject, each.kind, each.why, element("code", each.command))


def _item(item: ReportedItem) -> Markup:
    place = f"{item.repository} " if item.repository and item.repository not in item.key else ""
    summary = element(
        "summary", element("b", item.key), f" {place}", element("span", item.state, class_=f"state {item.state}")
    )
    return element("details", summary, element("dl", *_item_facts(item)))


def _item_facts(item: ReportedItem) -> Iterator[Markup]:
    """Yield the state's reason, the choice and its reasons, the rejections, and the delivery of an item."""
    if item.why and item.delivery is None:
        yield _fact("State", item.why)
    if item.chosen is not None:
        yield _fact("Chosen", element("code", item.chosen), *_list(item.reasons))
    for each in item.rejected:
        yield _fact("Rejected", element("code", each.candidate), *_list(each.reasons))
    if item.decisions:
        yield _fact("Decisions", *_list(item.decisions))
    if item.delivery is not None:
        delivery = item.delivery
        yield _fact("Delivery", f"{delivery.kind}, {delivery.state}")
        places = {"Where": delivery.url, "Branch": delivery.branch, "Commit": delivery.commit, "Error": delivery.error}
        for name, value in places.items():
            if value:
                yield _fact(name, linked(value))


def _fact(name: str, *content: str) -> Markup:
    return joined([element("dt", name), element("dd", *content)])


def _list(reasons: tuple[str, ...]) -> Iterator[Markup]:
    if reasons:
        yield element("ul", *(element("li", each) for each in reasons))
