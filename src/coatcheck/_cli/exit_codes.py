"""Exit codes: one table, which the documentation is generated from.

An error that is not in the table has the code of its nearest parent class.
"""

from __future__ import annotations

import enum

from .. import errors
from .console import OutputClosedError, OutputError
from .interruption import UserInterrupt


class ExitCode(enum.IntEnum):
    """The exit codes, which scripts may rely on."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    TASK_FAILED = 3
    DEADLINE = 4
    NOT_LOGGED_IN = 5
    RATE_LIMITED = 6
    UNCERTAIN = 7
    SERVICE_TROUBLE = 8
    PATCH = 9
    NEEDS_INPUT = 10
    NO_CANDIDATE = 11
    QUOTA = 12
    STOPPED = 13
    FAILURES = 14
    STORE = 15
    # sysexits.h EX_SOFTWARE and EX_IOERR, and the shells' 128 + signal for SIGHUP, SIGINT, SIGPIPE and SIGTERM.
    BUG = 70
    OUTPUT = 74
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    ExitCode.DONE: "Done.",
    ExitCode.REFUSED: "The service refused, or there is no result: unknown task, no permission, no diff. Or standard output or the disk "
    "cannot be written.",
    ExitCode.USAGE: "Bad usage or configuration, or something that this provider cannot do; nothing was sent.",
    ExitCode.TASK_FAILED: "The task ended without success (`run` and `wait`).",
    ExitCode.DEADLINE: "The timeout passed; the task is still running.",
    ExitCode.NOT_LOGGED_IN: "No usable login, or the service does not accept it.",
    ExitCode.RATE_LIMITED: "The service limits the rate of requests (HTTP 429).",
    ExitCode.UNCERTAIN: "The task may or may not have been created; it was not sent again.",
    ExitCode.SERVICE_TROUBLE: "The service cannot be reached, is unavailable, or its response cannot be read.",
    ExitCode.PATCH: "The patch is malformed, is rejected by a rule, does not fit, or cannot be written.",
    ExitCode.NEEDS_INPUT: "The task waits for an answer or an approval, or is paused (`run` and `wait`); a gate was opened that waits for a "
    "decision (`submit --gate` and `apply --gate`); or items of a fleet wait for one.",
    ExitCode.NO_CANDIDATE: "No candidate passed, so that none was chosen (`review`, and `run` with several services or checks).",
    ExitCode.QUOTA: "A fleet waits for the quota of a service, or for a service that does not answer; the time is printed (`fleet run`, "
    "`fleet work` and `fleet status`).",
    ExitCode.STOPPED: "A fleet was stopped by its budget, by failures or by a person, or no process works on it (`fleet run`, `fleet work` and "
    "`fleet status`).",
    ExitCode.FAILURES: "Some lines of `submit --batch`, some services of `submit --on` or some items of a fleet failed; the others were done. Or a service of a fleet cannot be used (`fleet plan` and `fleet run`).",
    ExitCode.STORE: "The store cannot be used: its disk is full, its file is locked, corrupt, or not writable, or a newer version made it.",
    ExitCode.BUG: "A bug in coatcheck; `COATCHECK_DEBUG=1` shows the traceback.",
    ExitCode.OUTPUT: "Standard output cannot be written: it is closed, or its disk is full.",
    ExitCode.HUNG_UP: "As 130, by SIGHUP: the terminal was closed.",
    ExitCode.INTERRUPTED: "Interrupted by Ctrl-C (SIGINT); a task that was waited for is still running.",
    ExitCode.BROKEN_PIPE: "The reader of standard output closed it.",
    ExitCode.TERMINATED: "As 130, by SIGTERM.",
}

CODES: dict[type[BaseException], ExitCode] = {
    errors.CoatcheckError: ExitCode.REFUSED,
    errors.ConfigurationError: ExitCode.USAGE,
    errors.CredentialsError: ExitCode.NOT_LOGGED_IN,
    errors.AuthenticationError: ExitCode.NOT_LOGGED_IN,
    errors.TransportError: ExitCode.SERVICE_TROUBLE,
    errors.ProviderUnavailableError: ExitCode.SERVICE_TROUBLE,
    errors.UnreadableResponseError: ExitCode.SERVICE_TROUBLE,
    errors.RateLimitError: ExitCode.RATE_LIMITED,
    errors.SubmissionUncertainError: ExitCode.UNCERTAIN,
    errors.TaskFailedError: ExitCode.TASK_FAILED,
    errors.WaitTimeoutError: ExitCode.DEADLINE,
    errors.StoreError: ExitCode.STORE,
    errors.PatchError: ExitCode.PATCH,
    KeyboardInterrupt: ExitCode.INTERRUPTED,
    OutputError: ExitCode.OUTPUT,
    OutputClosedError: ExitCode.BROKEN_PIPE,
}


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of *error*; an unexpected error is a bug."""
    if isinstance(error, UserInterrupt):
        return ExitCode(128 + error.number)
    return next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), ExitCode.BUG)
