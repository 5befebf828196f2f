"""Read the JSON form of values back: the inverse of `json_fields`.

Invariants:

- ``type(value).from_dict(value.to_dict()) == value``, except for attributes that hold a service's raw response;
- fields that a document lacks, or that are null where the attribute is never None, take their defaults, and fields that are not known are ignored: documents of newer
  versions can be read;
- a value that no member of an enumeration has becomes ``UNKNOWN`` where the enumeration has that member;
- anything else that does not fit raises `ConfigurationError` with the path of the field.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError
from .rfc3339 import parse_time

T = TypeVar("T", bound=msgspec.Struct)


def decode(cls: type[T], document: object, *, at: str = "$") -> T:
    """Return the value of class *cls* that *document* describes. Raises `ConfigurationError` with the path."""
    if not isinstance(document, Mapping):
        raise _wrong(at, "an object", document)
    known = {
        name: hint
        for name, hint in hints(cls).items()
        if name in document and (document[name] is not None or _is_optional(hint))
    }
    try:
        return cls(**{name: _convert(hint, document[name], f"{at}.{name}", document) for name, hint in known.items()})
    except TypeError as error:
        raise ConfigurationError(
            f"{at}: {error}", remedy=f"give an object as {cls.__name__}.to_dict() returns"
        ) from None


@lru_cache(maxsize=128)
def hints(cls: Any) -> Mapping[str, Any]:
    """Return the type of each attribute of *cls*, evaluated."""
    written = {
        name: hint for base in reversed(cls.__mro__) for name, hint in vars(base).get("__annotations__", {}).items()
    }
    names = _Names()
    return {name: eval(written[name], {}, names) for name in cls.__struct_fields__}  # noqa: S307 - annotations of this package


def _is_optional(hint: Any) -> bool:
    return hint is object or type(None) in typing.get_args(hint)


class _Names(dict[str, Any]):
    """What annotations of values may name: public classes, and those of the standard library."""

    def __init__(self) -> None:
        super().__init__(datetime=datetime, Mapping=Mapping, Sequence=Sequence, Literal=typing.Literal)

    def __missing__(self, name: str) -> Any:
        import builtins
        import sys

        # By name: this module is below the package that makes the classes public.
        return getattr(builtins, name) if hasattr(builtins, name) else getattr(sys.modules["coatcheck"], name)


def _convert(hint: Any, value: object, at: str, document: Mapping[str, object]) -> object:
    """Return *value* as the type *hint*; *document* is the object that contains it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _optional(arguments, value, at, document)
    if origin is not None:
        return _container(origin, arguments, value, at)
    if isinstance(hint, type) and hasattr(hint, "_json"):
        return decode(hint, value, at=at)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _member(hint, value, at)
    return _scalar(hint, value, at, document)


def _container(origin: Any, arguments: Sequence[Any], value: object, at: str) -> object:
    if origin is typing.Literal:
        return value if value in arguments else _refuse(at, f"one of {', '.join(map(repr, arguments))}", value)
    return _tuple(arguments, value, at) if origin is tuple else _mapping(arguments[1], value, at)


def _optional(arguments: Sequence[Any], value: object, at: str, document: Mapping[str, object]) -> object:
    if value is None:
        return None
    (wanted, *others) = (each for each in arguments if each is not type(None))
    if not others:
        return _convert(wanted, value, at, document)
    read_union = getattr(wanted, "_read_union", None)
    return read_union(value) if read_union is not None and isinstance(value, Mapping) else value


def _tuple(arguments: Sequence[Any], value: object, at: str) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _refuse(at, "a list", value)
    return tuple(_convert(arguments[0], each, f"{at}[{index}]", {}) for index, each in enumerate(value))


def _mapping(hint: Any, value: object, at: str) -> object:
    if not isinstance(value, Mapping):
        return _refuse(at, "an object", value)
    return {str(name): _convert(hint, each, f"{at}.{name}", {}) for name, each in value.items()}


def _member(kind: type[enum.Enum], value: object, at: str) -> enum.Enum:
    try:
        return kind(value)
    except ValueError:
        if "UNKNOWN" in kind.__members__ and isinstance(value, str):
            return kind["UNKNOWN"]
        raise _wrong(at, f"one of {', '.join(str(each.value) for each in kind)}", value) from None


def _scalar(hint: Any, value: object, at: str, document: Mapping[str, object]) -> object:
    if hint is object:
        return value
    read = _READERS.get(getattr(hint, "__name__", ""))
    if read is not None:
        return read(hint, value, at, document)
    is_number = hint is float and isinstance(value, int) and not isinstance(value, bool)
    if is_number or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise _wrong(at, f"of type {hint.__name__}", value)


def _ref(hint: Any, value: object, at: str, _document: Mapping[str, object]) -> object:
    return hint.parse(value) if isinstance(value, str) else _refuse(at, "PROVIDER:ID", value)


def _patch(hint: Any, value: object, at: str, document: Mapping[str, object]) -> object:
    if isinstance(value, bytes):  # of the store: no JSON has bytes
        return hint(value)
    encoded = document.get("patch_base64")
    if isinstance(encoded, str):
        return hint(_from_base64(encoded, at))
    return hint(value.encode()) if isinstance(value, str) else _refuse(at, "the text of a diff", value)


def _moment(_hint: Any, value: object, at: str, _document: Mapping[str, object]) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_time(str(value))
    except ValueError:
        raise _wrong(at, "a time as RFC 3339 writes it", value) from None


def _bytes(_hint: Any, value: object, at: str, _document: Mapping[str, object]) -> bytes:
    return _from_base64(value, at) if isinstance(value, str) else _refuse(at, "base64", value)


def _from_base64(value: str, at: str) -> bytes:
    import base64
    import binascii

    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(at, "base64", value) from None


_READERS: Mapping[str, Callable[[Any, object, str, Mapping[str, object]], object]] = {
    "TaskRef": _ref,
    "Patch": _patch,
    "datetime": _moment,
    "bytes": _bytes,
}


def _wrong(at: str, wanted: str, value: object) -> ConfigurationError:
    shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}..."
    return ConfigurationError(f"{at} should be {wanted}, not {shown}")


def _refuse(at: str, wanted: str, value: object) -> Any:
    raise _wrong(at, wanted, value)
