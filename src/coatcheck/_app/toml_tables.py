"""Set keys of one table of a TOML document in its text.

Guarantee: everything else, comments and order included, stays byte for byte; a document that does not read back as
expected is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def set_table(text: str, names: Sequence[str], values: Mapping[str, str | list[str]]) -> str:
    """Return *text* with the keys *values* of the table at the path *names*, which is created where it is missing.

    Raises `ValueError` for text that is no TOML, or whose form cannot be changed.
    """
    import tomllib  # 10 ms, and help texts do not need it

    expected = tomllib.loads(text)
    table: Any = expected
    for name in names:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise TypeError(f"{name} is no table")
    table.update(values)
    changed = _changed(text, names, values)
    if tomllib.loads(changed) != expected:
        raise ValueError("its form cannot be changed")
    return changed


def _changed(text: str, names: Sequence[str], values: Mapping[str, str | list[str]]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    added = [f"{name} = {json.dumps(value, ensure_ascii=False)}{newline}" for name, value in values.items()]
    header = next((number for number, line in enumerate(lines) if _table_of(line) == list(names)), None)
    if header is None:
        gap = [newline] if text.strip() else []
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        return "".join([*lines, *gap, f"[{'.'.join(names)}]{newline}", *added])
    end = next((n for n in range(header + 1, len(lines)) if _table_of(lines[n]) is not None), len(lines))
    kept = _without(lines[header + 1 : end], values)
    first = lines[header] if lines[header].endswith("\n") else lines[header] + newline
    return "".join([*lines[:header], first, *added, *kept, *lines[end:]])


def _table_of(line: str) -> list[str] | None:
    """Return the path of the table that begins at *line*, None where none does."""
    document: Any = _loaded(line) if line.lstrip().startswith("[") else None
    if document is None:
        return None
    path: list[str] = []
    while isinstance(document, dict) and len(document) == 1:
        ((name, document),) = document.items()
        path.append(name)
    return path


def _without(lines: Sequence[str], names: Mapping[str, object]) -> list[str]:
    """Return the lines of a table without the values of *names*, each of which may take several lines."""
    kept: list[str] = []
    position = 0
    while position < len(lines):
        end = _end_of_value(lines, position)
        document = _loaded("".join(lines[position:end]))
        if not document or not set(document) <= set(names):
            kept += lines[position:end]
        position = end
    return kept


def _end_of_value(lines: Sequence[str], position: int) -> int:
    """Return the line after the value that begins at *position*."""
    for end in range(position + 1, len(lines) + 1):
        if _loaded("".join(lines[position:end])) is not None:
            return end
    return position + 1


def _loaded(text: str) -> dict[str, Any] | None:
    import tomllib  # as above

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
