"""The fleet and the item that the path of a page names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .page_errors import PageNotFoundError

if TYPE_CHECKING:
    from .._model.fleets import FleetItem, FleetRecord
    from .page_request import PageRequest


def fleet_of(request: PageRequest) -> FleetRecord:
    """Return the fleet. Raises `PageNotFoundError` where there is none of this name."""
    try:
        return request.site.fleets.get(request.parameters["name"])
    except errors.ConfigurationError as error:
        raise PageNotFoundError(str(error), remedy="list them with: coatcheck fleet") from None


def item_of(request: PageRequest) -> tuple[FleetRecord, FleetItem]:
    """Return the item with its fleet. Raises `PageNotFoundError` where there is none of this number."""
    fleet, number = fleet_of(request), request.parameters["id"]
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    item = request.site.fleets.pages.item(fleet.id, int(number)) if is_number else None
    if item is None:
        raise PageNotFoundError(
            f"the fleet {fleet.name} has no item {number}", remedy=f"list them with: coatcheck fleet show {fleet.name}"
        )
    return fleet, item
