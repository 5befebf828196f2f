"""`status`, `show` and `attempts` look at one task, once."""

from __future__ import annotations

import msgspec

from ..context import Run, attempt_option, command, ref_argument
from ..json_output import ATTEMPT_RESULT, TASK, TASK_RESULT, many, read
from ..views import attempts as attempt_lines, summary


@command(
    "status",
    examples="""
coatcheck status codex:task_e_6a0
coatcheck status task_e_6a0 --json
coatcheck status https://chatgpt.com/codex/tasks/task_e_6a0
""",
)
@ref_argument
def status_command(run: Run, *, task: str) -> None:
    """Say where a task is in its life: one request.

    The exit code is 0 whatever the state is; `wait` judges it.
    """
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
    run.answer(lambda: read(TASK, found), lambda: summary(found, run.now))


@command(
    "show",
    examples="""
coatcheck show codex:task_e_6a0
coatcheck show --attempt 2 codex:task_e_6a0
coatcheck show --json codex:task_e_6a0
""",
)
@ref_argument
@attempt_option
def show_command(run: Run, *, task: str, attempt: int | None) -> None:
    """Print everything a task has made so far: messages, pull request, files, attempts."""
    from ..waiting import chosen, result

    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.get_task(ref)
        if (found.attempt_total or 1) > 1:
            found = msgspec.structs.replace(found, attempts=client.list_attempts(found))
    chosen(found, attempt)
    run.answer(lambda: read(TASK_RESULT, found), lambda: result(found, attempt, run.now))


@command(
    "attempts",
    examples="""
coatcheck attempts codex:task_e_6a0
coatcheck attempts --json codex:task_e_6a0
""",
)
@ref_argument
def attempts_command(run: Run, *, task: str) -> None:
    """List every attempt of a task with its state and the size of its change."""
    ref = run.ref(task)
    with run.client(ref.provider) as client:
        found = client.list_attempts(ref)
    run.answer(
        lambda: {"ref": str(ref), "attempts": many(ATTEMPT_RESULT, found)},
        lambda: attempt_lines(found) or ["The service names no attempt yet."],
    )
