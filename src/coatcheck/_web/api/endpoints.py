"""What an endpoint is: its address, what it takes and returns, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from ..page_request import PageRequest
from .bodies import Body

PREFIX = "/api/v1"
JSON, DIFF, PLAIN, STREAM = "application/json", "text/x-diff", "text/plain", "text/event-stream"
Schema: TypeAlias = Mapping[str, Any]


class Call(NamedTuple):
    """One call of an endpoint: the request, and its query and body as they are declared."""

    request: PageRequest
    query: Any
    body: Any


class Endpoint(NamedTuple):
    """One operation. `answer` returns a document, or bytes for another media type than JSON.

    `returns` is a JSON Schema whose references are names of ``coatcheck-1.schema.json``; `errors` are the statuses of
    problem documents that it has beside those of every endpoint.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: Callable[[Call], Any]
    returns: Schema
    query: type[Body] | None = None
    body: type[Body] | None = None
    status: int = 200
    media_type: str = JSON
    errors: tuple[int, ...] = ()

    @property
    def address(self) -> str:
        """The whole path."""
        return PREFIX + self.path


def ref(name: str) -> Schema:
    """Return a reference to a schema of the values."""
    return {"$ref": f"#/$defs/{name}"}


def many(name: str) -> Schema:
    """Return the schema of a list of values."""
    return {"type": "array", "items": ref(name)}


def fields(**properties: Schema) -> Schema:
    """Return the schema of an object that has these fields."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value or null."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = maybe(TEXT)
TEXTS: Schema = {"type": "array", "items": TEXT}
NUMBER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
