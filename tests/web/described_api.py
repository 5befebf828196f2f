"""A program that compares each answer of the JSON API with its description."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
from tests.web.web_support import Answer, Pages

DESCRIPTION = Path(__file__).parents[2] / "docs" / "reference" / "web-openapi.json"
DOCUMENT = json.loads(DESCRIPTION.read_text("utf-8"))


class DescribedApi:
    """Sends requests with the token; an answer that is not as described fails the test."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def get(self, path: str) -> Any:
        """Return the document at *path*."""
        return self.call("GET", path).json

    def post(self, path: str, body: object = None) -> Any:
        """Send *body*, and return the document of the answer."""
        return self.call("POST", path, body).json

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request."""
        answer = self._pages.api(method, path, body)
        validate(method, path.partition("?")[0], answer)
        return answer


def validate(method: str, path: str, answer: Answer) -> None:
    """Raise an error unless the description has the operation, the status, and the content of the answer."""
    operations = next(
        operations
        for template, operations in DOCUMENT["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), f"/api/v1{path}")
    )
    response = operations[method.lower()]["responses"][str(answer.status)]
    response = resolved(response)
    (content,) = response["content"].items()
    assert content[0] == answer.headers["content-type"]
    schema = {**content[1]["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json)


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference leads to."""
    if "$ref" not in value:
        return value
    *_, family, name = value["$ref"].split("/")
    found: dict[str, Any] = DOCUMENT["components"][family][name]
    return found
