"""The text form of what a provider keeps between two polls of a task (`TaskSnapshot.memory`)."""

from __future__ import annotations

from typing import Self

import msgspec

from .._values.decoders import decoder


class PollMemory(msgspec.Struct, frozen=True, array_like=True):
    """The base of what a provider keeps: printable and short, because it is part of an event's cursor."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the memory that `to_text` wrote, an empty one for any other text."""
        try:
            return decoder(cls).decode(text) if text else cls()
        except msgspec.MsgspecError:
            return cls()

    def to_text(self) -> str:
        """Return the text that `read` reads."""
        return msgspec.json.encode(self).decode()
