"""Operations on webhooks and their deliveries; hooks are added and removed on the command line, which shows secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ... import errors
from ..._values.json_fields import to_object
from .. import operations
from ..delivery_pages import delivery_page
from ..page_errors import PageNotFoundError
from .bodies import Body, Limit
from .endpoints import TEXT_OR_NULL, TEXTS, Call, Endpoint, fields, many, ref

if TYPE_CHECKING:
    from ..._store.hooks import Hook


class DeliveryQuery(Body, frozen=True, kw_only=True):
    """Which deliveries are listed: of a hook or a sender; `cursor` is that of the page before."""

    hook: str | None = None
    cursor: Annotated[str, Meta(max_length=500)] | None = None
    limit: Limit = 50


class HookSwitch(Body, frozen=True, kw_only=True):
    """Whether a hook is on."""

    state: Literal["on", "off"]


def list_hooks(call: Call) -> Any:
    """Return the hooks, and the senders whose deliveries are accepted."""
    settings = call.request.site.hooks
    return {"hooks": [to_object(each) for each in settings.hooks.list_hooks()], "senders": list(settings.senders())}


def get_hook(call: Call) -> Any:
    """Return a hook."""
    return to_object(_hook_of(call))


def switch_hook(call: Call) -> Any:
    """Switch a hook on or off."""
    body: HookSwitch = call.body
    site, id = call.request.site, _hook_of(call).id
    hook = site.hooks.switch(id, is_on=body.state == "on")
    operations.record(site, "switch", f"hook:{id}", "api", hook.state)
    return to_object(hook)


def test_hook(call: Call) -> Any:
    """Send a message to a hook now, once; return its delivery, which may have failed."""
    site = call.request.site
    delivery = site.hooks.test(_hook_of(call).id, allowed=())
    operations.record(site, "test", f"hook:{delivery.hook}", "api", str(delivery.status or delivery.detail or ""))
    return to_object(delivery)


def list_deliveries(call: Call) -> Any:
    """Return a page of the deliveries, the newest first."""
    query: DeliveryQuery = call.query
    page = delivery_page(call.request.site.hooks, hook=query.hook, cursor=query.cursor, limit=query.limit)
    return {"deliveries": [to_object(each) for each in page.deliveries], "cursor": page.cursor}


def replay_delivery(call: Call) -> Any:
    """Make a delivery due again; it is sent while ``coatcheck hooks serve`` runs."""
    site, hook, id = call.request.site, _hook_of(call), call.request.parameters["delivery"]
    if site.hooks.hooks.find_delivery(hook.id, id) is None:
        raise PageNotFoundError(f"{hook.id} has no delivery {id!r}", remedy=f"see: coatcheck hooks log {hook.id}")
    site.hooks.replay(id)
    operations.record(site, "replay", f"hook:{id}", "api")
    return to_object(site.hooks.hooks.find_delivery(hook.id, id))


def _hook_of(call: Call) -> Hook:
    """Return the hook that the path names. Raises `PageNotFoundError` where there is none."""
    try:
        return call.request.site.hooks.hooks.get(call.request.parameters["id"])
    except errors.ConfigurationError as error:
        raise PageNotFoundError(str(error), remedy=error.remedy) from None


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/hooks", "listHooks", "The webhooks, and the senders whose deliveries are accepted", list_hooks, fields(hooks=many("Hook"), senders=TEXTS)),
    Endpoint("GET", "/hooks/{id}", "getHook", "A webhook", get_hook, ref("Hook"), errors=(404,)),
    Endpoint("POST", "/hooks/{id}/switch", "switchHook", "Switch a webhook on or off", switch_hook, ref("Hook"), body=HookSwitch, errors=(404,)),
    Endpoint("POST", "/hooks/{id}/test", "testHook", "Send a message to a webhook now, once", test_hook, ref("HookDelivery"), errors=(404,)),
    Endpoint("POST", "/hooks/{id}/deliveries/{delivery}/replay", "replayDelivery", "Make a delivery due again", replay_delivery, ref("HookDelivery"), status=202, errors=(404,)),
    Endpoint("GET", "/deliveries", "listDeliveries", "Deliveries of webhooks, in and out, the newest first", list_deliveries, fields(deliveries=many("HookDelivery"), cursor=TEXT_OR_NULL), DeliveryQuery),
)  # fmt: skip
