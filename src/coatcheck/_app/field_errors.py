"""Errors about fields of options, whose spelling belongs to the interface that shows them.

A use case names fields ("branch", "repository"); the command line replaces them by its options (``--branch``,
``--repo``). As text such an error has the names of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .. import errors

_PLACEHOLDER = r"\{(\w+)\}"


class FieldError(errors.ConfigurationError):
    """A setting or an argument is not usable; ``{name}`` in the message and the remedy is a field or one of *values*."""

    def __init__(
        self, message: str, *, fields: Sequence[str] = (), remedy: str | None = None, **values: object
    ) -> None:
        self._texts = (message, remedy)
        self._fields, self._values = frozenset(fields), values
        texts = self._filled(lambda name: name)
        super().__init__(texts[0], remedy=texts[1])

    def spelled(self, spelling: Callable[[str], str]) -> errors.ConfigurationError:
        """Return the error with each field as *spelling* writes it."""
        message, remedy = self._filled(spelling)
        return errors.ConfigurationError(message, remedy=remedy)

    def _filled(self, spelling: Callable[[str], str]) -> tuple[str, str | None]:
        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return spelling(name) if name in self._fields else str(self._values[name])

        message, remedy = self._texts
        return re.sub(_PLACEHOLDER, fill, message or ""), None if remedy is None else re.sub(_PLACEHOLDER, fill, remedy)
