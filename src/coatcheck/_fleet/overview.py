"""What the page of a fleet shows first: waves, services and the rate, from counts and times alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .._model.fleets import SETTLED_ITEMS, FleetItem, FleetStatus, ItemState
from .control import FleetControl
from .item_order import ordered_items
from .merge_order import Ordered
from .merge_plan import STATES
from .report_building import rate_points, service_reports
from .report_values import RatePoint, ServiceReport, WaveReport


class FleetOverview(NamedTuple):
    """A fleet without its items."""

    status: FleetStatus
    waves: Sequence[WaveReport]
    services: Sequence[ServiceReport]
    rate: Sequence[RatePoint]


def fleet_overview(control: FleetControl, name: str) -> FleetOverview:
    """Return the overview of a fleet. Raises `ConfigurationError` for one that does not exist."""
    status, pages = control.status(name), control.pages
    fleet, candidates = status.fleet, pages.candidate_times(status.fleet.id)
    return FleetOverview(
        status=status,
        waves=[*_waves(pages.wave_counts(fleet.id), fleet.wave)],
        services=[*service_reports(candidates, pages.chosen_candidates(fleet.id))],
        rate=[*rate_points(candidates, pages.delivery_times(fleet.id))],
    )


def _waves(counts: Sequence[tuple[int, ItemState, int]], begun: int) -> Iterator[WaveReport]:
    for number in dict.fromkeys(wave for wave, _, _ in counts):
        own = {state: count for wave, state, count in counts if wave == number}
        yield WaveReport(
            number=number,
            items=sum(own.values()),
            settled=sum(count for state, count in own.items() if state in SETTLED_ITEMS),
            delivered=own.get(ItemState.DELIVERED, 0),
            has_begun=number <= begun,
        )


def delivery_order(control: FleetControl, name: str) -> Sequence[Ordered[FleetItem]]:
    """Return the items that are delivered next, or would be once approved, in their order; starts no git."""
    return ordered_items(control.store, control.work, control.get(name).id, STATES)
