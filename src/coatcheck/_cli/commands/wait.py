"""`wait` comes back for a task and stays until its end; `watch` tells what happens meanwhile."""

from __future__ import annotations

import click

from ..context import Run, attempt_option, command, interval_option, ref_argument, seconds, timeout_of, timeout_option
from ..json_output import EVENT, TASK_RESULT, dump_line, read
from ..views import event as event_lines


@command(
    "wait",
    examples="""
coatcheck wait codex:task_e_6a0
coatcheck wait --timeout 30m --first codex:task_e_6a0
coatcheck wait --json codex:task_e_6a0
""",
)
@ref_argument
@timeout_option
@interval_option
@attempt_option
@click.option("--first", is_flag=True, help="Be content with the first attempt that ends.")
def wait_command(
    run: Run, *, task: str, timeout: str | None, interval: str | None, attempt: int | None, first: bool
) -> int:
    """Wait for a task to end and print what it made (step 2 of 2).

    Ctrl-C and the deadline stop the waiting, not the task. The exit code is 3 when the task ended without success, 4
    at the deadline, 10 when the task stands still until somebody acts.
    """
    from ..plans import next_step, verdict
    from ..waiting import chosen, result, wait_for

    ref, limit, pause = run.ref(task), timeout_of(run, timeout), seconds(interval) if interval else None
    with run.client(ref.provider) as client:
        ended = wait_for(run, client, ref, timeout=limit, interval=pause, first=first)
    chosen(ended, attempt)
    run.answer(lambda: read(TASK_RESULT, ended), lambda: result(ended, attempt, run.now))
    next_step(run, ended)
    return verdict(ended)


@command(
    "watch",
    examples="""
coatcheck watch codex:task_e_6a0
coatcheck watch --json codex:task_e_6a0 | jq -r .state
coatcheck watch --after CURSOR codex:task_e_6a0
""",
)
@ref_argument
@timeout_option
@interval_option
@click.option("--after", metavar="CURSOR", help="Go on after this event, whose `cursor` --json has printed.")
@click.option("--stream", is_flag=True, help="Read the service's own live events instead of looking again and again.")
def watch_command(
    run: Run, *, task: str, timeout: str | None, interval: str | None, after: str | None, stream: bool
) -> None:
    """Print what happens to a task as it happens, until it ends.

    With --json each event is one line. The exit code is 0 however the task ends: `wait` is for judging it.
    """
    from ..waiting import coming_back

    ref, limit, pause = run.ref(task), timeout_of(run, timeout), seconds(interval) if interval else None
    with run.client(ref.provider) as client, coming_back(ref):
        events = (
            client.stream_task(ref) if stream else client.watch_task(ref, timeout=limit, interval=pause, after=after)
        )
        for happened in events:
            if run.is_json:
                run.screen.write(dump_line(read(EVENT, happened)))
            else:
                run.screen.show_all(event_lines(happened))
