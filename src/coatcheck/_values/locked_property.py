"""A property that is made once, by whichever thread reads it first.

Guarantee: its function runs once for each object, also where several threads read the property at the same time.
`functools.cached_property` does not guarantee that since Python 3.12: of what is opened twice, one is never closed.
"""

from __future__ import annotations

from _thread import RLock  # as `functools` does: `threading` takes milliseconds to import
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class locked_cached_property(Generic[T]):  # noqa: N801 - used as a decorator, as `functools.cached_property` is
    """A property whose value is kept in the object's ``__dict__``; deleting it there lets it be made again."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self._name, self._lock = function, function.__name__, RLock()
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Return the value; Python calls this only while the object's ``__dict__`` has none."""
        if instance is None:
            return self
        values = instance.__dict__
        with self._lock:
            if self._name not in values:
                values[self._name] = self._function(instance)
            value: T = values[self._name]
            return value
