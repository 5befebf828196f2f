"""Operations on fleets: read them, decide about their items, stop and continue them, deliver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..._app.fleet_deliveries import plan_deliveries
from ..._fleet.overview import delivery_order, fleet_overview
from ..._store.fleet_pages import ItemFilter
from ..._values.json_fields import to_object
from .. import fleet_operations as operations
from ..fleet_lookup import fleet_of, item_of
from ..fleet_operations import FleetRequest, ItemChanges, digest_of_item, require_same
from .endpoints import BOOLEAN, NUMBER, TEXT, TEXT_OR_NULL, TEXTS, Call, Endpoint, Schema, fields, many, maybe, ref
from .fleet_bodies import (
    FleetQuery,
    FleetReason,
    ItemDecision,
    ItemQuery,
    ItemRetry,
    ItemsDecision,
    ItemsRetry,
    MergeOrderQuery,
)

if TYPE_CHECKING:
    from ..._fleet.merge_order import Ordered
    from ..._model.fleets import FleetItem
    from ..delivery_jobs import DeliveryJob
    from ..site import Site

# --- reading ----------------------------------------------------------------------------------------------------------


def list_fleets(call: Call) -> Any:
    """Return a page of the fleets, the newest first."""
    query: FleetQuery = call.query
    control = call.request.site.fleets
    after = int(query.cursor) if query.cursor else None
    every = sorted(control.store.list(), key=lambda each: each.id, reverse=True)
    rest = [each for each in every if after is None or each.id < after]
    page = rest[: query.limit]
    cursor = str(page[-1].id) if len(page) < len(rest) else None
    return {"fleets": [to_object(control.status(each.name)) for each in page], "cursor": cursor}


def get_fleet(call: Call) -> Any:
    """Return a fleet with its waves, services and rate."""
    overview = fleet_overview(call.request.site.fleets, fleet_of(call.request).name)
    return {
        "status": to_object(overview.status),
        "waves": [to_object(each) for each in overview.waves],
        "services": [to_object(each) for each in overview.services],
        "rate": [to_object(each) for each in overview.rate],
    }


def list_items(call: Call) -> Any:
    """Return a page of the items of a fleet, in the order of its file."""
    query: ItemQuery = call.query
    pages, after = call.request.site.fleets.pages, int(query.cursor or 0)
    filter = ItemFilter(query.state, query.q)
    items, count = pages.items(fleet_of(call.request).id, filter, limit=query.limit + 1, after=after)
    cursor = str(items[query.limit - 1].id) if len(items) > query.limit else None
    return {"items": [to_object(each) for each in items[: query.limit]], "count": count, "cursor": cursor}


def get_item(call: Call) -> Any:
    """Return an item with its prompt, candidates, review and delivery."""
    fleet, item = item_of(call.request)
    report = call.request.site.fleets.show(fleet.name, item.key)
    return {**to_object(report), "digest": digest_of_item(report.item)}


def get_merge_order(call: Call) -> Any:
    """Return the items that are delivered next in their order, with `is_tried` also what git makes of it."""
    site, fleet = call.request.site, fleet_of(call.request)
    plan = plan_deliveries(site.workspace, fleet.name, clock=site.clock) if call.query.is_tried else None
    order = delivery_order(site.fleets, fleet.name)
    return {"items": [_ordered(each) for each in order], "plan": plan and to_object(plan)}


def _ordered(ordered: Ordered[FleetItem]) -> dict[str, object]:
    item = ordered.item
    return {
        "id": item.id,
        "key": item.key,
        "state": item.state.value,
        "repository": item.repository,
        "base": item.base,
        "overlaps": ordered.overlaps and ordered.overlaps.key,
    }


def get_delivery(call: Call) -> Any:
    """Return the last delivery that this server has started."""
    job = call.request.site.delivery_jobs.get(fleet_of(call.request).name)
    return {"delivery": job and _delivery(job)}


def _delivery(job: DeliveryJob) -> dict[str, object]:
    status, error = job.status, job.error
    return {
        "is_running": status is None and error is None,
        "notices": [*job.notices],
        "error": error and str(error),
        "status": status and to_object(status),
    }


# --- deciding ---------------------------------------------------------------------------------------------------------


def _of_items(operation: Callable[[Site, FleetRequest], ItemChanges]) -> Callable[[Call], Any]:
    """Return the endpoint of an operation on items that the body selects."""

    def answer(call: Call) -> Any:
        body, fleet = call.body, fleet_of(call.request)
        return _changes(operation(call.request.site, _request(fleet.name, body.keys, body)))

    return answer


def _of_item(operation: Callable[[Site, FleetRequest], ItemChanges]) -> Callable[[Call], Any]:
    """Return the endpoint of an operation on the item that the path names."""

    def answer(call: Call) -> Any:
        fleet, item = item_of(call.request)
        require_same(item, call.body.digest)
        return _changes(operation(call.request.site, _request(fleet.name, (item.key,), call.body)))

    return answer


def _request(fleet: str, keys: tuple[str, ...], body: Any) -> FleetRequest:
    why, is_uncertain = getattr(body, "why", None), getattr(body, "is_uncertain", False)
    return FleetRequest(fleet, keys, why, is_uncertain=is_uncertain, via="api")


def _changes(changes: ItemChanges) -> Any:
    return {"keys": [each.key for each in changes.items], "wave": changes.wave}


def pause(call: Call) -> Any:
    """Start nothing more until the fleet is resumed."""
    name = fleet_of(call.request).name
    return {"fleet": name, "is_changed": operations.pause(call.request.site, _request(name, (), call.body))}


def resume(call: Call) -> Any:
    """Continue a fleet."""
    name = fleet_of(call.request).name
    return {"fleet": name, "is_changed": operations.resume(call.request.site, _request(name, (), None))}


def cancel(call: Call) -> Any:
    """Cancel what was not delivered."""
    name = fleet_of(call.request).name
    running = operations.cancel(call.request.site, _request(name, (), call.body))
    return {"fleet": name, "running": [str(each.ref) for each in running if each.ref]}


def deliver(call: Call) -> Any:
    """Start a delivery."""
    name = fleet_of(call.request).name
    operations.deliver(call.request.site, _request(name, (), None))
    return get_delivery(call)


OVERVIEW: Schema = fields(
    status=ref("FleetStatus"), waves=many("WaveReport"), services=many("ServiceReport"), rate=many("RatePoint")
)
ITEM: Schema = {"allOf": [ref("ItemReport"), fields(digest=TEXT)]}
ORDERED: Schema = fields(
    id=NUMBER, key=TEXT, state=TEXT, repository=TEXT_OR_NULL, base=TEXT_OR_NULL, overlaps=TEXT_OR_NULL
)
ORDER: Schema = fields(items={"type": "array", "items": ORDERED}, plan=maybe(ref("MergePlan")))
DELIVERY: Schema = fields(
    delivery=maybe(fields(is_running=BOOLEAN, notices=TEXTS, error=TEXT_OR_NULL, status=maybe(ref("FleetStatus"))))
)
CHANGES: Schema = fields(keys=TEXTS, wave=maybe(NUMBER))
CHANGED: Schema = fields(fleet=TEXT, is_changed=BOOLEAN)
FLEET, ITEM_PATH = "/fleets/{name}", "/fleets/{name}/items/{id}"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/fleets", "listFleets", "The fleets in the store, the newest first", list_fleets, fields(fleets=many("FleetStatus"), cursor=TEXT_OR_NULL), FleetQuery),
    Endpoint("GET", FLEET, "getFleet", "A fleet with its waves, services and rate", get_fleet, OVERVIEW, errors=(404,)),
    Endpoint("GET", FLEET + "/items", "listFleetItems", "Items of a fleet by pages, in the order of its file", list_items, fields(items=many("FleetItem"), count=NUMBER, cursor=TEXT_OR_NULL), ItemQuery, errors=(404,)),
    Endpoint("GET", ITEM_PATH, "getFleetItem", "An item with its prompt, candidates, review and delivery", get_item, ITEM, errors=(404,)),
    Endpoint("POST", ITEM_PATH + "/approve", "approveFleetItem", "Approve an item", _of_item(operations.approve), CHANGES, body=ItemDecision, errors=(404,)),
    Endpoint("POST", ITEM_PATH + "/reject", "rejectFleetItem", "Reject an item", _of_item(operations.reject), CHANGES, body=ItemDecision, errors=(404,)),
    Endpoint("POST", ITEM_PATH + "/retry", "retryFleetItem", "Send an item back to work", _of_item(operations.retry), CHANGES, body=ItemRetry, errors=(404,)),
    Endpoint("POST", FLEET + "/approve", "approveFleetItems", "Approve items that wait; with is_all also the wave that waits", _of_items(operations.approve), CHANGES, body=ItemsDecision, errors=(404,)),
    Endpoint("POST", FLEET + "/reject", "rejectFleetItems", "Reject items that wait; with is_all also the wave that waits", _of_items(operations.reject), CHANGES, body=ItemsDecision, errors=(404,)),
    Endpoint("POST", FLEET + "/retry", "retryFleetItems", "Send items that failed back to work", _of_items(operations.retry), CHANGES, body=ItemsRetry, errors=(404,)),
    Endpoint("POST", FLEET + "/pause", "pauseFleet", "Start nothing more until the fleet is resumed", pause, CHANGED, body=FleetReason, errors=(404,)),
    Endpoint("POST", FLEET + "/resume", "resumeFleet", "Continue a fleet", resume, CHANGED, errors=(404,)),
    Endpoint("POST", FLEET + "/cancel", "cancelFleet", "Cancel what was not delivered; tasks that run are returned, and not cancelled", cancel, fields(fleet=TEXT, running=TEXTS), body=FleetReason, errors=(404,)),
    Endpoint("GET", FLEET + "/merge-order", "getMergeOrder", "The items that are delivered next, in their order", get_merge_order, ORDER, MergeOrderQuery, errors=(404, 502)),
    Endpoint("GET", FLEET + "/delivery", "getFleetDelivery", "The last delivery that this server has started", get_delivery, DELIVERY, errors=(404,)),
    Endpoint("POST", FLEET + "/delivery", "deliverFleet", "Start to deliver the approved items", deliver, DELIVERY, status=202, errors=(404,)),
)  # fmt: skip
