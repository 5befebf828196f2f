"""Everything this library raises, split by who must act.

* CoatcheckError
    * ConfigurationError                (you: a setting or an argument is wrong)
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
        * WaitTimeoutError              (we gave up waiting, the task goes on)
        * SubmissionRejectedError       (the service did not take the task)
    * PatchError                        (not a diff; carries `line`)
        * PatchRejectedError            (a policy said no; carries `reasons`)
        * PatchConflictError            (it does not fit; carries `files`)

Data is in attributes, prose in ``str()``, and `remedy` says what to do where something can be done.
Nothing here ever holds a token, a cookie or a whole response body.
"""

from __future__ import annotations

from ._errors import (
    AccountMismatchError,
    AuthenticationError,
    CoatcheckError,
    ConfigurationError,
    ConflictError,
    CredentialsError,
    InvalidRequestError,
    ListUnfinishedError,
    NotFoundError,
    NotLoggedInError,
    PatchConflictError,
    PatchError,
    PatchRejectedError,
    PermissionDeniedError,
    PersistenceError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    RefreshError,
    TransportError,
    TransportTimeoutError,
    UnreadableResponseError,
    UnsupportedError,
)
from ._model.tasks import (
    SubmissionRejectedError,
    SubmissionUncertainError,
    TaskError,
    TaskFailedError,
    WaitTimeoutError,
)

__all__ = [
    "AccountMismatchError",
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
    "SubmissionRejectedError",
    "SubmissionUncertainError",
    "TaskError",
    "TaskFailedError",
    "TransportError",
    "TransportTimeoutError",
    "UnreadableResponseError",
    "UnsupportedError",
    "WaitTimeoutError",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and docs show the public name
