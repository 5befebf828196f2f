"""Starlette routes before another application.

Importing this takes 20 ms; only commands that serve such routes import it. Errors of these routes are problem
documents (RFC 9457); the other application keeps its form of errors.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response as StarletteResponse
from starlette.routing import BaseRoute, Route

from .._protocol.effects import Response
from .._version import __version__
from .asgi_types import App
from .problems import problem


def with_routes(routes: Sequence[BaseRoute], app: App) -> App:
    """Return an application that answers *routes* and `health`; every other path is *app*'s."""
    application = Starlette(
        routes=[Route("/health", health, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _http_problem, Exception: _server_problem},
    )
    # not a Mount: that would match another method of a path above, which is a 405
    application.router.default, application.router.redirect_slashes = app, False
    return application


def to_starlette(response: Response) -> StarletteResponse:
    """Return a whole response as Starlette's."""
    return StarletteResponse(response.body, response.status, dict(response.headers))


async def health(_request: StarletteRequest) -> JSONResponse:
    """Answer that the server runs; no token is needed, and it shows nothing about tasks."""
    return JSONResponse({"status": "ok", "version": __version__}, headers={"cache-control": "no-store"})


def _http_problem(_request: StarletteRequest, error: Exception) -> StarletteResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    return to_starlette(problem(error.status_code, error.detail, headers=error.headers))


def _server_problem(_request: StarletteRequest, _error: Exception) -> StarletteResponse:
    """Answer for an error of ours; Starlette raises it again, and uvicorn logs it."""
    return to_starlette(problem(500, "Internal Server Error"))
