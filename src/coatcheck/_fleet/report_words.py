"""Words that the Markdown and the HTML report of a fleet share. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from .._model.fleets import FleetStatus
from .quantities import dollars
from .report_values import ReportData, ServiceReport, WaveReport

MISSING = "-"
ITEMS, STOPPED = "Items", "Stopped because"
_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float | None) -> str:
    """Return a length of time in its two largest units: "4m 12s", "2h", a dash where it is not known."""
    if seconds is None:
        return MISSING
    remaining = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _SPANS:
        count, remaining = divmod(remaining, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0s"


def share(part: float | None) -> str:
    """Return a share as a percentage, a dash where it is not known."""
    return MISSING if part is None else f"{part:.0%}"


def moment(at: datetime) -> str:
    """Return a moment in UTC."""
    return f"{at:%Y-%m-%d %H:%M}Z"


def facts(report: ReportData) -> Iterator[tuple[str, str]]:
    """Yield what is known about the fleet as a whole."""
    fleet = report.status.fleet
    yield "Outcome", report.status.outcome
    if fleet.stopped_because:
        yield STOPPED, fleet.stopped_because
    yield "First run", moment(fleet.created_at)
    yield "Report", moment(report.made_at)
    yield ITEMS, counts(report.status.items)
    yield "Tasks", counts(report.status.candidates)
    yield "Cost", cost(report.status)


def counts(states: Mapping[str, int]) -> str:
    """Return counts by state: "2 delivered, 1 failed"."""
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


SERVICE_HEADER = ("Service", "Tasks", "Submitted", "Succeeded", "Failed", "Success", "Chosen", "Median time", "Longest")


def service_row(service: ServiceReport) -> tuple[str, ...]:
    """Return the cells of a service after its name."""
    numbers = (service.tasks, service.submitted, service.succeeded, service.failed)
    return (
        *map(str, numbers),
        share(service.success_rate),
        str(service.chosen),
        span(service.median_seconds),
        span(service.longest_seconds),
    )


WAVE_HEADER = ("Wave", "Items", "Finished", "Delivered", "State")


def wave_row(wave: WaveReport) -> tuple[str, ...]:
    """Return the cells of a wave."""
    state = "not begun" if not wave.has_begun else "finished" if wave.settled == wave.items else "in progress"
    return (str(wave.number + 1), str(wave.items), str(wave.settled), str(wave.delivered), state)


def cost(status: FleetStatus) -> str:
    """Return what tasks have cost, and of how many that is unknown: "$1.20, unknown of 3 tasks"."""
    if status.spent is None:
        return "unknown: no service has reported what a task cost"
    count = status.unknown_costs
    unknown = f", unknown of {count} task{'' if count == 1 else 's'}" if count else ""
    return f"{dollars(status.spent)}{unknown}"
