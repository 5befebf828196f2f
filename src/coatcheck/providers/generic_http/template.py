"""Insert the fields of a task into a request.

Invariants:

- A value that is one placeholder and nothing else, ``"{prompt}"``, becomes the JSON value itself, and is left out
  where the task does not say. Within a longer text it becomes its text.
- Nothing is ever spliced into JSON or into a path: values are encoded after they have been put in.
- ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from ...provider import encoded

if TYPE_CHECKING:
    from ...provider import TaskSpec

_MARK = re.compile(r"\{\{|\}\}|\{(\+?\w+)\}")
_ABSENT = object()

# What a template may name, beside the fields of `TaskSpec` that are called the same.
PLACEHOLDERS: Mapping[str, Callable[[TaskSpec], object]] = {
    "prompt": lambda spec: spec.prompt,
    "repository": lambda spec: spec.repository,
    "owner": lambda spec: spec.repository.partition("/")[0] if spec.repository else None,
    "repo": lambda spec: spec.repository.partition("/")[2] or None if spec.repository else None,
    "environment": lambda spec: spec.environment,
    "branch": lambda spec: spec.branch,
    "mode": lambda spec: spec.mode,
    "starting_diff": lambda spec: spec.starting_diff,
    "model": lambda spec: spec.model,
    "title": lambda spec: spec.title,
    "instructions": lambda spec: spec.instructions,
    "requires_approval": lambda spec: spec.requires_approval,
    "open_pull_request": lambda spec: spec.open_pull_request,
    "working_branch": lambda spec: spec.working_branch,
}


def names_in(template: object) -> Iterator[str]:
    """Yield every name that a template uses, at any depth."""
    if isinstance(template, str):
        yield from (match[1].lstrip("+") for match in _MARK.finditer(template) if match[1])
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from names_in(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from names_in(value)


def values_of(spec: TaskSpec) -> Mapping[str, object]:
    """Return the fields of *spec* by the names of placeholders."""
    all_values = {name: read(spec) for name, read in PLACEHOLDERS.items()}
    return {name: value for name, value in all_values.items() if value is not None}


def filled(template: object, values: Mapping[str, object]) -> object:
    """Return *template* with *values* in it; what would be only a missing value is left out (None at the top)."""
    match = _filled(template, values)
    return None if match is _ABSENT else match


def _filled(template: object, values: Mapping[str, object]) -> object:
    if isinstance(template, str):
        alone = _MARK.fullmatch(template)
        return values.get(alone[1], _ABSENT) if alone and alone[1] else filled_text(template, values)
    if isinstance(template, Mapping):
        pairs = ((name, _filled(value, values)) for name, value in template.items())
        return {name: value for name, value in pairs if value is not _ABSENT}
    if isinstance(template, list):
        return [value for each in template if (value := _filled(each, values)) is not _ABSENT]
    return template


def filled_text(template: str, values: Mapping[str, object]) -> str:
    """Return a text with *values* in it; a missing one is nothing."""
    return _MARK.sub(lambda match: _text(values.get(match[1], "")) if match[1] else match[0][0], template)


def filled_path(template: str, values: Mapping[str, object]) -> str:
    """Return a path with *values* in it, each one segment; ``{+name}`` keeps the slashes that are in it (RFC 6570)."""

    def put(match: re.Match[str]) -> str:
        if not match[1]:
            return encoded(match[0][0])
        text = _text(values.get(match[1].lstrip("+"), ""))
        return "/".join(map(encoded, text.split("/"))) if match[1].startswith("+") else encoded(text)

    return _MARK.sub(put, template)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
