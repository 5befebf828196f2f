"""Errors of the page itself."""

from __future__ import annotations

from .. import errors


class PageNotFoundError(errors.CoatcheckError):
    """There is nothing at this address."""


class InvalidBodyError(errors.ConfigurationError):
    """A query or a body that an endpoint does not take."""
