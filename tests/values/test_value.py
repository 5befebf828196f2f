from __future__ import annotations

import inspect
from typing import ClassVar

import pytest

from coatcheck._values.value import Value


class Ticket(Value, frozen=True, kw_only=True):
    """A value with a secret."""

    _hidden: ClassVar[frozenset[str]] = frozenset({"secret"})

    number: int
    colour: str | None = None
    secret: str = ""


class Claim(Ticket, frozen=True, kw_only=True):
    """A subclass with a field whose annotation cannot be evaluated here."""

    owner: Unimportable  # noqa: F821  # type: ignore[name-defined]


def test_repr_leaves_out_defaults() -> None:
    """A field at its default is not shown."""
    assert repr(Ticket(number=1)) == "Ticket(number=1)"
    assert repr(Ticket(number=0, colour="red")) == "Ticket(number=0, colour='red')"


def test_repr_hides_secrets() -> None:
    """A hidden field is never shown, not even by a subclass."""
    assert repr(Ticket(number=1, secret="s3cret")) == "Ticket(number=1)"
    assert repr(Claim(number=1, secret="s3cret", owner="me")) == "Claim(number=1, owner='me')"


def test_values_are_frozen() -> None:
    """A value cannot be changed."""
    with pytest.raises(AttributeError, match="immutable"):
        Ticket(number=1).number = 2  # type: ignore[misc]


def test_signatures_are_shown_as_written() -> None:
    """A signature shows annotations without evaluating them, so ``help()`` works with any ``__module__``."""
    assert str(inspect.signature(Ticket)) == "(*, number: 'int', colour: 'str | None' = None, secret: 'str' = '')"


def test_inherited_fields_are_in_the_signature() -> None:
    """The signature of a subclass has the fields of its parents."""
    assert {"number", "colour", "secret", "owner"} == {*inspect.signature(Claim).parameters}
