"""The report of a fleet as Markdown. Pure.

Keys, reasons, branches and URLs are text of agents and services: they are escaped and have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._export.markdown import page, section
from .._patches.hidden_characters import escape
from .._values.markdown_text import code_span, escaped, fenced, one_line, table
from . import report_words as words
from .report_values import ReportData, ReportedItem


def markdown_report(report: ReportData) -> str:
    """Return the report as a Markdown document."""
    items = [_item(each) for each in report.items]
    return page(
        section(f"Fleet {report.status.fleet.name}", _facts(report), level=1),
        section("What is unfinished", _unfinished(report), _commands(report)),
        section("Services", _services(report)),
        section("Waves", table(words.WAVE_HEADER, [words.wave_row(each) for each in report.waves]))
        if len(report.waves) > 1
        else "",
        section("Rate", _rate(report)),
        section("Items", "\n".join(items)),
    )


def text(value: str) -> str:
    """Return text of others on one line, without any effect."""
    value = escape(one_line(value))
    return code_span(value) if "@" in value or "#" in value else escaped(value)


def code(value: str) -> str:
    """Return a name as code, without any effect."""
    return code_span(escape(one_line(value)))


def _facts(report: ReportData) -> str:
    """Return what is known about the fleet; only its reason to stop may hold text of others."""
    facts = ((name, text(value) if name == words.STOPPED else value) for name, value in words.facts(report))
    return "\n".join(f"- {name}: {value}" for name, value in facts)


def _unfinished(report: ReportData) -> str | None:
    if not report.unfinished:
        return None
    rows = [(each.kind, code(each.subject), text(each.why), code(each.command)) for each in report.unfinished]
    return table(("State", "Item or account", "Reason", "Command"), rows)


def _commands(report: ReportData) -> str | None:
    if not report.commands:
        return None
    return "Commands for the fleet as a whole:\n\n" + fenced("\n".join(map(escape, report.commands)), "sh")


def _services(report: ReportData) -> str | None:
    rows = [(code(each.provider), *words.service_row(each)) for each in report.services]
    return table(words.SERVICE_HEADER, rows) if rows else None


def _rate(report: ReportData) -> str | None:
    rows = [
        (f"{each.at:%Y-%m-%d %H:%M}Z", str(each.submitted), str(each.ended), str(each.delivered))
        for each in report.rate
        if each.submitted or each.ended or each.delivered
    ]
    if not rows:
        return None
    return table((f"From (each {words.span(report.rate[0].seconds)})", "Submitted", "Ended", "Delivered"), rows)


def _item(item: ReportedItem) -> str:
    return "\n".join(_item_lines(item))


def _item_lines(item: ReportedItem) -> Iterator[str]:
    """Yield the lines of an item: its state, the choice with its reasons, the rejections, the delivery."""
    why = f": {text(item.why)}" if item.why and item.delivery is None else ""
    yield f"- {code(item.key)} {item.state}{why}"
    if item.chosen is not None:
        reasons = "; ".join(map(text, item.reasons))
        yield f"  - chosen: {code(item.chosen)}" + (f": {reasons}" if reasons else "")
    for each in item.rejected:
        yield f"  - rejected: {code(each.candidate)}: {'; '.join(map(text, each.reasons))}"
    yield from (f"  - {text(each)}" for each in item.decisions)
    if item.delivery is not None:
        delivery = item.delivery
        places = (delivery.url, delivery.branch, delivery.commit, delivery.error)
        yield f"  - delivery: {delivery.state} {', '.join(map(code, filter(None, places)))}".rstrip()
