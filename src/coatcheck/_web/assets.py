"""The style and the script of the page: files of ours in ``static/``, served under the SHA-256 of their content.

A file of another version has another URL, so browsers may keep it for ever.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

PREFIX = "/static/"
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
# One year: the longest that RFC 9111 has in mind for content that never changes under its URL (RFC 8246).
CACHED = {"cache-control": "public, max-age=31536000, immutable"}
# Comments, white space beside what ends a part of a rule, and the last semicolon of one; none is in a string of ours.
_NOTHING = re.compile(rb"/\*.*?\*/|(?<=[{};,:])\s+|\s+(?=[{}])|;(?=\s*\})", re.DOTALL)


@functools.cache
def contents() -> Mapping[str, bytes]:
    """Return the content of each file by its name."""
    folder = files("coatcheck._web") / "static"
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in TYPES}
    return {name: compact(data) if name.endswith(".css") else data for name, data in found.items()}


def compact(style: bytes) -> bytes:
    """Return a style without comments, and without white space and semicolons that have no effect."""
    return _NOTHING.sub(b"", style)


@functools.cache
def url_of(name: str) -> str:
    """Return the URL of the file *name*."""
    return f"{PREFIX}{hashlib.sha256(contents()[name]).hexdigest()[:16]}/{name}"


async def serve(request: Request) -> Response:
    """Answer with a file."""
    name = request.path_params["name"]
    if name not in contents() or request.url.path != url_of(name):
        raise HTTPException(404, "no such file")
    return Response(contents()[name], headers={**CACHED, "content-type": TYPES[name.rpartition(".")[2]]})


ROUTES: tuple[BaseRoute, ...] = (Route(PREFIX + "{digest}/{name}", serve, methods=["GET"]),)
