"""Views as Starlette routes.

A view is a blocking function from a `PageRequest` to a response; it runs in a thread, since the store, git and services
block. Guarantees:

- a change has the session's token, or is a program's with the bearer token;
- a body is read within a limit and a deadline, and is then whole;
- an error of a view is a page with its remedy, and never a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .. import errors
from .error_pages import error_page
from .middleware import SESSION
from .page_request import FORM_TYPE, Fields, PageRequest

if TYPE_CHECKING:
    from .site import Site

View: TypeAlias = Callable[[PageRequest], Response]
Registration: TypeAlias = Callable[["Site"], BaseRoute]
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
WRONG_CSRF = errors.PermissionDeniedError(
    "the form is not of this session: the server was started again, or the page is old",
    status=403,
    remedy="load the page again, and repeat the action",
)


def page(path: str, view: View) -> Registration:
    """Register a view that reads: GET and HEAD."""
    return _registration(path, view, ("GET",))


def action(path: str, view: View) -> Registration:
    """Register a view that changes something: POST."""
    return _registration(path, view, ("POST",))


def _registration(path: str, view: View, methods: Sequence[str]) -> Registration:
    def register(site: Site) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            return await run_in_threadpool(_answer, site, view, request, body)

        return Route(path, endpoint, methods=list(methods))

    return register


def _answer(site: Site, view: View, request: Request, body: bytes) -> Response:
    origin = f"http://{request.headers.get('host', '')}"
    bare = PageRequest(site, request.scope.get(SESSION), request.url.path, request.path_params, origin=origin)
    try:
        full = read_request(bare, request, body)
        return view(full)
    except errors.CoatcheckError as error:
        return error_page(bare, error)


def read_request(bare: PageRequest, request: Request, body: bytes) -> PageRequest:
    """Return the whole request. Raises `PermissionDeniedError` for a change without the session's token."""
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE
    form = Fields.parse(body.decode("utf-8", "replace")) if is_form else Fields()
    if request.method == "POST" and bare.session is not None:
        token = form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER, "")
        if not bare.session.is_csrf(token):
            raise WRONG_CSRF
    return bare._replace(query=Fields.parse(request.url.query), form=form, body=body)
