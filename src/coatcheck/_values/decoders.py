"""Decoders of JSON by type, each created once.

Invariant: one thread at a time creates decoders. msgspec 0.22 completes its information about a class while it evaluates the
class's annotations, which is Python code: where another thread does the same for the same class, the process ends with
a segmentation fault. A decoder that exists may be used by all threads (https://github.com/msgspec/msgspec/pull/402).
"""

from __future__ import annotations

from _thread import RLock  # `threading` takes 10 ms to import
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_creating = RLock()


def decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of *shape*; it is kept, because creating one costs more than most decoding."""
    known = _decoders.get(shape)
    if known is None:
        with _creating:
            known = _decoders.get(shape) or _decoders.setdefault(shape, msgspec.json.Decoder(shape))
    return known
