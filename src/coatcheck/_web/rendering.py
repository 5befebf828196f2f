"""Templates to responses.

Guarantees:

- whatever a template prints is escaped (Jinja2's autoescape), and control, bidirectional and invisible characters are
  shown as escapes, as on a terminal (`_patches.hidden_characters`);
- only `Markup` of `markup.py` and of `_web.diffs` is printed as it is;
- an undefined name is an error and not an empty text.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from .. import errors
from .._installation import install_command
from .._patches.hidden_characters import escape_lines

if TYPE_CHECKING:
    from jinja2 import Environment

    from .page_request import PageRequest

MISSING = "the page needs the extra coatcheck[web]"


def require_extra() -> None:
    """Raise `ConfigurationError` unless the libraries of the extra ``web`` are installed."""
    try:
        import jinja2  # noqa: F401 - whether it is there
        import markdown_it  # noqa: F401
        import nh3  # noqa: F401
    except ImportError:
        raise errors.ConfigurationError(MISSING, remedy=f"install it with: {install_command('web')}") from None


@functools.cache
def environment() -> Environment:
    """Return the templates of the page, with their filters."""
    import jinja2

    from . import assets, formatting, markup

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("coatcheck._web"),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(formatting.FILTERS)
    templates.filters["markdown"] = markup.markdown
    templates.globals["asset"] = assets.url_of
    templates.globals["task_url"] = task_url
    templates.globals["fleet_url"] = fleet_url
    templates.globals["item_url"] = item_url
    templates.globals["subject_url"] = subject_url
    return templates


def visible(value: object) -> object:
    """Return a value as a template prints it: hidden characters of text as escapes, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return escape_lines(value)
    return value


def task_url(ref: object, *parts: str) -> str:
    """Return the path of a task's page, or of a page below it."""
    return "/".join(("/tasks", quote(str(ref), safe=":@"), *parts))


def fleet_url(name: str, *parts: str) -> str:
    """Return the path of a fleet's page, or of a page below it."""
    return "/".join(("/fleets", quote(name, safe=""), *parts))


def item_url(fleet: str, id: int, *parts: str) -> str:
    """Return the path of the page of a fleet's item, or of a page below it."""
    return fleet_url(fleet, "items", str(id), *parts)


def subject_url(subject: str, item: str | None = None) -> str | None:
    """Return the page of what an event or a gate is about, None where it has none; *item* is the key of a fleet's item."""
    kind, _, rest = subject.partition(":")
    if kind == "fleet":
        name, _, key = rest.partition("/")
        wanted = item or key
        return fleet_url(name, f"find?{urlencode({'key': wanted})}") if wanted else fleet_url(name)
    if kind in ("gate", "review"):
        return f"/{kind}s/{quote(rest, safe='')}"
    if kind in ("submission", "file") or not rest:
        return None
    return {"checkout": "/checkout", "hook": "/hooks"}.get(kind) or task_url(subject)


def render(request: PageRequest, template: str, /, *, status: int = 200, **context: Any) -> Response:
    """Return the page that *template* makes, with what every page shows: the notices, and the number of open gates."""
    shared = {
        "request": request,
        "site": request.site,
        "session": request.session,
        "notices": request.session.take_notices() if request.session else (),
        "open_gates": _open_gates(request) if status < 500 else None,
        "newest_event": _newest_event(request) if status < 500 else None,
    }
    return HTMLResponse(environment().get_template(template).render({**shared, **context}), status)


def redirect(path: str) -> Response:
    """Return a redirection after a change: the browser gets *path* (RFC 9110, 15.4.4)."""
    return RedirectResponse(path, 303)


def _open_gates(request: PageRequest) -> int | None:
    try:
        return len(request.site.gates.list())
    except errors.CoatcheckError:
        return None


def _newest_event(request: PageRequest) -> int | None:
    try:
        return request.site.events.newest_id()
    except errors.CoatcheckError:
        return None
