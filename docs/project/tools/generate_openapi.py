"""Write docs/reference/openapi.json, the local cloud's own routes; with --check, compare it.

The paths are those of `coatcheck.cloud.event_routes` and `permission_routes`; WHAM's routes are Codex Cloud's
(docs/reference/protocols/codex-wham.md).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from described import described_events, refs_to, write_or_compare

from coatcheck import __version__
from coatcheck._server.event_stream import MEDIA_TYPE
from coatcheck._server.problems import PROBLEM_TYPE
from coatcheck.cloud.event_routes import ALL_EVENTS, DIFF_TYPE, TASK_DIFF, TASK_EVENTS
from coatcheck.cloud.permission_routes import PATH as PERMISSION

PATH = Path(__file__).parents[2] / "reference" / "openapi.json"
TASK: Mapping[str, object] = {
    "name": "task",
    "in": "path",
    "required": True,
    "description": "the id of a task: its ref without `local:`",
    "schema": {"type": "string"},
}
LAST_ID: Mapping[str, object] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "the id of the last event that the reader has; later ones follow, all where it is empty",
    "schema": {"type": "string", "pattern": "^([0-9]{1,18})?$"},
}
ATTEMPT: Mapping[str, object] = {
    "name": "attempt",
    "in": "query",
    "description": "the number of the attempt",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999, "default": 1},
}
REQUEST: Mapping[str, object] = {
    "name": "request",
    "in": "path",
    "required": True,
    "description": "the id of a permission request of the task",
    "schema": {"type": "string"},
}
PROBLEMS = {
    "400": "the request is not valid",
    "401": "a bearer token of this server is missing",
    "404": "there is no such task or attempt",
    "409": "it was decided otherwise before",
    "410": "the events after this id are not kept any more: read the task, and connect without Last-Event-ID",
    "421": "the name of the host is not one of this machine",
    "503": "the clone cannot be read now; Retry-After says when to try again",
}


def problems(*statuses: str) -> dict[str, object]:
    """Return the responses that are problem documents."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": PROBLEMS[status], "content": content} for status in statuses}


def stream(summary: str, name: str, parameters: list[Mapping[str, object]], *statuses: str) -> dict[str, object]:
    """Return the operation of a stream; each of its events has a document of the schema TaskEvent."""
    ok = {
        "description": "server-sent events, each of the schema StreamEvent; a comment is sent every 15 seconds without an "
        "event",
        "headers": {"cache-control": {"schema": {"const": "no-store"}}},
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/StreamEvent"}}},
    }
    end = {"description": "the task has ended, and the reader has every event: do not connect again"}
    responses = {"200": ok, **({"204": end} if parameters else {}), **problems(*statuses)}
    return {"operationId": name, "summary": summary, "parameters": [*parameters, LAST_ID], "responses": responses}


# OpenAPI 3.1 has no form of its own for a stream: as in 3.2 (itemSchema), the schema is that of each event.
STREAM_EVENT: Mapping[str, object] = {
    "type": "object",
    "description": "an event of a stream, by the fields of https://html.spec.whatwg.org/multipage/server-sent-events.html",
    "properties": {
        "id": {
            "type": "string",
            "pattern": "^[0-9]{1,18}$",
            "description": "a number that grows; Last-Event-ID takes it",
        },
        "event": {"type": "string", "description": "the type of the event"},
        "data": {
            "type": "string",
            "description": "one line of JSON",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/TaskEvent"},
        },
        "retry": {"type": "integer", "minimum": 0, "description": "milliseconds before the next connection"},
    },
}


def decision() -> dict[str, object]:
    """Return the operation that decides a permission request."""
    option = {"type": "string", "description": "the id of one of the request's options"}
    schema = {"type": "object", "properties": {"option": option}, "required": ["option"]}
    return {
        "operationId": "decidePermission",
        "summary": "Choose an option of a permission request; the same option again changes nothing",
        "parameters": [TASK, REQUEST],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"204": {"description": "it is decided"}, **problems("400", "401", "404", "409", "421")},
    }


def document() -> dict[str, object]:
    """Return all of it."""
    diff = {
        "operationId": "getTaskDiff",
        "summary": "The diff of an attempt as it is now, also while its agent works",
        "parameters": [TASK, ATTEMPT],
        "responses": {
            "200": {
                "description": "the diff; empty where nothing has changed",
                "content": {DIFF_TYPE.partition(";")[0]: {"schema": {"type": "string"}}},
            },
            **problems("400", "401", "404", "421", "503"),
        },
    }
    problem = {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail"],
    }
    health = {
        "operationId": "getHealth",
        "summary": "Whether the server runs; needs no token",
        "security": [],
        "responses": {
            "200": {
                "description": "it runs",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}},
            }
        },
    }
    words = {"type": "object", "properties": {"status": {"const": "ok"}, "version": {"type": "string"}}}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "coatcheck local cloud",
            "version": __version__,
            "description": "The own routes of `coatcheck serve`. Generated by docs/project/tools/generate_openapi.py.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "http://127.0.0.1:{port}",
                "variables": {"port": {"default": "8000", "description": "as it prints"}},
            }
        ],
        "security": [{"token": []}],
        "paths": {
            ALL_EVENTS: {"get": stream("The events of all tasks", "streamEvents", [], "400", "401", "410", "421")},
            TASK_EVENTS: {
                "get": stream(
                    "The events of a task, until its end", "streamTaskEvents", [TASK], "400", "401", "404", "410", "421"
                )
            },
            TASK_DIFF: {"get": diff},
            PERMISSION: {"post": decision()},
            "/health": {"get": health},
        },
        "components": {
            "schemas": {
                **refs_to("#/components/schemas/", described_events("TaskEvent")),
                "StreamEvent": STREAM_EVENT,
                "Problem": problem,
                "Health": {**words, "required": ["status", "version"]},
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


if __name__ == "__main__":
    sys.exit(write_or_compare(PATH, document(), Path(__file__).name))
