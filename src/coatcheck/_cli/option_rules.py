"""Options and arguments of one command that exclude or need one another."""

from __future__ import annotations

from collections.abc import Mapping

from .. import errors


def refuse_together(values: Mapping[str, object], *, remedy: str = "pass one of them") -> None:
    """Raise `ConfigurationError` where several of *values*, by the name of the option, are given."""
    given = [name for name, value in values.items() if is_given(value)]
    if len(given) > 1:
        listed = " and ".join(filter(None, (", ".join(given[:-1]), given[-1])))
        raise errors.ConfigurationError(f"{listed} cannot be combined", remedy=remedy)


def require_option(name: str, value: object, needed: str, needed_value: object, *, metavar: str = "") -> None:
    """Raise `ConfigurationError` where the option *name* is given without the option *needed*."""
    if is_given(value) and not is_given(needed_value):
        option = " ".join(filter(None, (needed, metavar)))
        raise errors.ConfigurationError(f"{name} needs {needed}", remedy=f"pass {option} as well")


def is_given(value: object) -> bool:
    """Whether an option has a value: not None, not False, and not an empty list of values."""
    return value is not None and value is not False and value != ()
