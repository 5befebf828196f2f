from __future__ import annotations

import inspect
import signal

import pytest

from coatcheck import errors
from coatcheck._cli.console import OutputClosedError
from coatcheck._cli.exit_codes import CODES, MEANINGS, ExitCode, exit_code_of
from coatcheck._cli.interruption import UserInterrupt
from coatcheck._model.states import TaskState
from coatcheck._model.tasks import Task, TaskRef, TaskSpec

ERRORS = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]


def test_every_code_is_explained() -> None:
    """Every exit code has its meaning in the documentation."""
    assert set(ExitCode) == set(MEANINGS)


def test_every_code_is_reached() -> None:
    """Every exit code is that of an error, of a result or of a signal."""
    by_result = {ExitCode.DONE, ExitCode.NEEDS_INPUT, ExitCode.NO_CANDIDATE, ExitCode.FAILURES}
    by_result |= {ExitCode.QUOTA, ExitCode.STOPPED}
    by_signal = {exit_code_of(UserInterrupt(number=number)) for number in (signal.SIGHUP, signal.SIGTERM)}

    assert set(ExitCode) - {*by_result, *by_signal, ExitCode.BUG} == set(CODES.values())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_no_error_of_ours_is_a_bug(error: type[errors.CoatcheckError]) -> None:
    """Every error of the library has an exit code of its kind, and is not reported as a bug."""
    assert exit_code_of(error.__new__(error)) not in {ExitCode.DONE, ExitCode.BUG}


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (1, errors.NotFoundError(status=404)),
        (1, errors.PermissionDeniedError(status=403)),
        (2, errors.ConfigurationError()),
        (2, errors.UnsupportedError()),
        (3, errors.TaskFailedError(task=Task(ref=TaskRef("codex", "t"), state=TaskState.FAILED))),
        (4, errors.WaitTimeoutError()),
        (5, errors.NotLoggedInError()),
        (5, errors.AuthenticationError(status=401)),
        (6, errors.RateLimitError()),
        (7, errors.SubmissionUncertainError(spec=TaskSpec(prompt="p"))),
        (8, errors.TransportTimeoutError()),
        (8, errors.ProviderUnavailableError(status=503)),
        (8, errors.UnreadableResponseError()),
        (9, errors.PatchConflictError()),
        (70, ZeroDivisionError()),
        (129, UserInterrupt(number=signal.SIGHUP)),
        (130, UserInterrupt()),
        (130, KeyboardInterrupt()),
        (143, UserInterrupt(number=signal.SIGTERM)),
        (141, OutputClosedError()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_the_nearest_class_decides(expected: int, error: BaseException) -> None:
    """An error has the exit code of its nearest class in the table."""
    assert expected == exit_code_of(error)
