"""The message of an error, as the model at the client reads it.

Guarantee: of an error that is not ours only the type is returned; the log has the rest.
"""

from __future__ import annotations

import logging

import msgspec

from .. import errors
from .._app.field_errors import FieldError

logger = logging.getLogger("coatcheck.mcp")


def message_of(error: Exception) -> str:
    """Return the message of an error and its remedy; of one that is not ours its type, and the log has the rest."""
    if isinstance(error, FieldError):
        error = error.spelled(lambda field: field)
    if isinstance(error, msgspec.ValidationError):
        return f"the arguments do not fit: {error}"
    if not isinstance(error, errors.CoatcheckError):
        logger.error("a tool failed", exc_info=error)
        return f"this is a bug in coatcheck: {type(error).__name__}; its standard error has the details"
    message = " ".join(str(error).split())
    return f"{message}; {error.remedy}" if error.remedy else message
