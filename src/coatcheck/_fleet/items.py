"""The items of a fleet file: a product of variables, rows of a CSV or JSON Lines file, exclusions and additions.

Invariants:

- the order is that of the file, and the same file gives the same items;
- keys are unique: the values of an item's variables, or its `key`;
- a variable is text; `repository`, `base`, `key` and `environment` are variables with a meaning.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .. import errors
from .._runtime.config import suggestion

Variables: TypeAlias = Mapping[str, str]

# Keys of the table that are no variables.
RESERVED = ("from", "exclude", "include")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# More than this is a mistake in a product; `protocols` of services and SQLite were measured up to a million.
MAX_ITEMS = 1_000_000


def read_items(section: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, folder: Path | None) -> list[Variables]:
    """Return the variables of each item. Raises `ConfigurationError` that names the key."""
    if not isinstance(section, Mapping):
        rows = [_row(each, f"items[{number}]") for number, each in enumerate(section)]
    else:
        rows = _product(section)
        if "from" in section:
            rows += _rows_of_file(section["from"], folder)
        excluded = _rows(section, "exclude")
        _check_excluded(excluded, rows)
        rows = [row for row in rows if not any(_matches(row, each) for each in excluded)]
        rows += _rows(section, "include")
    if not rows:
        raise errors.ConfigurationError(
            "items has no item", remedy='give variables such as repository = ["owner/repo"], or from = "items.csv"'
        )
    _check_keys(rows)
    return rows


def item_key(variables: Variables) -> str:
    """Return the key of an item: `key` where it is given, else the values of its variables."""
    return variables.get("key") or " ".join(variables.values())


def fill(text: str, variables: Variables, at: str) -> str:
    """Return *text* with the variables in place of ``{name}``; raises `ConfigurationError` for an unknown name."""

    def replace(match: re.Match[str]) -> str:
        if match[1] in variables:
            return variables[match[1]]
        near = suggestion(match[1], variables)
        raise errors.ConfigurationError(
            f"{at} has the variable {{{match[1]}}}, which the item {item_key(variables)!r} has not",
            remedy=near or f"its variables: {', '.join(variables)}",
        )

    return _PLACEHOLDER.sub(replace, text)


def _product(section: Mapping[str, Any]) -> list[Variables]:
    names = [name for name in section if name not in RESERVED]
    values = [_values(section[name], name) for name in names]
    count = 1
    for each in values:
        count *= len(each)
    if count > MAX_ITEMS:
        raise errors.ConfigurationError(
            f"items has {count} items, more than {MAX_ITEMS}", remedy="divide it into several fleets"
        )
    return [dict(zip(names, each, strict=True)) for each in itertools.product(*values)] if names else []


def _values(value: object, name: str) -> list[str]:
    _check_name(name, "items")
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise errors.ConfigurationError(f"items.{name} is empty", remedy="give at least one value, or leave it out")
    return [_text(each, f"items.{name}") for each in values]


def _rows(section: Mapping[str, Any], name: str) -> list[Variables]:
    rows = section.get(name, ())
    if not isinstance(rows, list | tuple):
        raise errors.ConfigurationError(f"items.{name} should be a list of tables", remedy=f"write {name} = [{{…}}]")
    return [_row(each, f"items.{name}[{number}]") for number, each in enumerate(rows)]


def _row(value: object, at: str) -> Variables:
    if not isinstance(value, Mapping) or not value:
        raise errors.ConfigurationError(f"{at} should be a table of variables, not {value!r}")
    for name in value:
        _check_name(str(name), at)
    return {str(name): _text(each, f"{at}.{name}") for name, each in value.items()}


def _text(value: object, at: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise errors.ConfigurationError(f"{at} should be text, not {value!r}", remedy="write it in quotes")
    return str(value)


def _check_name(name: str, at: str) -> None:
    if not _NAME.fullmatch(name):
        raise errors.ConfigurationError(
            f"{at} has the variable {name!r}, which is no name", remedy="use letters, digits and _"
        )


def _check_excluded(excluded: Sequence[Variables], rows: Sequence[Variables]) -> None:
    """Raise `ConfigurationError` for a variable that no item has: it would exclude nothing."""
    known = dict.fromkeys(name for row in rows for name in row)
    for number, each in enumerate(excluded):
        for name in each:
            if name not in known:
                raise errors.ConfigurationError(
                    f"items.exclude[{number}] has the variable {name!r}, which no item has",
                    remedy=suggestion(name, known) or f"their variables: {', '.join(known)}",
                )


def _matches(row: Variables, excluded: Variables) -> bool:
    return all(row.get(name) == value for name, value in excluded.items())


def _rows_of_file(name: object, folder: Path | None) -> list[Variables]:
    """Return the rows of a CSV file with a header, or of a JSON Lines file (``.jsonl``, ``.ndjson``)."""
    path = (folder or Path()) / _text(name, "items.from")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise errors.ConfigurationError(
            f"{path} cannot be read: {error.strerror}", remedy="correct items.from, which is relative to the fleet file"
        ) from None
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"{path} is not UTF-8", remedy="save it as UTF-8") from None
    return _json_lines(text, path) if path.suffix in (".jsonl", ".ndjson", ".json") else _csv(text, path)


def _csv(text: str, path: Path) -> list[Variables]:
    import csv

    reader = csv.DictReader(text.splitlines(), strict=True, restkey="", restval=None)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise errors.ConfigurationError(f"{path}, line {reader.line_num}: {error}", remedy="correct the CSV") from None
    for line, row in rows:
        if "" in row or None in row.values():
            raise errors.ConfigurationError(
                f"{path}, line {line} has not as many values as the header", remedy="quote values with commas"
            )
    return [_row(row, f"{path}, line {line}") for line, row in rows]


def _json_lines(text: str, path: Path) -> list[Variables]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line), f"{path}, line {number}"))
            except (ValueError, RecursionError) as error:
                raise errors.ConfigurationError(
                    f"{path}, line {number} is not JSON: {error}", remedy="write an object on each line"
                ) from None
    return rows


def _check_keys(rows: Iterable[Variables]) -> None:
    seen: set[str] = set()
    for row in rows:
        key = item_key(row)
        if not key.strip() or not key.isprintable():
            raise errors.ConfigurationError(
                f"the item {key!r} has no usable key", remedy="give each item a variable `key` of printable text"
            )
        if key in seen:
            raise errors.ConfigurationError(
                f"two items have the key {key!r}", remedy="remove one, or give each a variable `key`"
            )
        seen.add(key)
