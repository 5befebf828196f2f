"""The base class of every value: frozen, keyword-only, compared by content, with a JSON form that can be read back.

msgspec structs and not dataclasses, because a class costs 10 µs to create instead of 370 (measured by
``bench/imports.py``) and the command line creates forty at its start. The garbage collector does
not track them (``gc=False``): a frozen value cannot contain itself, and ten thousand waits create millions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import msgspec

if TYPE_CHECKING:
    import inspect

# name -> its meaning (of the attribute of the same name), or (its meaning, the function that computes it)
JsonFields: TypeAlias = Mapping[str, str | tuple[str, Callable[[Any], object]]]


class _ValueMeta(msgspec.StructMeta):
    """Show signatures as they are written.

    msgspec evaluates annotations in the module of ``__module__``, which is the public one: without this,
    ``help(Task)`` fails with a NameError.
    """

    @property
    def __signature__(cls) -> inspect.Signature:  # noqa: N805 - what a metaclass is given is a class
        import inspect  # 10 ms, and only `help()` needs it

        annotations = {
            name: text for base in reversed(cls.__mro__) for name, text in getattr(base, "__annotations__", {}).items()
        }
        defaults = _defaults(cls)
        keyword, required = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
        return inspect.Signature(
            [
                inspect.Parameter(name, keyword, default=defaults.get(name, required), annotation=annotations[name])
                for name in cls.__struct_fields__
            ]
        )


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False, metaclass=_ValueMeta):
    """A frozen value whose ``repr`` leaves out defaults and everything named in ``_hidden``.

    ``_json`` declares its JSON fields; ``_details`` names those that a summary leaves out.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset()
    _json: ClassVar[JsonFields] = {}
    _details: ClassVar[frozenset[str]] = frozenset()

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data: dicts, lists, text, numbers, booleans and None (``docs/reference/json.md``)."""
        from .json_fields import document

        return document(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the value that `to_dict` wrote. Unknown fields are ignored.

        Raises `ConfigurationError` with the path of a field that does not fit.
        """
        from .json_decode import decode

        return decode(cls, document)

    def __repr__(self) -> str:
        defaults = _defaults(type(self))
        shown = (
            f"{name}={value!r}"
            for name in self.__struct_fields__
            if name not in self._hidden
            and not _is_default(value := getattr(self, name), defaults.get(name, msgspec.NODEFAULT))
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _defaults(cls: msgspec.StructMeta) -> dict[str, object]:
    """Return the fields of *cls* that need not be given; for keyword-only fields msgspec marks the others."""
    pairs = zip(reversed(cls.__struct_fields__), reversed(cls.__struct_defaults__), strict=False)
    return {name: default for name, default in pairs if default is not msgspec.NODEFAULT}


def _is_default(value: object, default: object) -> bool:
    return value is default or (value in (None, (), "", b"") and value == default)
