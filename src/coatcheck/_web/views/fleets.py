"""The fleets: listed, one with its progress and its items by pages, its delivery, and what a person does about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from ... import errors
from ..._app.fleet_deliveries import plan_deliveries
from ..._fleet.overview import delivery_order, fleet_overview
from ..._fleet.report_charts import rate_chart, rate_legend, state_bar, state_legend, success_bar
from ..._model.fleets import FleetOutcome, ItemState
from ..._store.fleet_pages import ItemFilter
from ..fleet_lookup import fleet_of
from ..fleet_notices import ACTIONS
from ..fleet_operations import FleetRequest, require_keys
from ..order_picture import order_picture
from ..page_errors import PageNotFoundError
from ..page_request import PageRequest
from ..rendering import fleet_url, render
from ..routing import action, page
from .actions import done

if TYPE_CHECKING:
    from ..._fleet.merge_order import Ordered
    from ..._model.fleets import FleetItem, FleetStatus

# So many fleets, items and rows of a merge order are on a page.
FLEETS, ITEMS, ORDERED = 100, 100, 60
# So many items that the last plan left out are named.
LEFT_OUT_SHOWN = 5

OUTCOMES: Mapping[FleetOutcome, str] = {
    FleetOutcome.DELIVERED: "Everything is delivered.",
    FleetOutcome.RUNNING: "It is running.",
    FleetOutcome.WAITING: "It waits for a person.",
    FleetOutcome.PARKED: "It waits for a quota.",
    FleetOutcome.STOPPED: "It has stopped.",
    FleetOutcome.FAILURES: "It has ended, and some items failed or were left out.",
}


def show_fleets(request: PageRequest) -> Response:
    """List the newest fleets."""
    control = request.site.fleets
    fleets = sorted(control.store.list(), key=lambda each: each.id, reverse=True)
    shown = [control.status(each.name) for each in fleets[:FLEETS]]
    bars = {each.fleet.id: Markup(state_bar(each.items)) for each in shown}  # noqa: S704 - `_fleet.markup` escapes
    return render(request, "fleets.html", fleets=shown, bars=bars, count=len(fleets), outcome_of=_outcome)


def show_fleet(request: PageRequest) -> Response:
    """Show a fleet, and one page of its items."""
    fleet = fleet_of(request)
    overview, query = fleet_overview(request.site.fleets, fleet.name), request.query
    filter = ItemFilter(_state(query.get("state")), query.get("q"))
    number = query.number("page") or 1
    first = (number - 1) * ITEMS
    items, count = request.site.fleets.pages.items(fleet.id, filter, first=first, limit=ITEMS)
    status = overview.status
    return render(
        request,
        "fleet.html",
        fleet=status.fleet,
        progress=status,
        counts=Counter(status.items),
        overview=overview,
        outcome=_outcome(status),
        next_steps=_next_steps(status),
        bar=Markup(state_bar(status.items)),  # noqa: S704 - `_fleet.markup` escapes
        legend=Markup(state_legend(status.items)),  # noqa: S704 - as above
        chart=Markup(rate_chart(overview.rate) + rate_legend()) if overview.rate else None,  # noqa: S704 - as above
        success={each.provider: Markup(success_bar(each)) for each in overview.services},  # noqa: S704 - as above
        items=items,
        count=count,
        first=first + 1,
        pages=_pages(request, fleet.name, number, count),
        states=list(ItemState),
        is_filtered=query.has("q") or query.has("state"),
        job=request.site.delivery_jobs.get(fleet.name),
    )


def _outcome(status: FleetStatus) -> str:
    """Return what the fleet needs, or how it has ended."""
    if status.has_worker is False and not status.fleet.stopped_because:
        return "No process works on it."
    return OUTCOMES[status.outcome]


def _state(text: str) -> ItemState | None:
    try:
        return ItemState(text) if text else None
    except ValueError:
        known = ", ".join(each.value for each in ItemState)
        raise errors.ConfigurationError(f"{text!r} is no state of an item", remedy=f"states: {known}") from None


def _pages(request: PageRequest, name: str, number: int, count: int) -> dict[str, Any]:
    """Return the number of pages, and the addresses of those before and after this one."""
    pairs = [pair for pair in request.query.pairs if pair[0] in ("q", "state") and pair[1]]
    last = max(-(-count // ITEMS), 1)

    def url(page: int) -> str | None:
        return f"{fleet_url(name)}?{urlencode([*pairs, ('page', str(page))])}#items" if 1 <= page <= last else None

    return {"number": number, "last": last, "before": url(min(number - 1, last)), "after": url(number + 1)}


def _next_steps(status: FleetStatus) -> list[str]:
    """Return what a person does next, each as a sentence."""
    fleet, waiting = status.fleet, status.items.get(ItemState.WAITING, 0)
    steps = []
    if fleet.stopped_because:
        steps.append(f"Stopped: {fleet.stopped_because}.")
    if status.has_worker is False and not fleet.stopped_because:
        steps.append("Continue it in a terminal: coatcheck fleet run FILE")
    for key, reason in [*fleet.left_out.items()][:LEFT_OUT_SHOWN]:
        steps.append(f"Left out of the last plan: {key}: {reason}.")
    if len(fleet.left_out) > LEFT_OUT_SHOWN:
        steps.append(f"{len(fleet.left_out) - LEFT_OUT_SHOWN} more items were left out; the report names all.")
    if waiting:
        steps.append("Items wait for a decision: open each one, compare its candidates, and approve or reject it.")
    if status.waits_for_wave:
        steps.append(f"Wave {fleet.wave + 2} waits for a decision: approving begins it.")
    if status.items.get(ItemState.APPROVED) and status.outcome is not FleetOutcome.RUNNING:
        steps.append("Approved items are delivered by the running fleet, or by the button on the page Delivery.")
    return steps


# --- delivery ---------------------------------------------------------------------------------------------------------


def show_delivery(request: PageRequest) -> Response:
    """Show the merge order of the items that are delivered next; with ``try`` also what git makes of it."""
    fleet, site = fleet_of(request), request.site
    ordered = delivery_order(site.fleets, fleet.name)
    plan = plan_deliveries(site.workspace, fleet.name, clock=site.clock) if request.query.has("try") else None
    number = request.query.number("page") or 1
    first = (number - 1) * ORDERED
    groups = _groups(ordered[first : first + ORDERED], first)
    return render(
        request,
        "fleet_delivery.html",
        fleet=fleet,
        groups=[group for group in groups if "picture" in group],
        alone=[row for group in groups if "picture" not in group for row in group["rows"]],
        count=len(ordered),
        approved=sum(each.item.state is ItemState.APPROVED for each in ordered),
        planned={each.key: each for each in plan.items} if plan else {},
        is_tried=plan is not None,
        first=first + 1,
        number=number,
        last=max(-(-len(ordered) // ORDERED), 1),
        job=site.delivery_jobs.get(fleet.name),
    )


def _groups(ordered: Sequence[Ordered[FleetItem]], first: int) -> list[dict[str, Any]]:
    """Return the items by repository and branch with their places; those of the same repository have a picture."""
    groups, at = [], first + 1
    for (repository, base), members in groupby(ordered, lambda each: (each.item.repository, each.item.base)):
        items = list(members)
        group: dict[str, Any] = {"repository": repository, "base": base, "rows": [*enumerate(items, at)]}
        if len(items) > 1 or repository is None:
            group["picture"] = Markup(order_picture(items, at))  # noqa: S704 - `_fleet.markup` escapes
        groups.append(group)
        at += len(items)
    return groups


# --- actions ----------------------------------------------------------------------------------------------------------


def act(request: PageRequest) -> Response:
    """Do what the path names, about the items of the form, or about all where it has none."""
    name, form = fleet_of(request).name, request.form
    operation = ACTIONS.get(request.parameters["action"])
    if operation is None:
        raise PageNotFoundError("a fleet has no such action", remedy="load the page again")
    keys = form.all("key")
    if form.get("scope") == "chosen":
        require_keys(keys)
    wanted = FleetRequest(name, keys, form.get("why") or None, is_uncertain=form.has("uncertain"))
    notice = operation(request.site, wanted)
    return done(
        request, notice, fleet_url(name, "delivery") if request.parameters["action"] == "deliver" else fleet_url(name)
    )


def act_on_chosen(request: PageRequest) -> Response:
    """Do what the button of the table names, about the items that are ticked."""
    return act(request._replace(parameters={**request.parameters, "action": request.form.get("action")}))


ROUTES = (
    page("/fleets", show_fleets),
    page("/fleets/{name}/delivery", show_delivery),
    page("/fleets/{name}", show_fleet),
    action("/fleets/{name}/chosen", act_on_chosen),
    action("/fleets/{name}/actions/{action}", act),
)
