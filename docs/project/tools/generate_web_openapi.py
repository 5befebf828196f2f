"""Write docs/reference/web-openapi.json, the JSON API of `coatcheck web`; with --check, compare it.

The operations are those of `coatcheck._web.api`; the values in them are described by coatcheck-1.schema.json.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from described import names_in, refs_to, write_or_compare
from generate_schema import schema

from coatcheck import __version__
from coatcheck._server.problems import PROBLEM_TYPE
from coatcheck._web.api.bodies import Body
from coatcheck._web.api.endpoints import JSON, PREFIX, STREAM, Endpoint
from coatcheck._web.api.operations import ENDPOINTS

PATH = Path(__file__).parents[2] / "reference" / "web-openapi.json"
SCHEMAS = "#/components/schemas/"
RESPONSES = "#/components/responses/"
# Problem documents of every operation.
EVERYWHERE = (400, 401, 403, 409, 421, 422, 500, 503)
PROBLEMS: Mapping[int, str] = {
    400: "the request cannot be carried out, or a setting is wrong",
    401: "the token of the server is missing",
    403: "another origin has sent the request, or it is not allowed",
    404: "there is nothing with this name",
    408: "the body did not arrive in time",
    409: "what is decided or applied has changed, or was decided before",
    413: "the body is larger than 4 MiB",
    421: "the name of the host is not one of this machine",
    422: "the query, the body or the patch is not valid",
    429: "the service limits the rate of requests",
    500: "a bug: the log of the server has the reason",
    502: "the service cannot be used now, or there is no login",
    503: "the store cannot be used",
}
PROBLEM: Mapping[str, object] = {
    "type": "object",
    "description": "RFC 9457; remedy and error are members of ours",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": ["string", "null"], "description": "what can be done about it"},
        "error": {"type": "string", "description": "the class of the error in coatcheck.errors"},
    },
    "required": ["type", "title", "status", "detail"],
}
# The part of a path before a parameter -> its description.
PATH_PARAMETERS: Mapping[str, str] = {
    "tasks": "a task: PROVIDER:ID",
    "gates": "the id of a gate",
    "fleets": "the name of a fleet",
    "items": "the number of an item",
    "reviews": "the name of a review",
    "candidates": "the number of a candidate",
    "hooks": "the id of a webhook",
    "deliveries": "the id of a delivery",
}
LAST_ID: Mapping[str, object] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "the number of the last event that the reader has",
    "schema": {"type": "string", "pattern": "^([0-9]{1,18})?$"},
}


def path_parameters(path: str) -> list[dict[str, object]]:
    """Return the parameters of a path."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARAMETERS[place],
            "schema": {"type": "integer", "minimum": 1} if place in ("items", "candidates") else {"type": "string"},
        }
        for place, name in re.findall(r"(\w+)/\{(\w+)\}", path)
    ]


def query_parameters(query: type[Body] | None) -> list[dict[str, object]]:
    """Return the parameters of a query."""
    if query is None:
        return []
    definitions = msgspec.json.schema(query)["$defs"]
    described = definitions[query.__name__]
    required = described.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": inlined(each, definitions)}
        for name, each in described["properties"].items()
    ]


def inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with the definitions in place of the references to them."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            return inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: inlined(each, definitions) for key, each in schema.items()}
    return [inlined(each, definitions) for each in schema] if isinstance(schema, list) else schema


def operation(endpoint: Endpoint) -> dict[str, object]:
    """Return the description of one operation."""
    returned = {endpoint.media_type: {"schema": refs_to(SCHEMAS, endpoint.returns)}}
    statuses = sorted({*EVERYWHERE, *endpoint.errors, *((408, 413) if endpoint.body else ())})
    described: dict[str, object] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [*path_parameters(endpoint.path), *query_parameters(endpoint.query)],
        "responses": {
            str(endpoint.status): {"description": "done", "content": returned},
            **{str(status): {"$ref": f"{RESPONSES}Problem{status}"} for status in statuses},
        },
    }
    if endpoint.body is not None:
        content = {JSON: {"schema": {"$ref": SCHEMAS + endpoint.body.__name__}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def stream() -> dict[str, object]:
    """Return the description of the stream of events."""
    after = {
        "name": "after",
        "in": "query",
        "description": "as Last-Event-ID",
        "schema": {"type": "integer", "minimum": 0},
    }
    change = {
        "type": "string",
        "description": "server-sent events of the type change; the data have the type of the event and its subject, and "
        "the id is what `after` of listEvents takes",
    }
    gone = {"description": "the events after this number are not kept: read the state, and connect without it"}
    return {
        "operationId": "streamEvents",
        "summary": "What changes, as it is stored",
        "parameters": [after, LAST_ID],
        "responses": {"200": {"description": "the stream", "content": {STREAM: {"schema": change}}}, "410": gone},
    }


def paths() -> dict[str, dict[str, object]]:
    """Return every path with its operations."""
    described: dict[str, dict[str, object]] = {}
    for endpoint in ENDPOINTS:
        described.setdefault(endpoint.address, {})[endpoint.method.lower()] = operation(endpoint)
    described[f"{PREFIX}/events/stream"] = {"get": stream()}
    return described


def schemas() -> dict[str, Any]:
    """Return the schemas of bodies, and of the values that answers contain."""
    bodies = [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]
    _, components = msgspec.json.schema_components(bodies, ref_template=SCHEMAS + "{name}")
    wanted = [name for endpoint in ENDPOINTS for name in names_in(endpoint.returns)]
    return {**components, **refs_to(SCHEMAS, values(wanted)), "Problem": PROBLEM}


def values(wanted: Sequence[str]) -> dict[str, Any]:
    """Return the schemas of values by their names, and of those that they refer to."""
    definitions: dict[str, Any] = schema()["$defs"]  # type: ignore[assignment]
    remaining, found = list(wanted), dict[str, Any]()
    while remaining:
        name = remaining.pop()
        if name not in found:
            found[name] = definitions[name]
            remaining += names_in(definitions[name])
    return dict(sorted(found.items()))


def problems() -> dict[str, object]:
    """Return the answers that are problem documents, by their names."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}}
    return {f"Problem{status}": {"description": text, "content": content} for status, text in PROBLEMS.items()}


def document() -> dict[str, object]:
    """Return all of it."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "coatcheck web",
            "version": __version__,
            "description": "The JSON API of `coatcheck web`, version 1: within it, fields and operations are added and never "
            "changed or removed. Generated by docs/project/tools/generate_web_openapi.py.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "http://127.0.0.1:{port}",
                "variables": {"port": {"default": "8000", "description": "as it prints"}},
            }
        ],
        "security": [{"token": []}],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": problems(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


if __name__ == "__main__":
    sys.exit(write_or_compare(PATH, document(), Path(__file__).name))
