"""What every value of the library is: frozen, keyword-only, compared by content, quiet about secrets.

msgspec structs and not dataclasses, because a class costs 16 µs to create instead of 500 (measured by
``bench/imports.py``) and the command line creates forty before it does anything.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value whose ``repr`` leaves out defaults and everything named in ``_hidden``."""

    _hidden: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        defaults = dict(zip(reversed(self.__struct_fields__), reversed(self.__struct_defaults__), strict=False))
        shown = (
            f"{name}={value!r}"
            for name in self.__struct_fields__
            if name not in self._hidden
            and not _is_default(value := getattr(self, name), defaults.get(name, msgspec.NODEFAULT))
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _is_default(value: object, default: object) -> bool:
    return value is default or (value in (None, (), "", b"") and value == default)
