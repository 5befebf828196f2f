"""What programs are told about a value: one table per kind of object, beside the value that it describes.

`to_dict`, the command line's ``--json``, their documentation and their JSON Schema are made from the same tables.

Law 1. Every document has `schema`. Within a schema fields are added, never changed or taken away.
Law 2. Every field of a table is always there; null says that the service did not say.
Law 3. Times are RFC 3339, durations are seconds, words are in lower case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

if TYPE_CHECKING:
    from .._patches.parse import Patch

SCHEMA = "coatcheck/1"

T = TypeVar("T")
# name -> (what it says, how it is read)
Fields: TypeAlias = Mapping[str, tuple[str, Callable[[T], object]]]


def read(fields: Fields[T], value: T) -> dict[str, object]:
    """Return *value* as the object that *fields* describe."""
    return {name: get(value) for name, (_, get) in fields.items()}


def maybe(fields: Fields[T], value: T | None) -> dict[str, object] | None:
    """Return *value* as an object, None for None."""
    return None if value is None else read(fields, value)


def many(fields: Fields[T], values: Iterable[T]) -> list[dict[str, object]]:
    """Return *values* as objects."""
    return [read(fields, value) for value in values]


def patch_text(patch: Patch | None) -> str | None:
    """Return a patch as text; bytes that are not UTF-8 are shown as escapes (`coatcheck diff` gives them as they are)."""
    return None if patch is None else bytes(patch).decode("utf-8", "backslashreplace")


def plain(fields: Fields[T], value: T) -> dict[str, object]:
    """Return *value* as a whole document of nothing but dicts, lists, text, numbers, booleans and None."""
    document: dict[str, object] = msgspec.to_builtins({"schema": SCHEMA, **read(fields, value)})
    return {name: shown(each) for name, each in document.items()}


def encode(document: Mapping[str, object]) -> bytes:
    """Return a document as JSON on one line."""
    try:
        return msgspec.json.encode({"schema": SCHEMA, **document})
    except UnicodeEncodeError:  # a lone surrogate: a file name or an argument that is not UTF-8
        return msgspec.json.encode(shown({"schema": SCHEMA, **document}))


def shown(value: object) -> object:
    """Return *value* with what UTF-8 cannot say written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {shown(name): shown(each) for name, each in value.items()}
    return [shown(each) for each in value] if isinstance(value, list | tuple) else value
