"""Values as the JSON that the store keeps, and back.

Invariants:

- a value is read back equal, except for a service's raw response, which is not kept;
- attributes that have their defaults are left out, so that documents are short and a newer version can add attributes;
- a patch is not in a document: a field ``patch_digest`` names its blob;
- characters that UTF-8 cannot encode are JSON escapes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, SupportsBytes, TypeAlias, TypeGuard

import msgspec

from .._model.tasks import Task
from .._values.json_decode import decode as _value_from
from .._values.json_fields import base64_text
from .._values.value import _defaults
from .long_texts import messages_of_event, replace_texts, restore_texts

if TYPE_CHECKING:
    from .._model.events import AnyEvent

Level: TypeAlias = Literal["full", "metadata", "off"]

# A service's response as it was sent: as large as all that was read from it.
NOT_KEPT = frozenset({"raw"})
DIGEST = "_digest"
# An event of more bytes than this is compressed: it holds a message.
LONGEST_PLAIN = 300


def to_document(value: Any, keep: Callable[[bytes], str]) -> Any:
    """Return *value* as plain data; *keep* stores the bytes of a patch and returns their digest."""
    if isinstance(value, msgspec.Struct) and hasattr(value, "_json"):
        return dict(_fields(value, keep))
    if isinstance(value, tuple | list):
        return [to_document(each, keep) for each in value]
    if isinstance(value, Mapping):
        return {str(name): to_document(each, keep) for name, each in value.items()}
    return _scalar(value)


def _fields(value: msgspec.Struct, keep: Callable[[bytes], str]) -> list[tuple[str, Any]]:
    fields = []
    for name, default in _defaults_of(type(value)).items():
        attribute = getattr(value, name)
        if name in NOT_KEPT or (type(attribute) is type(default) and attribute == default):
            continue
        if _is_patch(attribute):
            fields.append((name + DIGEST, keep(bytes(attribute))))
        else:
            fields.append((name, to_document(attribute, keep)))
    return fields


def _is_patch(value: object) -> TypeGuard[SupportsBytes]:
    """Whether a value is a patch; ``isinstance(value, SupportsBytes)`` would take 40 µs on Python 3.11."""
    return hasattr(type(value), "__bytes__") and not isinstance(value, bytes)


@lru_cache(maxsize=128)
def _defaults_of(cls: Any) -> Mapping[str, object]:
    """Return every field of *cls* with its default, ``NODEFAULT`` where it has none."""
    defaults = _defaults(cls)
    return {name: defaults.get(name, msgspec.NODEFAULT) for name in cls.__struct_fields__}


def _scalar(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64_text(value)
    return str(value) if hasattr(value, "provider") else value


def with_patches(document: Any, fields_of: Callable[[str], Mapping[str, object]]) -> Any:
    """Return a document with the fields of each named patch, as ``from_dict`` reads them."""
    if isinstance(document, list):
        return [with_patches(each, fields_of) for each in document]
    if not isinstance(document, dict):
        return document
    whole = {name: with_patches(each, fields_of) for name, each in document.items()}
    digest = whole.pop("patch" + DIGEST, None)
    if digest is not None:
        whole |= fields_of(digest)
    return whole


def encode(document: Any) -> str:
    """Return a document as JSON."""
    try:
        return msgspec.json.encode(document).decode()
    except UnicodeEncodeError:  # a lone surrogate
        import json

        return json.dumps(document, separators=(",", ":"))


def decode(text: str | bytes) -> Any:
    """Return the document that `encode` wrote."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # a lone surrogate
        import json

        return json.loads(text)


def summary_of(document: str) -> Task:
    """Return the task of a row without its prompt and its result."""
    return _value_from(Task, decode(document))


def encode_event(event: AnyEvent, *, keep_text: Callable[[bytes], str]) -> bytes:
    """Return *event* as JSON, compressed where it is long; its type and its subject are kept beside it.

    *keep_text* stores the long text of a message and returns its name.
    """
    document = to_document(event, _refuse)
    if event.type == "task.message":
        replace_texts(messages_of_event(document), keep_text)
    del document["subject" if "subject" in document else "ref"]
    content = encode(document).encode()
    if len(content) <= LONGEST_PLAIN:
        return content
    import zlib

    return zlib.compress(content)


def decode_event(kind: str, subject: str, content: bytes, *, text: bytes | None = None) -> AnyEvent:
    """Return an event of type *kind*; a type that this version does not know becomes an `UnknownEvent`.

    *text* is the long text of a message, which is kept beside it.
    """
    from .._model.events import event_from_dict, subject_field

    if not content.startswith(b"{"):
        import zlib

        try:
            content = zlib.decompress(content)
        except zlib.error as error:
            raise ValueError(f"an event cannot be decompressed ({error})") from error

    def find(_digest: str) -> bytes:
        if text is None:
            raise ValueError("a text is missing")
        return text

    document = decode(content)
    if kind == "task.message":
        restore_texts(messages_of_event(document), find)
    return event_from_dict({**document, "type": kind, subject_field(kind): subject})


def _refuse(content: bytes) -> str:  # noqa: ARG001 - the signature of what keeps patches
    raise TypeError("an event holds no patch")
