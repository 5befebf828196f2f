"""Deliveries of webhooks by pages, the newest first; a cursor names the last delivery of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors

if TYPE_CHECKING:
    from .._store.hooks import HookDelivery
    from .._webhooks.settings import WebhookSettings


class DeliveryPage(NamedTuple):
    """Deliveries, and the cursor of the next page, None for the last one."""

    deliveries: Sequence[HookDelivery]
    cursor: str | None


def delivery_page(settings: WebhookSettings, *, hook: str | None, cursor: str | None, limit: int) -> DeliveryPage:
    """Return a page. Raises `ConfigurationError` for an unknown hook or sender, and for what is no cursor."""
    before = _delivery_at(settings, cursor) if cursor else None
    rows = settings.deliveries(hook=hook, limit=limit + 1, before=before)
    page = rows[:limit]
    return DeliveryPage(page, f"{page[-1].hook}/{page[-1].id}" if len(rows) > limit else None)


def _delivery_at(settings: WebhookSettings, cursor: str) -> HookDelivery:
    hook, _, id = cursor.partition("/")
    delivery = settings.hooks.find_delivery(hook, id)
    if delivery is None:
        raise errors.ConfigurationError(
            f"{cursor!r} is not the cursor of a page", remedy="pass the cursor of a page unchanged"
        )
    return delivery
