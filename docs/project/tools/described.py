"""What the descriptions of streams and routes share: the schemas of events, and writing a file or comparing it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import written_files
from generate_schema import schema

from coatcheck._model.events import EVENT_TYPES

PREFIX = "#/$defs/"


def event_names() -> list[str]:
    """Return the types of events."""
    return list(EVENT_TYPES)


def described_events(name: str = "Event") -> dict[str, Any]:
    """Return the schemas of events and of what they contain: of all, or with "TaskEvent" of those of tasks."""
    definitions: dict[str, Any] = schema()["$defs"]  # type: ignore[assignment]
    wanted, found = [name], dict[str, Any]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = definitions[name]
            wanted += names_in(definitions[name])
    return dict(sorted(found.items()))


def names_in(value: object) -> list[str]:
    """Return the definitions that a schema refers to."""
    if isinstance(value, Mapping):
        own = [value["$ref"].removeprefix(PREFIX)] if "$ref" in value else []
        return own + [name for each in value.values() for name in names_in(each)]
    return [name for each in value for name in names_in(each)] if isinstance(value, list) else []


def refs_to(place: str, value: Any) -> Any:
    """Return schemas whose references lead to *place*."""
    if isinstance(value, Mapping):
        return {
            key: each.replace(PREFIX, place) if key == "$ref" else refs_to(place, each) for key, each in value.items()
        }
    return [refs_to(place, each) for each in value] if isinstance(value, list) else value


def write_or_compare(path: Path, document: Mapping[str, object], script: str) -> int:
    """Write a document, or with --check compare it; return the exit code."""
    return written_files.write_or_compare(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n", script)
