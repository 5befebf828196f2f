"""Errors as pages: what is wrong, and what the reader can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from .. import errors
from .page_errors import InvalidBodyError, PageNotFoundError
from .rendering import render

if TYPE_CHECKING:
    from .page_request import PageRequest

# Error -> HTTP status; an error that is not in the table has that of its nearest parent class.
STATUSES: dict[type[BaseException], int] = {
    errors.CoatcheckError: 400,
    errors.ConfigurationError: 400,
    errors.CredentialsError: 502,
    errors.PermissionDeniedError: 403,
    errors.NotFoundError: 404,
    PageNotFoundError: 404,
    InvalidBodyError: 422,
    errors.ConflictError: 409,
    errors.PatchError: 422,
    errors.RateLimitError: 429,
    errors.ProviderError: 502,
    errors.InvalidRequestError: 422,
    errors.TransportError: 502,
    errors.SubmissionUncertainError: 502,
    errors.StoreError: 503,
}
TITLES = {
    400: "The request cannot be carried out",
    403: "This is not allowed",
    404: "This does not exist",
    409: "The state has changed meanwhile",
    422: "The request is not valid",
    429: "The service limits the rate of requests",
    500: "This is a bug in coatcheck",
    502: "The service cannot be used now",
    503: "The store cannot be used",
}


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error; an unexpected one is a bug: 500."""
    return next((STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES), 500)


def error_page(request: PageRequest, error: BaseException) -> Response:
    """Return the page of an error; plain text where not even that can be made."""
    status = status_of(error)
    remedy = getattr(error, "remedy", None)
    message = str(error) if status != 500 else "the reason is in the log of the server"
    try:
        return render(
            request, "error.html", status=status, title=TITLES[status], message=message, remedy=remedy, code=status
        )
    except errors.CoatcheckError:
        return PlainTextResponse(f"{TITLES[status]}: {message}\n{remedy or ''}\n", status)
