"""The settings with their origins, to be read; and links that open the page in another browser."""

from __future__ import annotations

from starlette.responses import Response

from ..._app.setting_list import descriptions_of, resolve_setting
from ..._app.task_history import location_of
from ..._protocol.urls import without_password
from ..._version import __version__
from ..page_request import PageRequest
from ..rendering import render
from ..routing import action, page


def show_settings(request: PageRequest, *, link: str | None = None) -> Response:
    """Show every setting as the files are now."""
    config = request.site.config.with_explicit({})
    descriptions = descriptions_of(config)
    return render(
        request,
        "settings.html",
        settings=[(resolve_setting(config, name), text) for name, text in descriptions.items()],
        store=without_password(location_of(config)),
        version=__version__,
        link=link,
    )


def create_link(request: PageRequest) -> Response:
    """Show a new link, which opens the page in one browser, once."""
    return show_settings(request, link=request.site.new_link(request.origin))


ROUTES = (page("/settings", show_settings), action("/settings/link", create_link))
