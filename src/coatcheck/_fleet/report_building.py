"""Make the report of a fleet from its rows. Pure but for `fleet_report`, which reads them."""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from .._model.fleet_events import ItemApproved, ItemRejected
from .._model.fleets import (
    FAILED_CANDIDATES,
    SETTLED_ITEMS,
    CandidateState,
    FleetAccount,
    FleetCandidate,
    FleetDelivery,
    FleetItem,
    FleetOutcome,
    FleetState,
    FleetStatus,
    ItemState,
)
from .._store.events import EventLog, StoredEvent
from .._store.fleet_pages import CandidateTimes
from . import event_values
from .control import FleetControl
from .report import FleetReport
from .report_values import (
    RatePoint,
    RejectedCandidate,
    ReportedItem,
    ServiceReport,
    Unfinished,
    WaveReport,
)

# The length of an interval of the rate (seconds): the first with which the fleet has at most `MAX_POINTS` intervals.
INTERVALS = (60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400)
MAX_POINTS = 48
# How many events are read at once.
EVENTS = 1000
_SUCCEEDED = frozenset({CandidateState.ENDED, CandidateState.VERIFIED})
_NO_CHANGE = frozenset({CandidateState.EMPTY, CandidateState.FAILED, CandidateState.EXPIRED, CandidateState.CANCELLED})


class FleetRows(NamedTuple):
    """The rows that a report is made from: last reviews by the numbers of items, decisions by their keys."""

    status: FleetStatus
    items: Sequence[FleetItem]
    candidates: Sequence[FleetCandidate]
    deliveries: Sequence[FleetDelivery]
    reviews: Mapping[int, Mapping[str, Any]]
    decisions: Mapping[str, Sequence[str]] = {}


def fleet_report(control: FleetControl, name: str) -> FleetReport:
    """Return the report of a fleet. Raises `ConfigurationError` for one that does not exist."""
    fleet = control.get(name)
    rows = FleetRows(
        status=control.store.status(fleet),
        items=control.store.items(fleet.id),
        candidates=control.store.candidates(fleet.id),
        deliveries=control.deliveries.list(fleet.id),
        reviews=control.work.reviews(fleet.id),
        decisions=_decisions(control.log, fleet.name),
    )
    return report_of(rows, datetime.fromtimestamp(control.store.clock.time(), UTC))


def _decisions(log: EventLog, name: str) -> dict[str, list[str]]:
    """Return who approved or rejected each item, and why, the oldest decision first."""
    stored = [each for family in (ItemApproved.type, ItemRejected.type) for each in _events(log, name, family)]
    decisions: dict[str, list[str]] = {}
    for each in sorted(stored, key=lambda each: each.id):
        event = each.event
        if isinstance(event, ItemApproved | ItemRejected):
            word = f"{event.type.partition('.')[2]} by {event.by or 'the fleet'}"
            decisions.setdefault(event.item, []).append(f"{word}: {event.why}" if event.why else word)
    return decisions


def _events(log: EventLog, name: str, family: str) -> Iterator[StoredEvent]:
    after = 0
    while events := log.read(after=after, subject=event_values.subject_of(name), family=family, limit=EVENTS):
        yield from events
        after = events[-1].id


def report_of(rows: FleetRows, now: datetime) -> FleetReport:
    """Return the report that *rows* make at *now*."""
    candidates: dict[int, list[FleetCandidate]] = {}
    for each in rows.candidates:
        candidates.setdefault(each.item, []).append(each)
    deliveries = {each.item: each for each in rows.deliveries}
    unfinished = (*_unfinished_items(rows, candidates), *_left_out(rows.status), *_parked(rows.status, now))
    return FleetReport(
        status=rows.status,
        made_at=now,
        services=tuple(service_reports(rows.candidates, {each.chosen for each in rows.items})),
        waves=tuple(_waves(rows)),
        rate=tuple(rate_of(rows)),
        items=tuple(
            reported_item(
                each,
                candidates.get(each.id, ()),
                rows.reviews.get(each.id, {}),
                delivery=deliveries.get(each.id),
                decisions=rows.decisions.get(each.key, ()),
            )
            for each in rows.items
        ),
        unfinished=unfinished,
        commands=tuple(_commands(rows.status, unfinished)),
    )


# --- services, waves, rate --------------------------------------------------------------------------------------------


def service_reports(
    candidates: Sequence[FleetCandidate | CandidateTimes], chosen: Container[int | None]
) -> Iterator[ServiceReport]:
    """Yield what each service has done; *chosen* are the numbers of the chosen candidates."""
    for provider in dict.fromkeys(each.provider for each in candidates):
        own = [each for each in candidates if each.provider == provider]
        seconds = [
            (each.ended_at - each.submitted_at).total_seconds() for each in own if each.ended_at and each.submitted_at
        ]
        yield ServiceReport(
            provider=provider,
            tasks=len(own),
            submitted=sum(each.ref is not None for each in own),
            succeeded=sum(each.state in _SUCCEEDED for each in own),
            failed=sum(each.state in FAILED_CANDIDATES for each in own),
            chosen=sum(each.id in chosen for each in own),
            median_seconds=median(seconds) if seconds else None,
            longest_seconds=max(seconds, default=None),
        )


def _waves(rows: FleetRows) -> Iterator[WaveReport]:
    for number in sorted({each.wave for each in rows.items}):
        own = [each.state for each in rows.items if each.wave == number]
        yield WaveReport(
            number=number,
            items=len(own),
            settled=sum(state in SETTLED_ITEMS for state in own),
            delivered=own.count(ItemState.DELIVERED),
            has_begun=number <= rows.status.fleet.wave,
        )


def rate_of(rows: FleetRows) -> Iterator[RatePoint]:
    """Yield what happened in each interval, from the first submission to the last event; nothing before one."""
    delivered = [each.changed_at for each in rows.items if each.changed_at and each.state is ItemState.DELIVERED]
    return rate_points(rows.candidates, delivered)


def rate_points(
    candidates: Sequence[FleetCandidate | CandidateTimes], delivered: Sequence[datetime]
) -> Iterator[RatePoint]:
    """Yield the points of `rate_of`; *delivered* are the times at which items were delivered."""
    times = {
        "submitted": [each.submitted_at for each in candidates if each.submitted_at and each.ref],
        "ended": [each.ended_at for each in candidates if each.ended_at],
        "delivered": [*delivered],
    }
    every = [moment for moments in times.values() for moment in moments]
    if not every:
        return
    seconds = next((each for each in INTERVALS if _intervals(every, each) <= MAX_POINTS), INTERVALS[-1])
    start = min(every).timestamp() // seconds * seconds
    counts: list[dict[str, int]] = [{} for _ in range(_intervals(every, seconds))]
    for name, moments in times.items():
        for moment in moments:
            point = counts[int((moment.timestamp() - start) // seconds)]
            point[name] = point.get(name, 0) + 1
    for number, point in enumerate(counts):
        at = datetime.fromtimestamp(start, UTC) + timedelta(seconds=number * seconds)
        yield RatePoint(at=at, seconds=float(seconds), **point)


def _intervals(moments: Sequence[datetime], seconds: int) -> int:
    first, last = (int(each.timestamp() // seconds) for each in (min(moments), max(moments)))
    return last - first + 1


# --- items ------------------------------------------------------------------------------------------------------------


def reported_item(
    item: FleetItem,
    candidates: Iterable[FleetCandidate],
    review: Mapping[str, Any],
    *,
    delivery: FleetDelivery | None = None,
    decisions: Sequence[str] = (),
) -> ReportedItem:
    """Return an item of a report: *review* is its last ranking."""
    by_id = {each.id: each for each in candidates}
    chosen = name_of(by_id[item.chosen]) if item.chosen in by_id else None
    reasons = [] if chosen is None else [*_reasons(review, chosen)]
    return ReportedItem(
        key=item.key,
        state=item.state,
        repository=item.repository,
        wave=item.wave,
        why=item.why,
        chosen=chosen,
        reasons=tuple(reasons),
        rejected=tuple(each for each in _rejected(by_id.values(), review) if each.candidate != chosen),
        decisions=tuple(decisions),
        delivery=delivery,
    )


def name_of(candidate: FleetCandidate) -> str:
    """Return the task of a candidate, or its service and number where it was not submitted."""
    return str(candidate.ref) if candidate.ref else f"{candidate.provider}/{candidate.attempt}"


def _reasons(review: Mapping[str, Any], chosen: str) -> Iterator[str]:
    if reason := review.get("reason"):
        yield reason if review.get("choice") == chosen else f"proposed to a person: {reason}"
    for step in review.get("steps", ()):
        if step["higher"] == chosen:
            word = "tied with" if step["is_tie"] else "before"
            yield f"{word} {step['lower']}: {step['reason']}"


def _rejected(candidates: Iterable[FleetCandidate], review: Mapping[str, Any]) -> Iterator[RejectedCandidate]:
    rejections = {card["candidate"]["name"]: card["rejections"] for card in review.get("cards", ())}
    for each in candidates:
        name = name_of(each)
        reasons = rejections.get(name) or ()
        if each.state in _NO_CHANGE:
            reasons = (each.error or each.state.value,)
        if reasons:
            yield RejectedCandidate(candidate=name, reasons=tuple(reasons))


# --- what is unfinished -----------------------------------------------------------------------------------------------

# State of an item -> the command that continues it, after "coatcheck fleet ".
_COMMANDS: Mapping[ItemState, str] = {
    ItemState.WAITING: "approve {name} {key}",
    ItemState.CONFLICT: "retry {name} {key}",
    ItemState.FAILED: "retry {name} {key}",
    ItemState.EXHAUSTED: "retry {name} {key}",
}


def _unfinished_items(rows: FleetRows, candidates: Mapping[int, Sequence[FleetCandidate]]) -> Iterator[Unfinished]:
    """Yield what keeps each item from being delivered; nothing for items that move without a person."""
    name = shlex.quote(rows.status.fleet.name)
    is_moving = rows.status.fleet.state is FleetState.RUNNING
    for item in rows.items:
        key = shlex.quote(item.key)
        stuck = [*_stuck_candidates(item, candidates.get(item.id, ()), name, key)]
        yield from stuck
        if item.state in _COMMANDS and not stuck:
            command = f"coatcheck fleet {_COMMANDS[item.state].format(name=name, key=key)}"
            yield Unfinished(kind=item.state, subject=item.key, why=item.why or "", command=command)
        elif item.state is ItemState.OPEN and not is_moving and not stuck:
            why = rows.status.fleet.stopped_because or f"the fleet is {rows.status.fleet.state}"
            yield Unfinished(kind="open", subject=item.key, why=why, command=f"coatcheck fleet resume {name}")


def _stuck_candidates(
    item: FleetItem, candidates: Iterable[FleetCandidate], name: str, key: str
) -> Iterator[Unfinished]:
    """Yield the tasks that a person has to look at: those that may have been sent, and those that have a question."""
    if item.state in (ItemState.DELIVERED, ItemState.REJECTED, ItemState.CANCELLED):
        return
    for each in candidates:
        if each.state is CandidateState.UNCERTAIN:
            command = f"coatcheck fleet retry --uncertain {name} {key}"
            yield Unfinished(kind="uncertain", subject=item.key, why=each.error or "", command=command)
        elif each.state is CandidateState.INPUT_REQUIRED:
            why = each.error or "its task has a question"
            yield Unfinished(
                kind="input_required", subject=item.key, why=why, command=f"coatcheck show {name_of(each)}"
            )


def _left_out(status: FleetStatus) -> Iterator[Unfinished]:
    for key, why in status.fleet.left_out.items():
        yield Unfinished(kind="left out", subject=key, why=why, command="coatcheck fleet run FILE")


def _parked(status: FleetStatus, now: datetime) -> Iterator[Unfinished]:
    if not status.candidates.get(CandidateState.PLANNED):
        return
    for account in status.accounts:
        if account.parked_until is not None and account.parked_until > now:
            why = f"no submission before {account.parked_until:%Y-%m-%d %H:%M:%S}Z: {account.reason}"
            yield Unfinished(kind="parked", subject=account_name(account), why=why, command="coatcheck fleet run FILE")


def account_name(account: FleetAccount) -> str:
    """Return an account as PROVIDER/NAME, the service alone for its only one."""
    return f"{account.provider}/{account.name}".rstrip("/")


def _commands(status: FleetStatus, unfinished: Sequence[Unfinished]) -> Iterator[str]:
    """Yield the commands for the fleet as a whole, in the order in which they are given."""
    name, kinds = shlex.quote(status.fleet.name), {each.kind for each in unfinished}
    if status.fleet.state is FleetState.PAUSED:
        yield f"coatcheck fleet resume {name}"
    if ItemState.WAITING in kinds or status.waits_for_wave:
        yield f"coatcheck fleet approve {name}"
    if kinds & {ItemState.FAILED, ItemState.EXHAUSTED}:
        yield f"coatcheck fleet retry {name}"
    if "uncertain" in kinds:
        yield f"coatcheck fleet retry --uncertain {name}"
    if status.outcome is not FleetOutcome.DELIVERED:
        yield "coatcheck fleet run FILE"
