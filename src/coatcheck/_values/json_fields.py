"""The JSON form of values: `to_dict`, the command line's ``--json``, their documentation and JSON Schema.

Each class of values declares its JSON fields once, in ``_json``, beside the attributes that they show.

Invariants:

- every document has `schema`; within a schema fields are added, never changed or removed;
- every declared field is present; null where the service reports nothing;
- times are RFC 3339, durations are seconds, states and kinds are lower-case words;
- `json_decode` reads back what is written here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, SupportsBytes, TypeAlias, TypeVar

import msgspec

SCHEMA = "coatcheck/1"

T = TypeVar("T")
# As `JsonFields`, for values that declare none themselves.
Fields: TypeAlias = Mapping[str, str | tuple[str, Callable[[T], object]]]

_PLAIN = (str, int, float, bool, type(None), datetime)


def read(fields: Fields[T], value: T) -> dict[str, object]:
    """Return *value* as the object that *fields* describe."""
    return {name: _field(value, name, entry, is_summary=False) for name, entry in fields.items()}


def many(fields: Fields[T], values: Iterable[T]) -> list[dict[str, object]]:
    """Return *values* as objects."""
    return [read(fields, value) for value in values]


def to_object(value: Any, *, is_summary: bool = False) -> dict[str, object]:
    """Return *value* as the object that its class declares; a summary leaves out what its class calls details."""
    cls = type(value)
    hidden = cls._details if is_summary else ()
    return {
        name: _field(value, name, entry, is_summary=is_summary)
        for name, entry in cls._json.items()
        if name not in hidden
    }


def _field(value: object, name: str, entry: object, *, is_summary: bool) -> object:
    attribute = getattr(value, name) if isinstance(entry, str) else entry[1](value)  # type: ignore[index]
    return jsonable(attribute, is_summary=is_summary)


def jsonable(value: Any, *, is_summary: bool = False) -> object:
    """Return *value* as dicts, lists, text, numbers, booleans, None and times."""
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "_json"):
        return to_object(value, is_summary=is_summary)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | list | frozenset):
        return [jsonable(each, is_summary=is_summary) for each in value]
    if isinstance(value, Mapping):
        return {str(name): jsonable(each, is_summary=is_summary) for name, each in value.items()}
    return _text(value)


def _text(value: Any) -> object:
    """Return the text of a ref, a patch or of bytes; anything else as it is."""
    if hasattr(value, "__bytes__"):
        return patch_text(value)
    return str(value) if hasattr(value, "provider") else value


def patch_text(patch: SupportsBytes | None) -> str | None:
    """Return a patch as text; bytes that are not UTF-8 are shown as escapes (`coatcheck diff` writes them unchanged)."""
    return None if patch is None else bytes(patch).decode("utf-8", "backslashreplace")


def bytes_text(data: bytes) -> str | None:
    """Return *data* as base64 where it is not UTF-8, None where it is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return base64_text(data)
    return None


def base64_text(data: bytes) -> str:
    """Return *data* as base64."""
    from base64 import b64encode  # 1 ms, and most documents need none

    return b64encode(data).decode()


def document(value: Any) -> dict[str, object]:
    """Return *value* as a whole document of nothing but dicts, lists, text, numbers, booleans and None."""
    built: dict[str, object] = msgspec.to_builtins({"schema": SCHEMA, **to_object(value)})
    return {name: escaped(each) for name, each in built.items()}


def encode(fields: Mapping[str, object]) -> bytes:
    """Return a document as JSON on one line."""
    try:
        return msgspec.json.encode({"schema": SCHEMA, **fields})
    except UnicodeEncodeError:  # a lone surrogate: a file name or an argument that is not UTF-8
        return msgspec.json.encode(escaped({"schema": SCHEMA, **fields}))


def escaped(value: object) -> object:
    """Return *value* with the characters that UTF-8 cannot encode as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {escaped(name): escaped(each) for name, each in value.items()}
    return [escaped(each) for each in value] if isinstance(value, list | tuple) else value
