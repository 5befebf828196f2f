"""The webhooks, their deliveries, and what a person does about them: switch a hook, test it, send a delivery again."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from .. import operations
from ..delivery_pages import delivery_page
from ..page_request import PageRequest
from ..rendering import render
from ..routing import action, page
from ..sessions import Notice
from .actions import done

DELIVERIES = 100


def show_hooks(request: PageRequest) -> Response:
    """Show the hooks, the senders, and the deliveries by pages, of one hook or sender where the query names it."""
    settings, target = request.site.hooks, request.query.get("hook") or None
    cursor = request.query.get("before") or None
    page = delivery_page(settings, hook=target, cursor=cursor, limit=DELIVERIES)
    pairs = [*([("hook", target)] if target else []), ("before", page.cursor)]
    return render(
        request,
        "hooks.html",
        hooks=settings.hooks.list_hooks(),
        senders=settings.senders(),
        deliveries=page.deliveries,
        target=target,
        is_first=cursor is None,
        older=f"/hooks?{urlencode(pairs)}#deliveries" if page.cursor else None,
    )


def switch(request: PageRequest) -> Response:
    """Switch a hook on or off."""
    is_on = request.form.get("state") == "on"
    hook = request.site.hooks.switch(request.parameters["id"], is_on=is_on)
    operations.record(request.site, "switch", f"hook:{hook.id}", "web", hook.state)
    return done(request, Notice(f"{hook.id} is {hook.state}."), "/hooks")


def send_test(request: PageRequest) -> Response:
    """Send a message to a hook now."""
    delivery = request.site.hooks.test(request.parameters["id"], allowed=())
    result = str(delivery.status or delivery.detail or "")
    operations.record(request.site, "test", f"hook:{delivery.hook}", "web", result)
    if delivery.state == "sent":
        return done(request, Notice(f"The test of {delivery.hook} was sent: {result}."), "/hooks")
    reason = delivery.detail or f"the receiver answered {delivery.status}"
    return done(request, Notice(f"The test of {delivery.hook} failed: {reason}", is_error=True), "/hooks")


def replay(request: PageRequest) -> Response:
    """Make a delivery due again."""
    id = request.form.get("delivery")
    request.site.hooks.replay(id)
    operations.record(request.site, "replay", f"hook:{id}", "web")
    return done(request, Notice(f"{id} is due again; it is sent while coatcheck hooks serve runs."), "/hooks")


ROUTES = (
    page("/hooks", show_hooks),
    action("/hooks/replay", replay),
    action("/hooks/{id}/switch", switch),
    action("/hooks/{id}/test", send_test),
)
