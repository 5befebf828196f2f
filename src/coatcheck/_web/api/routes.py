"""The endpoints as routes: queries and bodies are checked, errors are problem documents (RFC 9457) with a remedy."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ... import errors
from ..._server.problems import PROBLEM_TYPE
from ..._values.json_fields import encode
from ..error_pages import TITLES, status_of
from ..page_errors import InvalidBodyError
from ..routing import Registration, bare_request, read_request
from .bodies import Body
from .endpoints import JSON, Call, Endpoint
from .operations import ENDPOINTS

if TYPE_CHECKING:
    from ..site import Site

LOGGER = logging.getLogger("coatcheck.web")


def route_of(endpoint: Endpoint) -> Registration:
    """Return the registration of an endpoint."""

    def register(site: Site) -> BaseRoute:
        async def answer(request: Request) -> Response:
            body = await request.body()
            return await run_in_threadpool(_answer, site, endpoint, request, body)

        return Route(endpoint.address, answer, methods=[endpoint.method], name=endpoint.name)

    return register


def _answer(site: Site, endpoint: Endpoint, request: Request, body: bytes) -> Response:
    bare = bare_request(site, request)
    try:
        full = read_request(bare, request, body)
        call = Call(full, _query(endpoint, request), _body(endpoint, request, body))
        content = endpoint.answer(call)
    except errors.CoatcheckError as error:
        return problem_of(error)
    except Exception as error:  # a bug: the answer is a problem document as well
        LOGGER.exception("%s %s", endpoint.method, endpoint.address)
        return problem_of(error)
    data = content if isinstance(content, bytes) else encode(content)
    return Response(data, endpoint.status, {"content-type": endpoint.media_type})


def _query(endpoint: Endpoint, request: Request) -> Any:
    """Return the query as the endpoint declares it; each name is there once."""
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in values:
            raise InvalidBodyError(f"the query has {name!r} twice", remedy="pass it once")
        values[name] = value
    try:
        return msgspec.convert(values, endpoint.query or Body, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidBodyError(f"the query is not valid: {error}", remedy=_remedy(endpoint)) from None


def _body(endpoint: Endpoint, request: Request, body: bytes) -> Any:
    if endpoint.body is None:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise InvalidBodyError(f"the body is {media_type or 'of no type'}", remedy=f"send {JSON}")
    try:
        return msgspec.json.decode(body, type=endpoint.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBodyError(f"the body is not valid: {error}", remedy=_remedy(endpoint)) from None


def _remedy(endpoint: Endpoint) -> str:
    return f"see {endpoint.name} in the OpenAPI document: docs/reference/web-openapi.json"


def problem_of(error: BaseException) -> Response:
    """Return a problem document; `remedy` and `error`, the name of the class, are members of ours."""
    status = status_of(error)
    is_known = isinstance(error, errors.CoatcheckError)
    document = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": str(error) if is_known else "the reason is in the log of the server",
        "remedy": getattr(error, "remedy", None),
        "error": type(error).__name__ if is_known else "InternalError",
    }
    return Response(msgspec.json.encode(document), status, {"content-type": PROBLEM_TYPE})


ROUTES = tuple(route_of(endpoint) for endpoint in ENDPOINTS)
