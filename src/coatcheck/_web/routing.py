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


def merged(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return *routes* with one route for each path, so that a 405 lists every method of it (RFC 9110, 15.5.6)."""
    by_path: dict[str, list[Route]] = {}
    others = []
    for route in routes:
        if isinstance(route, Route) and route.methods:
            by_path.setdefault(route.path, []).append(route)
        else:
            others.append(route)
    return [*(each[0] if len(each) == 1 else _with_methods(each) for each in by_path.values()), *others]


def _with_methods(routes: Sequence[Route]) -> Route:
    """Return one route that has the methods of all."""
    endpoints = {method: route.endpoint for route in routes for method in route.methods or ()}

    async def endpoint(request: Request) -> Response:
        answer: Response = await endpoints[request.method](request)
        return answer

    return Route(routes[0].path, endpoint, methods=list(endpoints))


def _answer(site: Site, view: View, request: Request, body: bytes) -> Response:
    bare = bare_request(site, request)
    try:
        full = read_request(bare, request, body)
        return view(full)
    except errors.CoatcheckError as error:
        return error_page(bare, error)


def bare_request(site: Site, request: Request) -> PageRequest:
    """Return what is known about a request before its query and its body are read."""
    origin = f"http://{request.headers.get('host', '')}"
    return PageRequest(site, request.scope.get(SESSION), request.url.path, request.path_params, origin=origin)


def read_request(bare: PageRequest, request: Request, body: bytes) -> PageRequest:
    """Return the whole request. Raises `PermissionDeniedError` for a change without the session's token."""
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE
    form = Fields.parse(body) if is_form else Fields()
    if request.method == "POST" and bare.session is not None:
        token = form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER, "")
        if not bare.session.is_csrf(token):
            raise WRONG_CSRF
    return bare._replace(query=Fields.parse(request.scope["query_string"]), form=form, body=body)
