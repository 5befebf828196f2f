"""What can go wrong without a task: the lowest layer, which imports nothing of ours. `coatcheck.errors` draws the tree."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class CoatcheckError(Exception):
    """Something went wrong in coatcheck."""

    def __init__(self, message: str | None = None, *, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0].rstrip("."))


class ConfigurationError(CoatcheckError):
    """A setting or an argument is not usable."""


class UnsupportedError(ConfigurationError):
    """This provider cannot do that."""


class CredentialsError(CoatcheckError):
    """The credentials are not usable."""


class NotLoggedInError(CredentialsError):
    """There is no login for this provider."""


class RefreshError(CredentialsError):
    """The login could not be refreshed."""

    def __init__(self, message: str | None = None, *, reason: str, remedy: str | None = None) -> None:
        self.reason = reason
        super().__init__(message, remedy=remedy)


class PersistenceError(CredentialsError):
    """A fresh login could not be saved."""


class AccountMismatchError(CredentialsError):
    """The login file belongs to another account."""


class TransportError(CoatcheckError):
    """The service could not be reached.

    `request_sent` is False only when the request certainly never reached the service.
    """

    def __init__(self, message: str | None = None, *, request_sent: bool = True, remedy: str | None = None) -> None:
        self.request_sent = request_sent
        super().__init__(message, remedy=remedy)


class TransportTimeoutError(TransportError):
    """The service did not answer in time."""


class ProviderError(CoatcheckError):
    """The service refused the request."""

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int,
        detail: str | None = None,
        request_id: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.request_id = request_id
        super().__init__(message, remedy=remedy)


class AuthenticationError(ProviderError):
    """The service does not accept the credentials."""


class PermissionDeniedError(ProviderError):
    """The account may not do that."""


class NotFoundError(ProviderError):
    """The service does not know it."""


class ConflictError(ProviderError):
    """The service says that this is not possible in the present state."""


class InvalidRequestError(ProviderError):
    """The service finds the request invalid."""


class RateLimitError(ProviderError):
    """The service asks us to slow down.

    `retry_after` is in seconds, None where the service did not say; `usage` is the service's own
    rate-limit block where the answer carried one.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 429,
        detail: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        usage: object = None,
        remedy: str | None = None,
    ) -> None:
        self.retry_after = retry_after
        self.usage = usage
        super().__init__(message, status=status, detail=detail, request_id=request_id, remedy=remedy)


class ProviderUnavailableError(ProviderError):
    """The service is in trouble."""

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int,
        detail: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        remedy: str | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, status=status, detail=detail, request_id=request_id, remedy=remedy)


class UnreadableResponseError(ProviderError):
    """The service's answer is not what it documents. `path` is the JSON path of what is wrong."""

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 200,
        path: str = "$",
        detail: str | None = None,
        request_id: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.path = path
        super().__init__(message, status=status, detail=detail, request_id=request_id, remedy=remedy)


class ListUnfinishedError(CoatcheckError):
    """A list was stopped before its end, after what came of it was handed out. `cursor` goes on where it stopped."""

    def __init__(self, message: str | None = None, *, cursor: str, remedy: str | None = None) -> None:
        self.cursor = cursor
        super().__init__(message, remedy=remedy)


class PatchError(CoatcheckError):
    """This is not a diff that can be read. `line` is 1-based."""

    def __init__(self, message: str | None = None, *, line: int | None = None, remedy: str | None = None) -> None:
        self.line = line
        super().__init__(message, remedy=remedy)


class PatchRejectedError(PatchError):
    """The patch breaks a rule of the policy."""

    def __init__(
        self, message: str | None = None, *, reasons: Sequence[object] = (), remedy: str | None = None
    ) -> None:
        self.reasons = tuple(reasons)
        super().__init__(message, remedy=remedy)


class PatchConflictError(PatchError):
    """The patch does not fit what is there, or cannot be written.

    `files` are the paths; `result` is what became of every file (`AppliedPatch`), None where no file was looked at.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        files: Sequence[object] = (),
        result: object = None,
        remedy: str | None = None,
    ) -> None:
        self.files = tuple(files)
        self.result = result
        super().__init__(message, remedy=remedy)
