"""Reduce GitHub's OpenAPI description to the routes that we use: cut_description.py WHOLE.json CUT.json.

One thing is changed: `created` of a list of runs is described as a moment, and documented, and needed, as a range
(``>=2026-11-20T10:00:00Z``; docs/reference/protocols/services.md, 1.2).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPO = "/repos/{owner}/{repo}"
ACTIONS = f"{REPO}/actions"
ASKED = {
    REPO: ["get"],
    f"{ACTIONS}/workflows": ["get"],
    f"{ACTIONS}/workflows/{{workflow_id}}/dispatches": ["post"],
    f"{ACTIONS}/workflows/{{workflow_id}}/runs": ["get"],
    f"{ACTIONS}/runs": ["get"],
    f"{ACTIONS}/runs/{{run_id}}": ["get", "delete"],
    f"{ACTIONS}/runs/{{run_id}}/cancel": ["post"],
    f"{ACTIONS}/runs/{{run_id}}/force-cancel": ["post"],
    f"{ACTIONS}/runs/{{run_id}}/jobs": ["get"],
    f"{ACTIONS}/runs/{{run_id}}/artifacts": ["get"],
    f"{REPO}/pulls": ["get"],
    "/rate_limit": ["get"],
    "/agents/repos/{owner}/{repo}/tasks": ["get", "post"],
    "/agents/tasks": ["get"],
    "/agents/tasks/{task_id}": ["get"],
}


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of every component that *value* refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            kind, _, name = value["$ref"].removeprefix("#/components/").partition("/")
            yield kind, name
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the routes that we use, with every component that they refer to."""
    paths = {path: {method: whole["paths"][path][method] for method in methods} for path, methods in ASKED.items()}
    kept: dict[str, dict[str, Any]] = {}
    wanted = set(references(paths))
    while wanted:
        kind, name = wanted.pop()
        found = whole["components"][kind][name]
        kept.setdefault(kind, {})[name] = found
        wanted |= {(kind, name) for kind, name in references(found) if name not in kept.get(kind, {})}
    del kept["parameters"]["created"]["schema"]["format"]
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": kept}


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(json.dumps(cut(json.loads(source.read_text()))))
