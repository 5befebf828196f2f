"""The descriptions of streams and routes are those of the program, and their examples match their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_schema import problems

from coatcheck._model.events import EVENT_TYPES, event_from_dict
from coatcheck.cloud.event_routes import EventRoutes
from coatcheck.cloud.permission_routes import PermissionRoutes

REFERENCE = Path(__file__).parents[2] / "docs/reference"
ASYNC = json.loads((REFERENCE / "asyncapi.json").read_text("utf-8"))
OPEN = json.loads((REFERENCE / "openapi.json").read_text("utf-8"))
EXAMPLES = [
    (message["payload"], example["payload"])
    for message in ASYNC["components"]["messages"].values()
    for example in message["examples"]
]


def resolved(document: Any, reference: str) -> Any:
    """Return what a reference leads to."""
    for name in reference.removeprefix("#/").split("/"):
        document = document[name.replace("~1", "/")]
    return document


def references(value: Any) -> list[str]:
    """Return every reference in a document."""
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for inner in value.values() for each in references(inner)]
    return [each for inner in value for each in references(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize(("payload", "example"), EXAMPLES)
def test_an_example_matches_its_schema(payload: dict[str, str], example: dict[str, Any]) -> None:
    """The parser of AsyncAPI does not compare them."""
    assert [] == problems(example, resolved(ASYNC, payload["$ref"]))


@pytest.mark.parametrize(("payload", "example"), EXAMPLES)
def test_a_wrong_example_is_found(payload: dict[str, str], example: dict[str, Any]) -> None:
    """The comparison of examples can fail."""
    assert problems({**example, "type": 7}, resolved(ASYNC, payload["$ref"]))


@pytest.mark.parametrize("document", [ASYNC, OPEN], ids=["asyncapi", "openapi"])
def test_no_reference_dangles(document: dict[str, Any]) -> None:
    """Every reference leads to something."""
    assert all(resolved(document, reference) is not None for reference in references(document))


def test_every_type_of_event_is_described() -> None:
    """The schema of an event is the union, and webhooks have the same types."""
    schemas = ASYNC["components"]["schemas"]
    described = {resolved(ASYNC, each["$ref"])["properties"]["type"]["enum"][0] for each in schemas["Event"]["anyOf"]}

    assert (set(EVENT_TYPES), list(EVENT_TYPES)) == (described, schemas["Webhook"]["properties"]["type"]["enum"])


def test_every_own_route_is_described() -> None:
    """The paths are those that the server has, and /health."""
    kinds = (EventRoutes, PermissionRoutes)
    routes = [kind(None, accepts=lambda _token: False).routes() for kind in kinds]  # type: ignore[arg-type] # no request is sent

    assert {*(route.path for each in routes for route in each), "/health"} == set(OPEN["paths"])


def test_an_event_of_the_examples_is_read_back() -> None:
    """The documents of streams are those of the union."""
    events = [event_from_dict(example) for payload, example in EXAMPLES if payload["$ref"].endswith("Event")]

    assert [("task.message", "42"), ("task.succeeded", "57")] == [(event.type, event.id) for event in events]
