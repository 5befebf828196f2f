"""An item of a fleet: its candidates, what its review has found, its delivery, and the decision about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from ... import errors
from ..._fleet.control import RETRIED
from ..._fleet.report_building import name_of, reported_item
from ..._model.fleets import CandidateState, ItemState
from ..._model.gates import digest_of
from ..fleet_lookup import item_of
from ..fleet_operations import ACTIONS, FleetRequest
from ..page_errors import PageNotFoundError
from ..page_request import PageRequest
from ..rendering import item_url, render
from ..routing import action, page
from .actions import done

if TYPE_CHECKING:
    from ..._model.fleets import FleetItem

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
        digest=_digest(report.item),
    )


def decide(request: PageRequest) -> Response:
    """Approve, reject or retry the item that was shown."""
    fleet, item = item_of(request)
    form, name = request.form, request.parameters["action"]
    if name not in DECIDED:
        raise PageNotFoundError("an item has no such action", remedy="load the page again")
    if form.get("digest") != _digest(item):
        raise errors.ConflictError(
            f"the item {item.key} has changed since it was shown: it is {item.state}",
            status=409,
            remedy="load the page again, and decide about what it shows",
        )
    wanted = FleetRequest(fleet.name, (item.key,), form.get("why") or None, is_uncertain=form.has("uncertain"))
    return done(request, ACTIONS[name](request.site, wanted), item_url(fleet.name, item.id))


def _digest(item: FleetItem) -> str:
    """Return the digest of what is decided: the state of the item, since when, and the chosen candidate."""
    return digest_of(item.state.value.encode(), str(item.changed_at), str(item.chosen))


ROUTES = (page("/fleets/{name}/items/{id}", show_item), action("/fleets/{name}/items/{id}/{action}", decide))
