"""An item of a fleet: its candidates, what its review has found, its delivery, and the decision about it."""

from __future__ import annotations

from starlette.responses import Response

from ..._fleet.control import RETRIED
from ..._fleet.report_building import name_of, reported_item
from ..._model.fleets import CandidateState, ItemState
from ..fleet_lookup import fleet_of, item_of
from ..fleet_notices import ACTIONS
from ..fleet_operations import FleetRequest, digest_of_item, require_same
from ..page_errors import PageNotFoundError
from ..page_request import PageRequest
from ..rendering import item_url, redirect, render
from ..routing import action, page
from .actions import done

DECIDED = ("approve", "reject", "retry")


def show_item(request: PageRequest) -> Response:
    """Show an item."""
    fleet, item = item_of(request)
    report = request.site.fleets.show(fleet.name, item.key)
    review = report.review if isinstance(report.review, dict) else {}
    reported = reported_item(report.item, report.candidates, review, delivery=report.delivery)
    return render(
        request,
        "fleet_item.html",
        fleet=fleet,
        item=report.item,
        report=report,
        reported=reported,
        rejected={each.candidate: each.reasons for each in reported.rejected},
        names={each.id: name_of(each) for each in report.candidates},
        known={each.ref for each in report.candidates if each.ref and request.site.history.get(each.ref)},
        has_patch=any(each.patch for each in report.candidates),
        is_waiting=report.item.state is ItemState.WAITING,
        is_retried=report.item.state in RETRIED,
        is_uncertain=any(each.state is CandidateState.UNCERTAIN for each in report.candidates),
        digest=digest_of_item(report.item),
    )


def find_item(request: PageRequest) -> Response:
    """Lead to the page of the item that has the key of the query."""
    fleet, key = fleet_of(request), request.query.text("key")
    items = request.site.fleets.store.items(fleet.id, keys=[key])
    if not items:
        raise PageNotFoundError(
            f"the fleet {fleet.name} has no item {key!r}", remedy=f"list them with: coatcheck fleet show {fleet.name}"
        )
    return redirect(item_url(fleet.name, items[0].id))


def decide(request: PageRequest) -> Response:
    """Approve, reject or retry the item that was shown."""
    fleet, item = item_of(request)
    form, name = request.form, request.parameters["action"]
    if name not in DECIDED:
        raise PageNotFoundError("an item has no such action", remedy="load the page again")
    require_same(item, form.get("digest"))
    wanted = FleetRequest(fleet.name, (item.key,), form.get("why") or None, is_uncertain=form.has("uncertain"))
    return done(request, ACTIONS[name](request.site, wanted), item_url(fleet.name, item.id))


ROUTES = (
    page("/fleets/{name}/find", find_item),
    page("/fleets/{name}/items/{id}", show_item),
    action("/fleets/{name}/items/{id}/{action}", decide),
)
