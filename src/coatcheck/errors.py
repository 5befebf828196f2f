"""Everything this library raises, split by who must act.

* CoatcheckError
    * ConfigurationError                (you: a setting or an argument is wrong)
        * AmbiguousRefError             (several tasks fit a reference; carries `candidates`)
        * UnsupportedError              (this provider cannot do that)
    * CredentialsError                  (you: log in)
        * NotLoggedInError              (no usable credentials)
        * RefreshError                  (a refresh was refused or failed; carries `reason`)
        * PersistenceError              (a fresh token could not be saved)
        * AccountMismatchError          (the login file belongs to another account)
    * TransportError                    (the network; carries `request_sent`)
        * TransportTimeoutError
    * ProviderError                     (the service refused; carries `status`, `detail`, `request_id`)
        * AuthenticationError           (401)
        * PermissionDeniedError         (403)
        * NotFoundError                 (404)
        * ConflictError                 (409)
        * InvalidRequestError           (400, 422)
        * RateLimitError                (429; carries `retry_after`, `usage`)
        * ProviderUnavailableError      (5xx)
        * UnreadableResponseError       (not what the service documents; carries `path`)
    * ListUnfinishedError               (a list without an end was stopped; carries `cursor`)
    * SubmissionUncertainError          (the task may or may not exist; carries `spec`, `candidates`)
    * TaskError                         (about one task; carries `ref`)
        * TaskFailedError               (it ended without success; carries `task`)
        * WaitTimeoutError              (the deadline of a wait has passed; the task still runs)
        * SubmissionRejectedError       (the service did not take the task)
    * WebhookRejectedError              (a delivery that is not genuine or not readable; carries `status`)
    * StoreError                        (the database of history, events and submissions cannot be used; carries `location`)
    * PatchError                        (not a diff; carries `line`)
        * PatchRejectedError            (a policy rejects it; carries `reasons`)
        * PatchConflictError            (it does not fit; carries `files`, `result`)

Data is in attributes, prose in ``str()``. Attributes that hold values are typed `Any`, because values raise these errors: errors import
nothing. `remedy` is what the reader can do about it, None where nothing can be done.
`to_dict` returns all of it as plain data. No error holds a token, a cookie or a whole response body.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing `typing` takes 3 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "AccountMismatchError",
    "AmbiguousRefError",
    "AuthenticationError",
    "CoatcheckError",
    "ConfigurationError",
    "ConflictError",
    "CredentialsError",
    "InvalidRequestError",
    "ListUnfinishedError",
    "NotFoundError",
    "NotLoggedInError",
    "PatchConflictError",
    "PatchError",
    "PatchRejectedError",
    "PermissionDeniedError",
    "PersistenceError",
    "ProviderError",
    "ProviderUnavailableError",
    "RateLimitError",
    "RefreshError",
    "StoreError",
    "SubmissionRejectedError",
    "SubmissionUncertainError",
    "TaskError",
    "TaskFailedError",
    "TransportError",
    "TransportTimeoutError",
    "UnreadableResponseError",
    "UnsupportedError",
    "WaitTimeoutError",
    "WebhookRejectedError",
]


class CoatcheckError(Exception):
    """Something went wrong in coatcheck."""

    def __init__(self, message: str | None = None, *, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(message or self.default_message())

    @classmethod
    def default_message(cls) -> str:
        """Return the message of an error without one: the first line of the class's docstring, in lower case."""
        first = (cls.__doc__ or "").partition("\n")[0].rstrip(".")
        return first[:1].lower() + first[1:]

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data: `type`, `message`, `remedy`, and `details`, the public attributes that are not None."""
        details = {
            name: _plain(value)
            for name, value in vars(self).items()
            if name != "remedy" and value is not None and not name.startswith("_")  # notes are of tracebacks
        }
        return {"type": type(self).__name__, "message": str(self), "remedy": self.remedy, "details": details}


def _plain(value: object) -> object:
    """Return an attribute of an error as plain data: a value as its `to_dict` does, a ref or a reason as text."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    to_dict = getattr(value, "to_dict", None)
    return to_dict() if to_dict else str(value)


class ConfigurationError(CoatcheckError):
    """A setting or an argument is not usable."""


class AmbiguousRefError(ConfigurationError):
    """Several tasks fit a reference; `candidates` are their refs."""

    def __init__(self, message: str, *, candidates: Sequence[Any] = (), remedy: str | None = None) -> None:
        self.candidates = tuple(candidates)
        super().__init__(message, remedy=remedy)


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
    """The service refused the request.

    With `is_refusal` the service reports in a successful HTTP response, as JSON-RPC does, that it performed nothing.
    """

    is_refusal = False

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
    """The service has no such object."""


class ConflictError(ProviderError):
    """This is not possible in the present state."""


class InvalidRequestError(ProviderError):
    """The service finds the request invalid."""


class RateLimitError(ProviderError):
    """Too many requests.

    `retry_after` is in seconds, None where the service did not report it; `usage` is the service's own
    rate-limit block where the response carried one.
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
    """The service is unavailable."""

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
    """The service's response does not match its documentation. `path` is the JSON path of what is wrong."""

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
    """A list was stopped before its end, after its first entries were returned. `cursor` continues it."""

    def __init__(self, message: str | None = None, *, cursor: str, remedy: str | None = None) -> None:
        self.cursor = cursor
        super().__init__(message, remedy=remedy)


class SubmissionUncertainError(CoatcheckError):
    """The task may or may not have been created; it was not sent again.

    `spec` is the `TaskSpec`, `candidates` are the refs of tasks that may be it.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        spec: Any,
        candidates: Sequence[Any] = (),
        remedy: str | None = None,
    ) -> None:
        self.spec = spec
        self.candidates = tuple(candidates)
        super().__init__(message, remedy=remedy)


class TaskError(CoatcheckError):
    """An error of one task; `ref` is its `TaskRef`, None where there is none yet."""

    def __init__(self, message: str | None = None, *, ref: Any = None, remedy: str | None = None) -> None:
        self.ref = ref
        super().__init__(message, remedy=remedy)


class TaskFailedError(TaskError):
    """The task ended without success; `task` is the `Task` with its error."""

    def __init__(self, message: str | None = None, *, task: Any, remedy: str | None = None) -> None:
        self.task = task
        super().__init__(message, ref=task.ref, remedy=remedy)


class WaitTimeoutError(TaskError):
    """The deadline of a wait has passed; the task still runs."""


class SubmissionRejectedError(TaskError):
    """The service did not take the task."""


class WebhookRejectedError(CoatcheckError):
    """A webhook's delivery is not genuine or cannot be read; `status` is the HTTP status to answer."""

    def __init__(self, message: str | None = None, *, status: int, remedy: str | None = None) -> None:
        self.status = status
        super().__init__(message, remedy=remedy)


class StoreError(CoatcheckError):
    """The store cannot be used. `location` is its file, or its URL without the password."""

    def __init__(self, message: str | None = None, *, location: str | None = None, remedy: str | None = None) -> None:
        self.location = location
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
    """The patch does not fit the files of the checkout, or cannot be written.

    `files` are the paths; `result` is the outcome of every file (`AppliedPatch`), None where no file was examined.
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


for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and docs show the public name
